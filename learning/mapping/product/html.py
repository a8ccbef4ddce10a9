"""Pieces of the report's HTML: cards, tables, bars, pictures. All words that come in are escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

import cv2
import numpy as np

from mage.learning.mapping.product.drawing import Bytes

QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 82]


def photograph(image: Bytes) -> str:
    """A picture (rows, columns, 3) as a URI that holds it, JPEG."""
    data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), QUALITY)[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def card(heading: str, content: str, *, wide: bool = False) -> str:
    """A part of the page; ``content`` is HTML."""
    return f'<section class="card{" wide" if wide else ""}"><h2>{escape(heading)}</h2>{content}</section>'


def pairs_table(facts: Mapping[str, str]) -> str:
    """A table of names and values."""
    rows = "".join(f'<tr><th scope="row">{escape(str(k))}</th><td>{escape(str(v))}</td></tr>' for k, v in facts.items())
    return f'<table class="pairs"><tbody>{rows}</tbody></table>'


def table_head(words: Sequence[str]) -> str:
    """The first row of a table."""
    cells = "".join(f'<th scope="col"{_numeric(k, words)}>{escape(word)}</th>' for k, word in enumerate(words))
    return f"<thead><tr>{cells}</tr></thead>"


def table_row(cells: Sequence[str], more: str = "") -> str:
    """A row of a table; ``more`` is HTML of further cells."""
    return f"<tr>{''.join(f'<td{_numeric(k, cells)}>{escape(cell)}</td>' for k, cell in enumerate(cells))}{more}</tr>"


def _numeric(place: int, cells: Sequence[str]) -> str:
    """Columns of figures end at one line; the first, or the first two of a ranking, are words."""
    return ' class="n"' if place >= (1 if len(cells) == 4 else 2) else ""


def bar_chart(bars: Sequence[tuple[str, str, float, str]]) -> str:
    """Words, a figure and a bar a line, as SVG, which needs no style; without a colour a bar has the page's."""
    high = 24
    lines = ""
    for number, (words, figure, share, colour) in enumerate(bars):
        y = number * high
        paint = f'fill="{colour}"' if colour else 'class="fill"'
        lines += (
            f'<text x="0" y="{y + 15}">{escape(words)}</text>'
            f'<rect class="track" x="140" y="{y + 6}" width="190" height="10" rx="2"/>'
            f'<rect {paint} x="140" y="{y + 6}" width="{190 * share:.1f}" height="10" rx="2"/>'
            f'<text class="soft" x="340" y="{y + 15}">{escape(figure)}</text>'
        )
    label = escape("; ".join(f"{words}: {figure}" for words, figure, _, _ in bars))
    return f'<svg class="bars" viewBox="0 0 440 {high * len(bars)}" role="img" aria-label="{label}">{lines}</svg>'
