"""Pictures of an evaluation, PNG: confusion, reliability, groups with intervals, best and worst tiles.

Drawn with matplotlib's canvas alone, so that no window, global state or setting of the user takes part, and equal to
the byte for equal figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.learning.runs import publish
from mage.learning.scoring.calibration import Reliability
from mage.learning.scoring.comparison import Groups
from mage.learning.scoring.figures import WORDS
from mage.scenes.dataset.png import encode_png
from mage.scenes.errors import MissingExtraError
from mage.scenes.metrics import IGNORE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
INK, BAR, TRUE = "#1b2a3a", "#3b7ea1", "#c8553d"
CLASS_COLOURS = ((40, 44, 52), (86, 180, 120), (240, 200, 70), (230, 130, 50), (200, 50, 60))
GAP, LINE, SMALLEST = 4, 20, 192  # pixels between pictures, of a line of words; narrower tiles are enlarged


class TilePictures(NamedTuple):
    """Images, uint8 (dates, bands, H, W), labels (H, W) and map (H, W) of a tile, and what to write above them."""

    words: str
    images: NDArray[np.uint8]
    target: NDArray[Any]
    predicted: NDArray[Any]


def need_plots() -> None:
    """Raise MissingExtraError where matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "plots")


def draw_confusion(path: Path, confusion: NDArray[Any], names: Sequence[str]) -> None:
    """Shares of each true class (rows) that are mapped as each class (columns), with pixels as numbers."""
    figure, (axes,) = _canvas(1.6 + 1.05 * len(names), 1.3 + 0.8 * len(names))
    total = confusion.sum(1, keepdims=True)
    share = np.where(total > 0, confusion / np.maximum(total, 1), np.nan)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*confusion.shape):
        value = share[row, column]
        text = "–" if np.isnan(value) else f"{value:.1%}\n{_short(int(confusion[row, column]))}"
        dark = not np.isnan(value) and value > 0.55
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else INK)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("mapped as")
    axes.set_ylabel("truth")
    axes.set_title("Share of each true class, and pixels", fontsize=10)
    _save(figure, path)


def draw_reliability(path: Path, reliability: Mapping[str, Reliability]) -> None:
    """Accuracy against confidence, one panel for each kind of prediction; dots are as large as their share."""
    number = max(len(reliability), 1)
    figure, panels = _canvas(3.4 * number, 3.6, number)
    for axes, (name, counts) in zip(panels, reliability.items(), strict=True):
        curve = counts.curve()
        axes.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--")
        x, y, share = (np.array([point[key] for point in curve]) for key in ("confidence", "accuracy", "share"))
        axes.plot(x, y, color=BAR, lw=1.2)
        axes.scatter(x, y, s=12 + 240 * share, color=BAR, alpha=0.75, linewidths=0, clip_on=False, zorder=3)
        error = counts.ece()
        axes.set_title(f"{name}: ECE {'–' if error is None else f'{error:.3f}'}", fontsize=10)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", aspect="equal")
        axes.set_ylabel("share that is right")
    _save(figure, path)


def draw_groups(path: Path, groups: Groups, names: Sequence[str]) -> None:
    """A panel a figure: a bar a group with its interval, and the macro average as a line."""
    shown = [name for name in names if groups.macro[name].value is not None]
    figure, panels = _canvas(3.0 * max(len(shown), 1) + 1.2, 1.4 + 0.32 * len(groups.rows), max(len(shown), 1))
    labels = [f"{key} ({groups.tiles[key]})" for key in groups.rows]
    place = np.arange(len(labels))
    for axes, name in zip(panels, shown, strict=False):
        rows = [row[name] for row in groups.rows.values()]
        value = np.array([np.nan if r.value is None else r.value for r in rows])
        low = np.array([v if r.low is None else r.low for v, r in zip(value, rows, strict=True)])
        high = np.array([v if r.high is None else r.high for v, r in zip(value, rows, strict=True)])
        axes.barh(place, value, color=BAR, height=0.7)
        reach = np.clip([value - low, high - value], 0, None)
        axes.errorbar(value, place, xerr=reach, fmt="none", ecolor=INK, lw=1, capsize=2)
        macro = groups.macro[name]
        if macro.value is not None:
            axes.axvline(macro.value, color=TRUE, lw=1.2)
        if macro.low is not None and macro.high is not None:
            axes.axvspan(macro.low, macro.high, color=TRUE, alpha=0.15, lw=0)
        axes.set_yticks(place, labels if axes is panels[0] else [""] * len(labels))
        axes.invert_yaxis()
        axes.set_title(WORDS.get(name, name), fontsize=8)
        axes.set_xlim(min(0.0, float(np.nanmin(low, initial=0))), 1.02)
    figure.suptitle(f"By {groups.by} (tiles); red: macro average with its interval", fontsize=10)
    _save(figure, path)


def draw_tiles(path: Path, tiles: Sequence[TilePictures]) -> None:
    """A row a tile under a line of words: its image or images, its labels, its map. Needs no matplotlib.

    Args:
        path: of the PNG.
        tiles: the best first.
    """
    rows: list[NDArray[np.uint8]] = []
    for tile in tiles:
        parts = [*(_rgb(date) for date in tile.images), _coloured(tile.target), _coloured(tile.predicted)]
        times = max(SMALLEST // parts[0].shape[1], 1)
        row = _side_by_side([part.repeat(times, 0).repeat(times, 1) for part in parts])
        rows += [_words(tile.words, row.shape[1]), row]
    width = max(row.shape[1] for row in rows)
    sheet = [np.pad(row, [(0, GAP), (0, width - row.shape[1]), (0, 0)], constant_values=255) for row in rows]
    publish(path, encode_png(np.concatenate(sheet)))


def _canvas(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Axes]]:
    need_plots()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def _save(figure: Figure, path: Path) -> None:
    from io import BytesIO

    content = BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})
    publish(path, content.getvalue())


def _rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The first three bands (or the first thrice) of (bands, H, W) as a picture (H, W, 3)."""
    bands = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, 0)
    return np.ascontiguousarray(bands.transpose(1, 2, 0))


def _coloured(classes: NDArray[Any]) -> NDArray[np.uint8]:
    """A class map in colours; classes beyond the fifth by turns of hue, ignored pixels white."""
    table = np.full((256, 3), 255, np.uint8)
    table[: len(CLASS_COLOURS)] = CLASS_COLOURS
    for c in range(len(CLASS_COLOURS), IGNORE):
        table[c] = [60 + 73 * c % 190, 60 + 151 * c % 190, 60 + 211 * c % 190]
    return table[classes]


def _side_by_side(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return np.concatenate([np.pad(p, [(0, 0), (0, GAP), (0, 0)], constant_values=255) for p in pictures], 1)


def _words(text: str, width: int) -> NDArray[np.uint8]:
    """A line of words on white."""
    strip = np.full((LINE, width, 3), 255, np.uint8)
    return np.asarray(
        cv2.putText(strip, text, (2, LINE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (27, 42, 58), 1, cv2.LINE_AA)
    )


def _short(number: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return str(number)
