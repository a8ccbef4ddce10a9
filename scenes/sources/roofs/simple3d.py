"""Simple 3D Buildings: from the numbers that OpenStreetMap states to closed meshes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import Polygon

from mage.scenes.city import Volume
from mage.scenes.errors import CityError
from mage.scenes.mesh import Mesh, concatenate
from mage.scenes.sources.roofs.shapes import PITCHES, roof_sheet, shape_named
from mage.scenes.sources.roofs.sheet import Sheet, raised

GRID = 1e-3  # metres; corners of outlines lie on multiples of this
STRAIGHT = 2e-3  # metres; a corner that is nearer to the line between its neighbours is none
SMALLEST = 1e-3  # square metres; a plan below this is nothing
FARTHEST = 1e8  # metres; no map frame on Earth holds a larger number
MOST_CORNERS = (20_000, 250)  # of an outline under a flat roof and any other; a skeleton's time grows with the square
STOREY = 3.0  # metres, of a storey in the roof where neither its height nor the building's storeys are stated
LEAST_WALL = 0.01  # metres of wall under a roof whose height is stated
INFERRED_ROOF = 0.5  # of the height above the foot: the most that a roof of unstated height takes


def volume_mesh(volume: Volume, notes: Counter[str] | None = None) -> Mesh:
    """A closed mesh of a volume, normals outward; x and y as in its outline, z counted from the ground.

    The wiki of OpenStreetMap counts ``roof:height`` within ``height``: the top is at ``volume.height`` whatever the
    roof, and the eave that much lower. A stated roof leaves at least 1 cm of wall, one of unstated height at least
    half of what stands above the foot. The outline's corners move by up to 3 mm, and 1.5 cm where
    CGAL needs it. The underside of what does not
    stand on the ground is wall, as :data:`~mage.scenes.sources.raw.SEMANTICS` has it for outer ceilings.

    Args:
        volume: its ``height`` must be a number.
        notes: counts what was repaired.

    Raises:
        ValueError: ``volume.height`` is None.
        CityError: the numbers or the outline leave nothing to build, or no roof can be found.
        MissingExtraError: the roof needs the straight skeleton, and compas_cgal is not installed.
    """
    if volume.height is None:
        raise ValueError("the height of a volume must be known before it is raised")
    notes = Counter() if notes is None else notes
    _check_numbers(volume, volume.height)
    shape, _ = shape_named(volume.roof)
    try:
        plans = _plans(volume.outline, notes, MOST_CORNERS[shape != "flat"])
        meshes = [_part_mesh(plan, shape, volume, volume.height, notes) for plan in plans]
    except shapely.errors.GEOSException as error:
        raise CityError("an outline that cannot be built on", found=str(error)) from error
    if not meshes:
        raise CityError("an outline without an area", expected=f"{SMALLEST} square metres or more")
    return concatenate(meshes)[0]


def building_mesh(volumes: Sequence[Volume], notes: Counter[str] | None = None) -> Mesh:
    """All volumes as one mesh, each closed by itself; raises what :func:`volume_mesh` raises."""
    return concatenate([volume_mesh(volume, notes) for volume in volumes])[0]


def _check_numbers(volume: Volume, height: float) -> None:
    numbers = [volume.base, height, volume.direction, volume.roof_height, volume.roof_levels, volume.levels]
    if not all(math.isfinite(n) and abs(n) < FARTHEST for n in numbers if n is not None):
        raise CityError("a volume of a height that is no height", found=f"{numbers}")
    if height - volume.base <= 2 * LEAST_WALL:
        raise CityError("a volume that does not rise", expected=f"a height above {volume.base}", found=f"{height}")


def _plans(outline: Polygon, notes: Counter[str], most: int) -> list[Polygon]:
    """The outline as simple polygons without corners that make no difference."""
    corners = shapely.get_coordinates(outline)
    if not len(corners) or not (np.abs(corners) < FARTHEST).all():  # NaN compares as false
        raise CityError("an outline that is nowhere", found=f"{len(corners)} corners, not all of them on Earth")
    if not outline.is_valid:
        notes["outlines that cross themselves taken apart"] += 1
    # numbers next to nothing would make GEOS divide by zero when it lays them on the grid
    rounded = shapely.transform(outline, lambda xy: np.round(xy, 9))
    snapped = shapely.set_precision(shapely.make_valid(rounded), GRID)
    parts = shapely.get_parts(shapely.set_precision(snapped, 0)).tolist()  # 0: what follows is not bound to the grid
    pieces = [part for part in parts if part.geom_type == "Polygon" and part.area >= SMALLEST]
    simple = [_simple(piece, notes, most) for piece in pieces]
    return [plan for piece in simple for plan in _drawn_apart(piece, len(simple) > 1, notes)]


def _simple(plan: Polygon, notes: Counter[str], most: int) -> Polygon:
    """The plan without corners that are hardly any, with no more than ``most``, and of courtyards a tenth of that."""
    if len(plan.interiors) > most // 10:
        notes[f"outlines of more than {most // 10} courtyards without the smallest"] += 1
        largest = sorted(plan.interiors, key=lambda ring: -Polygon(ring).area)
        plan = Polygon(plan.exterior, largest[: most // 10])
    tolerance = min(STRAIGHT, GRID * math.sqrt(plan.area))
    simple = plan.simplify(tolerance)
    if shapely.get_num_coordinates(simple) > most:
        notes[f"outlines of more than {most} corners simplified"] += 1
    while shapely.get_num_coordinates(simple) > most and tolerance < FARTHEST:
        tolerance *= 2
        simple = plan.simplify(tolerance)
    return simple


def _drawn_apart(plan: Polygon, touches: bool, notes: Counter[str]) -> list[Polygon]:
    """The plan, or what is left of it a millimetre inside where its rings touch, as it itself does if ``touches``."""
    rings = [plan.exterior, *plan.interiors]
    if touches or any(a.distance(b) < GRID for i, a in enumerate(rings) for b in rings[:i]):
        notes["outlines that touch themselves drawn in by a millimetre"] += 1
        plan = plan.buffer(-GRID, join_style="mitre")
    parts = shapely.get_parts(plan).tolist()
    return [part for part in parts if part.area >= SMALLEST]


def _part_mesh(plan: Polygon, shape: str, volume: Volume, height: float, notes: Counter[str]) -> Mesh:
    west, south = (round(v) for v in plan.bounds[:2])
    here = affinity.translate(plan, -west, -south)
    sheet, run = roof_sheet(here, shape, volume.orientation, volume.direction, notes)
    rise = _roof_height(volume, height, run * PITCHES[shape]) if run else 0.0
    placed = Sheet(sheet.points + np.array([west, south]), sheet.triangles, sheet.rise)
    return raised(placed, volume.base, height - rise, height)


def _roof_height(volume: Volume, height: float, usual: float) -> float:
    """Metres from the eave to the top: as stated, else of the stated storeys, else ``usual``; within the volume."""
    body = height - volume.base
    if volume.roof_height is not None and volume.roof_height > 0:
        return min(volume.roof_height, body - LEAST_WALL)
    if volume.roof_levels is not None and volume.roof_levels > 0:
        below = volume.levels or 0.0
        storey = height / (below + volume.roof_levels) if below > 0 else STOREY
        return min(volume.roof_levels * storey, body - LEAST_WALL)
    return min(usual, body * INFERRED_ROOF)
