"""A sheet's overview: the area and the whole images in a wider frame, over a graticule.

It is drawn from what was given alone: there are no borders and no towns in it, which would need a base map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from mage.learning.mapping.findings import Findings
from mage.learning.mapping.product.drawing import AREA
from mage.learning.mapping.product.paper import INK, LINE, SOFT, Paper

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDER = 2.0  # sides of the frame to those of what is in it
LINES = 2  # meridians, and parallels, that cross the frame at least
STEPS = (36_000, 18_000, 7200, 3600, 1800, 1200, 600, 300, 120, 60, 30, 20, 10, 5, 2, 1)  # seconds of arc between lines
ROUND = 360 * 3600  # seconds of arc about the Earth
IMAGE = "#0070ff"
DASHES: dict[str, Any] = {"pre": (0, (2, 1.2)), "post": "-"}  # by the role of an image
CAPTION = "Blue: the whole images, that before dashed. Filled: the area of interest."
Floats = NDArray[np.float64]


def draw_locator(paper: Paper, findings: Findings, left: float, bottom: float, side: float) -> None:
    """Draw a square of ``side`` millimetres, its lower left corner at (left, bottom) of the paper, and words below it;
    a place that is nowhere on Earth gets words alone.
    """
    crs = findings.grid.crs
    if crs is None:
        _words(paper, "The images do not say where on Earth they lie.", left, bottom + side, side)
        return
    frame = wider_frame(findings)
    axes = paper.axes(left, bottom, side, side)
    axes.set(xlim=(frame[0], frame[2]), ylim=(frame[1], frame[3]), xticks=[], yticks=[], facecolor="#f4f1ea")
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color=INK)
    if findings.access is not None:
        for line in findings.access.roads.lines:
            axes.plot(*shapely.get_coordinates(line).T, color=LINE, lw=0.4, zorder=1)
    for places, words, upright in graticule(frame, crs):
        _draw_line(axes, frame, places, words, upright=upright)
    for role, outline in findings.footprints.items():
        _outline(axes, outline, edgecolor=IMAGE, linestyle=DASHES[role], linewidth=0.9, zorder=3)
    _outline(axes, findings.area, edgecolor=AREA, facecolor=(0, 0, 0, 0.2), linewidth=0.9, zorder=4)
    _words(paper, CAPTION, left, bottom - 0.8, side)


def wider_frame(findings: Findings) -> tuple[float, float, float, float]:
    """(west, south, east, north) of a square about the images and the area, in the map's CRS."""
    west, south, east, north = shapely.total_bounds([findings.area, *findings.footprints.values()])
    half = WIDER * max(east - west, north - south) / 2
    x, y = (west + east) / 2, (south + north) / 2
    return x - half, y - half, x + half, y + half


def graticule(frame: tuple[float, float, float, float], crs: str) -> Iterator[tuple[Floats, str, bool]]:
    """Meridians and parallels over a frame, at round seconds of arc: places (n, 2) in ``crs``, what each is called, and
    whether it is a meridian. None where the frame reaches so far that its borders have no longitude or latitude.
    """
    edge = shapely.get_coordinates(shapely.segmentize(shapely.box(*frame), (frame[2] - frame[0]) / 16))
    there = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    back = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    border = 3600 * np.column_stack(there.transform(*edge.T))
    if not np.isfinite(border).all():
        return
    border[:, 0] = np.unwrap(border[:, 0], period=ROUND)  # across the antimeridian
    low, high = border.min(axis=0), border.max(axis=0)
    for axis, (plus, minus) in enumerate((("E", "W"), ("N", "S"))):
        step = next((step for step in STEPS if high[axis] - low[axis] >= LINES * step), STEPS[-1])
        for at in range(math.ceil(low[axis] / step), math.floor(high[axis] / step) + 1):
            along = np.linspace(low[1 - axis], high[1 - axis], 33)
            across = np.full(len(along), at * step)
            degrees = np.column_stack([across, along] if axis == 0 else [along, across]) / 3600
            seconds = (at * step + ROUND // 2) % ROUND - ROUND // 2
            yield np.column_stack(back.transform(*degrees.T)), _arc(seconds, plus, minus), axis == 0


def _arc(seconds: int, plus: str, minus: str) -> str:
    """Degrees, minutes and seconds, as many of them as are not 0.

    >>> _arc(-340_170, "E", "W"), _arc(133_200, "N", "S"), _arc(0, "E", "W")
    ('94°29′30″W', '37°N', '0°')
    """
    minutes, rest = divmod(abs(seconds), 60)
    whole, part = divmod(minutes, 60)
    words = f"{whole}°" + (f"{part:02d}′" if part or rest else "") + (f"{rest:02d}″" if rest else "")
    return words + (plus if seconds > 0 else minus if seconds else "")


def _draw_line(
    axes: Axes, frame: tuple[float, float, float, float], places: Floats, words: str, *, upright: bool
) -> None:
    """A line of the graticule, named where it enters the frame from the south or the west."""
    axes.plot(*places.T, color=SOFT, lw=0.3, zorder=2)
    inside = shapely.intersection(shapely.LineString(places), shapely.box(*frame))
    if inside.is_empty:
        return
    first = shapely.get_coordinates(inside)
    x, y = first[np.argmin(first[:, 1] if upright else first[:, 0])]
    aside = (frame[2] - frame[0]) / 60
    axes.text(
        x + aside,
        y + aside,
        words,
        size=4.2,
        color=INK,
        rotation=90 if upright else 0,
        ha="left",
        va="bottom",
        zorder=5,
    )


def _words(paper: Paper, words: str, left: float, top: float, width: float) -> None:
    for number, line in enumerate(paper.wrapped(words, 5, width)):
        paper.text(left, top - 2.2 * number, line, 5)


def _outline(axes: Axes, shape: shapely.Geometry, **style: Any) -> None:
    from matplotlib.patches import Polygon

    for part in shapely.get_parts(shape):
        axes.add_patch(Polygon(shapely.get_coordinates(part.exterior), **{"facecolor": "none", **style}))
