"""A sheet of paper to write on, in millimetres: words that are wrapped by the font's own widths, columns that fill from
the top, and the swatches of a legend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from mage.learning.mapping.product.drawing import AREA, DEBRIS_UNDER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE, BAND = "#1b2a3a", "#55606c", "#c9d0d7", "#12355b"
DPI = 200
LEADING = 0.45  # mm from line to line for a point of type


class Key(NamedTuple):
    """A line of the legend: how it is drawn ("fill", "tint", "dots", "line", "ring", "hatch", "stripes", "mark" or
    "none"), in which colour, and words.
    """

    form: str
    colour: str
    words: str
    letter: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Paper:
    """A sheet to draw on in millimetres from its lower left corner."""

    figure: Figure
    width: float
    height: float
    page: Axes = field(init=False)

    def __post_init__(self) -> None:
        page = self.axes(0, 0, self.width, self.height)
        page.set(xlim=(0, self.width), ylim=(0, self.height))
        page.set_axis_off()
        object.__setattr__(self, "page", page)

    def axes(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """A part of the sheet."""
        box = left / self.width, bottom / self.height, width / self.width, height / self.height
        return self.figure.add_axes(box)

    def text(self, x: float, y: float, words: str, size: float, **style: Any) -> None:
        """Words whose first line's top is at y, unless told otherwise."""
        font = {"color": INK, "va": "top", "ha": "left", **style}
        self.page.text(x, y, legible(words), size=size, **font)

    def rectangle(self, x: float, y: float, width: float, height: float, **style: Any) -> None:
        """With its lower left corner at (x, y)."""
        from matplotlib.patches import Rectangle

        self.page.add_patch(Rectangle((x, y), width, height, **style))

    def wrapped(self, words: str, size: float, width: float, weight: str = "normal") -> list[str]:
        """Lines of at most a width; a longer word is cut into pieces."""
        lines, taken, space = [""], 0.0, text_width(" ", size, weight)
        for word in _pieces(legible(words), size, width, weight):
            long = text_width(word, size, weight)
            if lines[-1] and taken + space + long > width:
                lines.append(word)
                taken = long
            else:
                taken += long + (space if lines[-1] else 0)
                lines[-1] = f"{lines[-1]} {word}".strip()
        return lines


@lru_cache(maxsize=4096)
def text_width(words: str, size: float, weight: str = "normal") -> float:
    """Millimetres that a line takes."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties(weight=weight)))
    font.set_size(size, DPI)
    inked = []
    for text in (f"|{words}|", "||"):  # bars at both ends, since what a font tells is the width of the ink alone
        font.set_text(text)
        inked.append(font.get_width_height()[0])
    return float(inked[0] - inked[1]) / 64 / DPI * 25.4


def _pieces(words: str, size: float, width: float, weight: str) -> Iterator[str]:
    """Words, those that are longer than a line in parts that are not."""
    for word in words.split(" "):
        rest = word
        while len(rest) > 1 and text_width(rest, size, weight) > width:
            cut = next((n for n in range(len(rest) - 1, 1, -1) if text_width(rest[:n], size, weight) <= width), 1)
            yield rest[:cut]
            rest = rest[cut:]
        yield rest


@dataclass(slots=True, eq=False)
class Column:
    """A column of the sheet that fills from its top; ``y`` is where it goes on."""

    paper: Paper
    x: float
    y: float
    width: float
    floor: float

    def heading(self, words: str) -> None:
        """A line of small capitals over a rule."""
        self.y -= 2.6
        self.paper.text(self.x, self.y, words, 7.5, weight="bold", color=BAND)
        self.y -= 4.0
        self.paper.page.plot([self.x, self.x + self.width], [self.y + 0.6] * 2, color=LINE, lw=0.6)

    def paragraph(self, words: str, size: float = 6.5, **style: Any) -> None:
        """Words wrapped to the column; what the column has no room for is left out, and said to be."""
        step = LEADING * size
        lines = self.paper.wrapped(words, size, self.width, style.get("weight", "normal"))
        room = max(int((self.y - self.floor) / step), 0)
        if len(lines) > room:
            lines = [*lines[: max(room - 1, 0)], "…"][:room]
        for line in lines:
            self.paper.text(self.x, self.y, line, size, **style)
            self.y -= step
        self.y -= 0.8

    def row(self, cells: Sequence[str], right: Sequence[float], size: float = 6.6, **style: Any) -> bool:
        """The first cell at the left, others ending at shares of the width; False where there is no room for it."""
        if self.y - 3.1 < self.floor:
            return False
        first, *rest = cells
        room = self.width * (right[0] if right else 1) - max((text_width(c, size) for c in rest[:1]), default=0)
        self.paper.text(self.x, self.y, self.paper.wrapped(first, size, room - 1.5)[0], size, **style)
        for cell, share in zip(rest, right, strict=True):
            self.paper.text(self.x + self.width * share, self.y, cell, size, ha="right", **style)
        self.y -= 3.2
        return True

    def key(self, key: Key) -> None:
        """A line of the legend."""
        _swatch(self.paper, self.x, self.y - 2.7, key)
        lines = self.paper.wrapped(key.words, 6.8, self.width - 9)
        for line in lines:
            self.paper.text(self.x + 8.5, self.y - 0.1, line, 6.8)
            self.y -= 3.0
        self.y -= 0.9


def legible(words: str) -> str:
    """Words with a mark in place of each letter that the sheet's font does not have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    letters = get_font(findfont(FontProperties())).get_charmap()
    return "".join(c if ord(c) in letters else "\ufffd" for c in words)


def _swatch(paper: Paper, x: float, y: float, key: Key) -> None:
    """7 mm x 2.8 mm of the thing, its lower left corner at (x, y)."""
    from matplotlib.patheffects import Normal, Stroke

    edge: dict[str, Any] = {"edgecolor": "#222222", "linewidth": 0.3}
    if key.form == "fill":
        paper.rectangle(x, y, 7, 2.8, facecolor=key.colour, **edge)
    elif key.form == "tint":
        colour, strength = key.colour.split(":")
        paper.rectangle(x, y, 7, 2.8, facecolor=(colour, float(strength)), edgecolor=colour, linewidth=0.7)
    elif key.form == "dots":
        paper.rectangle(x, y, 7, 2.8, facecolor=DEBRIS_UNDER, edgecolor=key.colour, linewidth=0.7, hatch="....")
    elif key.form in ("ring", "hatch", "stripes"):
        hatch = {"hatch": "xxxx", "stripes": "////"}.get(key.form)
        dashes = (0, (3, 1)) if key.colour == AREA else "-"
        paper.rectangle(x, y, 7, 2.8, facecolor="none", edgecolor=key.colour, lw=1.1, hatch=hatch, ls=dashes)
    elif key.form == "line":
        line = paper.page.plot([x, x + 7], [y + 1.4] * 2, color=key.colour, lw=1.8, solid_capstyle="butt")[0]
        line.set_path_effects([Stroke(linewidth=2.6, foreground="#333333"), Normal()])
    elif key.form == "mark":
        paper.page.plot([x + 3.5], [y + 1.4], marker="s", ms=7.5, mfc=key.colour, mec="white", mew=0.8)
        paper.text(x + 3.5, y + 1.4, key.letter, 6, color="white", weight="bold", ha="center", va="center_baseline")
