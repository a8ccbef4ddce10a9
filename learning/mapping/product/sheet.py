"""The map for the wall and the field: an A3 sheet as PDF and PNG.

Drawn with matplotlib's canvas alone, so that no window and no setting of the user takes part, and equal to the byte for
equal findings. Lengths are in millimetres of paper, those of lines and letters in points.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from mage.learning.mapping.areas import letters
from mage.learning.mapping.assessment import lattice
from mage.learning.mapping.findings import Findings, Geometries, Product
from mage.learning.mapping.product import names
from mage.learning.mapping.product.drawing import (
    AREA,
    DEBRIS_UNDER,
    EXTENTS,
    HOT,
    ISOLATED,
    ROADS,
    ROUTE,
    VERDICTS,
    is_cell,
    length,
    median_side,
    ranked,
    road_states,
    round_length,
    simplified,
    small,
    symbol,
    tinted,
    true_north,
)
from mage.learning.mapping.product.layers import hot_spots
from mage.learning.mapping.product.margin import MOST, draw_margin
from mage.learning.mapping.product.paper import BAND, DPI, INK, Paper
from mage.learning.mapping.product.turns import turns
from mage.learning.runs import publish
from mage.scenes.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 420.0, 297.0  # A3
FRAME = (14.0, 58.0, 288.0, 231.0)  # of the map: left, bottom, width, height
PIXELS = 1800  # of the image under the map at most: 160 to the inch, for a file that can be mailed
ROUND = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 7.5)  # scales of maps, times a power of ten
SMALLEST = 0.9  # mm: buildings that are smaller on paper are drawn as marks of this side
CELLS = (5.0, 8.0)  # mm: sides of cells from which on each is named, and lines part them
CELL_LABEL: dict[str, Any] = {"size": 7.5, "weight": "bold", "color": BAND, "ha": "center", "va": "center"}

Box = tuple[float, float, float, float]


def write_sheet(findings: Findings, folder: Path) -> list[Path]:
    """Write ``map.pdf`` and ``map.png`` (A3 landscape, 200 pixels to the inch) of what was found.

    A grading product shows every building's grade, a delineation product the event over buildings that are not graded,
    a first estimate the areas by how many damaged buildings are expected there.

    Raises:
        MissingExtraError: matplotlib is not installed.
        DatasetError: an image cannot be read.
    """
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "mapping")
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # fonts that keep what letters mean, so that words can be searched; `$` in a name is no formula
        matplotlib.rcParams.update({"pdf.fonttype": 42, "hatch.linewidth": 0.4, "text.parse_math": False})
        figure = draw_sheet(findings)
        written = []
        dates: dict[str, None] = {"CreationDate": None, "Producer": None}
        for name, metadata in (("map.pdf", dates), ("map.png", {"Software": None})):
            content = BytesIO()
            figure.savefig(content, format=Path(name).suffix[1:], dpi=DPI, metadata=metadata)
            publish(folder / name, content.getvalue())
            written.append(folder / name)
    return written


def draw_sheet(findings: Findings) -> Figure:
    """The sheet as a figure of matplotlib's."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH / 25.4, HEIGHT / 25.4), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    paper = Paper(figure, WIDTH, HEIGHT)
    extent, scale = view(findings)
    axes = paper.axes(*FRAME)
    axes.set(xlim=(extent[0], extent[2]), ylim=(extent[1], extent[3]))
    _backdrop(axes, findings, extent)
    _event(axes, findings, scale)
    if findings.event.product is Product.FIRST_ESTIMATE:
        _ranking(axes, findings)
    else:
        _buildings(axes, findings, scale)
    _roads(axes, findings, scale)
    _changes(axes, findings, scale)
    _marks(axes, findings, extent, scale)
    _frame(axes, findings, extent, scale)
    draw_margin(paper, findings, scale)
    return figure


def view(findings: Findings) -> tuple[Box, int]:
    """What the frame shows, (west, south, east, north), and the number that the scale is one to: a round one at which
    the area fits.
    """
    west, south, east, north = shapely.bounds(findings.area)
    least = 1000 * 1.04 * max((east - west) / FRAME[2], (north - south) / FRAME[3])
    power = 10.0 ** math.floor(math.log10(least))
    scale = next(step * power for step in (*ROUND, 10) if step * power >= least)
    x, y = (west + east) / 2, (south + north) / 2
    wide, high = (scale * side / 2000 for side in FRAME[2:])
    return (x - wide, y - high, x + wide, y + high), round(scale)


def _backdrop(axes: Axes, findings: Findings, extent: Box) -> None:
    """The image after the event, paled so that colours over it can be told, and more so beyond the area."""
    window = findings.grid.window(extent)
    if all(part.stop > part.start for part in window):
        picture = small(findings.post, window, PIXELS)
        values = picture.image.astype(np.float32)
        grey = values.mean(axis=-1, keepdims=True)
        pale = np.where(picture.valid[..., None], 255 - 0.8 * (255 - (0.8 * values + 0.2 * grey)), 238)
        west, south, east, north = picture.grid.bounds
        axes.imshow(pale.astype(np.uint8), extent=(west, east, south, north), interpolation="none", zorder=0)
        axes.set(xlim=(extent[0], extent[2]), ylim=(extent[1], extent[3]), aspect="auto")
    axes.set_facecolor("#eeeeee")
    beyond = shapely.difference(shapely.box(*extent), findings.area)
    _fill(axes, [beyond], facecolor="white", alpha=0.62, linewidth=0, zorder=4.9)
    unseen = shapely.difference(findings.area, findings.seen)
    if unseen.area > 1e-4 * findings.area.area:
        _fill(axes, [unseen], facecolor="none", edgecolor="#666666", hatch="///", linewidth=0.4, zorder=1.1)


def _event(axes: Axes, findings: Findings, scale: int) -> None:
    strong = findings.event.product is Product.DELINEATION
    for extent in findings.observed.extents:
        colour = EXTENTS[extent.what][1]
        shapes = simplified(extent.outline, scale * 1e-4)
        if extent.what == "debris":
            _fill(axes, shapes, facecolor=DEBRIS_UNDER, alpha=0.55, linewidth=0, zorder=2)
            _fill(axes, shapes, facecolor="none", edgecolor=colour, hatch="....", linewidth=0.7, zorder=2.1)
            continue
        _fill(axes, shapes, facecolor=colour, alpha=0.45 if strong else 0.3, linewidth=0, zorder=2)
        _fill(axes, shapes, facecolor="none", edgecolor=colour, linewidth=1.0 if strong else 0.7, zorder=2.1)


def _ranking(axes: Axes, findings: Findings) -> None:
    """Areas in steps of red by the expected number of damaged buildings, numbered as in the table: cells, with areas
    that have names of their own as lines over them, or those alone.
    """
    filled = tinted(findings)
    for _, area in ranked(findings):
        if area.damaged > 0 and not is_cell(area) and is_cell(filled[0][1]):
            _fill(axes, [area.outline], facecolor="none", edgecolor="#7a0d12", linewidth=1.6, zorder=2.7)
    most = max((area.damaged for _, area in filled), default=0)
    for place, area in reversed(filled):
        strength = 0.08 + 0.5 * area.damaged / most
        _fill(axes, [area.outline], facecolor=VERDICTS[names.DESTROYED], alpha=strength, linewidth=0, zorder=2.5)
        _fill(axes, [area.outline], facecolor="none", edgecolor="#7a0d12", linewidth=0.5, zorder=2.6)
        if place <= MOST:
            middle = shapely.point_on_surface(area.outline)
            _label(axes, middle.x, middle.y, str(place), size=9, weight="bold")


def _buildings(axes: Axes, findings: Findings, scale: int) -> None:
    """Buildings by grade, the worst over the others; where they would be specks, marks of one size."""
    graded = findings.event.product is Product.GRADING
    buildings = findings.buildings
    specks = 1000 * median_side(buildings.outline) / scale < SMALLEST
    for height, (verdict, colour) in enumerate(reversed(list(VERDICTS.items())) if graded else [(None, "#4a4a4a")]):
        chosen = np.ones(len(buildings), bool) if verdict is None else buildings.verdict == verdict
        if not chosen.any():
            continue
        weak = verdict in (None, names.UNDAMAGED, names.NOT_ANALYSED)
        style: dict[str, Any] = {"facecolor": colour, "alpha": 0.6 if weak else 0.95, "zorder": 4 + 0.1 * height}
        if specks:
            side = (0.7 if weak else 1.0) * SMALLEST * 72 / 25.4
            x, y = buildings.points[chosen].T
            axes.scatter(x, y, s=side**2, marker="s", edgecolors="#222222", linewidths=0.15, **style)
        else:
            shapes = simplified(buildings.outline[chosen], scale * 5e-5)
            _fill(axes, shapes, edgecolor="#222222", linewidth=0.15 if weak else 0.25, **style)


def _roads(axes: Axes, findings: Findings, scale: int) -> None:
    """Roads by state over a dark casing, closed ones over open ones; and the route."""
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import Normal, Stroke

    access = findings.access
    if access is None:
        return
    states = road_states(access)
    points = np.clip(5500 / scale * 72 / 25.4, 0.45, 1.5)  # a street of 5.5 m, to scale where that can be seen
    for height, (state, colour) in enumerate(reversed(ROADS.items())):
        lines = [shapely.get_coordinates(access.roads.lines[k]) for k in np.flatnonzero(states == state)]
        wide = points * (0.7 if state in (names.OPEN, names.NOT_ANALYSED) else 1.6)
        drawn = LineCollection(lines, colors=colour, linewidths=wide, zorder=3 + 0.1 * height, capstyle="round")
        drawn.set_path_effects([Stroke(linewidth=wide + 0.6, foreground="#333333"), Normal()])
        axes.add_collection(drawn, autolim=False)
    _fill(axes, access.isolated, facecolor="none", edgecolor=ISOLATED, hatch="xx", linewidth=1.2, zorder=3.6)
    if access.route is not None:
        way = axes.plot(*shapely.get_coordinates(access.route.line).T, color=ROUTE, lw=2.2, ls=(0, (3, 1.2)), zorder=5)
        way[0].set_path_effects([Stroke(linewidth=3.6, foreground="white"), Normal()])


def _changes(axes: Axes, findings: Findings, scale: int) -> None:
    """Rings about what is worse or better than in the product before, and its streets over a band."""
    from matplotlib.collections import LineCollection

    for turn in turns(findings):
        rings = [shape.buffer(scale * 5e-4) for shape in turn.outlines]  # half a millimetre of paper around
        _fill(axes, rings, facecolor="none", edgecolor="white", linewidth=2.6, zorder=5.2)
        _fill(axes, rings, facecolor="none", edgecolor=turn.colour, linewidth=1.4, zorder=5.3)
        streets = [shapely.get_coordinates(line) for line in turn.lines]
        axes.add_collection(LineCollection(streets, colors=turn.colour, linewidths=5, alpha=0.6, zorder=2.9))


def _marks(axes: Axes, findings: Findings, extent: Box, scale: int) -> None:
    """The area's border, hot spots and facilities."""
    _fill(axes, [findings.area], facecolor="none", edgecolor=AREA, linewidth=1.4, linestyle=(0, (6, 2)), zorder=6)
    hot = simplified(hot_spots(findings), scale * 1e-4)
    _fill(axes, hot, facecolor="none", edgecolor="white", linewidth=2.6, zorder=6.1)
    _fill(axes, hot, facecolor="none", edgecolor=HOT, linewidth=1.4, zorder=6.2)
    facilities = findings.access.facilities if findings.access is not None else None
    if facilities is None:
        return
    west, south, east, north = extent
    inside = (
        (facilities.points[:, 0] > west)
        & (facilities.points[:, 0] < east)
        & (facilities.points[:, 1] > south)
        & (facilities.points[:, 1] < north)
    )
    for (x, y), kind in zip(facilities.points[inside], facilities.kind[inside], strict=True):
        axes.plot(x, y, marker="s", ms=8, mfc=ROUTE, mec="white", mew=1, zorder=7)
        axes.text(
            x, y, symbol(kind), color="white", size=6.5, weight="bold", ha="center", va="center_baseline", zorder=7.1
        )


def _frame(axes: Axes, findings: Findings, extent: Box, scale: int) -> None:
    """Coordinates around the map, crosses and cells over it, the scale bar and the north arrow."""
    step = round_length((extent[2] - extent[0]) / 5)
    ticks = [np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step for low, high in _sides(extent)]
    axes.set_xticks(ticks[0], [_coordinate(x) for x in ticks[0]], size=6, color=INK)
    axes.set_yticks(ticks[1], [_coordinate(y) for y in ticks[1]], size=6, color=INK, rotation=90, va="center")
    axes.tick_params(length=2.5, width=0.5, pad=1.5, top=True, right=True, color=INK)
    crosses = np.stack(np.meshgrid(*ticks), -1).reshape(-1, 2)
    axes.plot(*crosses.T, "+", color="white", ms=7, mew=0.7, zorder=5.5, alpha=0.9)
    for side in axes.spines.values():
        side.set(linewidth=1.0, color=INK)
    _cells(axes, findings, extent, scale)
    _scale_bar(axes, scale)
    _north_arrow(axes, true_north(findings.grid))


def _cells(axes: Axes, findings: Findings, extent: Box, scale: int) -> None:
    """The cells that areas are called by: dotted where there is room for it, letters above and numbers to the right,
    as many as can be read.
    """
    grid = lattice(findings.buildings, findings.area)
    west, south, east, north = findings.area.bounds
    every = math.ceil(CELLS[0] * scale / 1000 / grid.size)
    for column in range(math.floor((west - grid.west) / grid.size), math.ceil((east - grid.west) / grid.size)):
        x = grid.west + (column + 0.5) * grid.size
        if column % every == 0 and extent[0] < x < extent[2]:
            axes.text(x, 1 + 2.2 / FRAME[3], letters(column), transform=axes.get_xaxis_transform(), **CELL_LABEL)
    for row in range(math.floor((grid.north - north) / grid.size), math.ceil((grid.north - south) / grid.size)):
        y = grid.north - (row + 0.5) * grid.size
        if row % every == 0 and extent[1] < y < extent[3]:
            axes.text(1 + 3.0 / FRAME[2], y, str(row + 1), transform=axes.get_yaxis_transform(), **CELL_LABEL)
    if grid.size * 1000 / scale >= CELLS[1]:
        style: dict[str, Any] = {"color": "white", "lw": 0.6, "ls": (0, (1, 2)), "alpha": 0.9, "zorder": 4.8}
        for x in np.arange(grid.west, extent[2], grid.size):
            axes.axvline(x, **style)
        for y in np.arange(grid.north, extent[1], -grid.size):
            axes.axhline(y, **style)


def _scale_bar(axes: Axes, scale: int) -> None:
    """Four fields of a round length, in a corner of the map."""
    from matplotlib.patches import Rectangle

    whole = round_length(scale * 60 / 1000)
    wide, high = whole * 1000 / scale, 2.0  # mm
    inset = _inset(axes, 4, 4, wide + 16, 15)
    for part in range(4):
        fill = INK if part % 2 == 0 else "white"
        inset.add_patch(
            Rectangle((6 + part * wide / 4, 5), wide / 4, high, facecolor=fill, edgecolor=INK, linewidth=0.5)
        )
    for share in (0, 0.5, 1):
        words = "0" if share == 0 else length(whole * share)
        inset.text(6 + share * wide, 4.4, words, size=6.5, color=INK, ha="center", va="top")
    inset.text(6, 8.6, f"1 : {scale:,} on A3".replace(",", "\u202f"), size=7.5, weight="bold", color=INK, va="bottom")


def _north_arrow(axes: Axes, angle: float | None) -> None:
    """To true north, which grids turn away from; a frame that is nowhere on Earth has none."""
    from matplotlib.patches import Polygon

    inset = _inset(axes, FRAME[2] - 18, FRAME[3] - 23, 14, 19)
    turn = math.radians(angle or 0.0)
    right, up = np.array([math.cos(turn), -math.sin(turn)]), np.array([math.sin(turn), math.cos(turn)])
    middle, tip = np.array([7.0, 9.0]), 7.5
    for side, fill in ((-1, INK), (1, "white")):
        corners = [middle + up * tip * 0.7, middle + side * right * 3 - up * 4.5, middle - up * 2.8]
        inset.add_patch(Polygon(corners, facecolor=fill, edgecolor=INK, linewidth=0.6))
    x, y = middle + up * 7.4
    inset.text(x, y, "N", size=8, weight="bold", color=INK, ha="center", va="center")
    words = "of the grid" if angle is None else "true north"
    inset.text(7, 0.8, words, size=5, color=INK, ha="center", va="bottom")


def _inset(axes: Axes, left: float, bottom: float, width: float, height: float) -> Axes:
    """A white box over the map, in millimetres from its lower left corner, whose units are millimetres."""
    box = (left / FRAME[2], bottom / FRAME[3], width / FRAME[2], height / FRAME[3])
    inset = axes.inset_axes(box, zorder=8)
    inset.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[], facecolor=(1, 1, 1, 0.88))
    for side in inset.spines.values():
        side.set(linewidth=0.4, color=INK)
    return inset


def _fill(axes: Axes, shapes: Iterable[shapely.Geometry] | Geometries, **style: Any) -> None:
    """Polygons with their holes as one path, so that 20,000 of them are one thing to draw."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    corners, codes = [], []
    for ring in _rings(shapes):
        corners.append(ring)
        code = np.full(len(ring), Outline.LINETO, np.uint8)
        code[0], code[-1] = Outline.MOVETO, Outline.CLOSEPOLY
        codes.append(code)
    if corners:
        axes.add_patch(PathPatch(Outline(np.concatenate(corners), np.concatenate(codes)), **style))


def _rings(shapes: Iterable[shapely.Geometry] | Geometries) -> list[np.ndarray[tuple[int, int], np.dtype[np.float64]]]:
    parts = shapely.get_parts(np.array([shape for shape in shapes if not shape.is_empty], object))
    polygons = shapely.orient_polygons(parts[shapely.get_dimensions(parts) == 2])
    return [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(polygons))]


def _label(axes: Axes, x: float, y: float, words: str, **style: Any) -> None:
    from matplotlib.patheffects import Normal, Stroke

    text = axes.text(x, y, words, color=INK, ha="center", va="center", zorder=6.5, clip_on=True, **style)
    text.set_path_effects([Stroke(linewidth=2, foreground="white"), Normal()])


def _sides(extent: Box) -> Sequence[tuple[float, float]]:
    return (extent[0], extent[2]), (extent[1], extent[3])


def _coordinate(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\u202f") if abs(value) >= 10 else f"{value:g}"
