"""A sample's camp: drawn for the whole city, cleared of what the disaster did, and what the record says of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree
from shapely.geometry import Polygon

from mage.generator.place import Place
from mage.generator.plan import ShardJob
from mage.generator.rings import polygons_of
from mage.generator.struck import Struck
from mage.generator.tiles import Reach, part_of
from mage.generator.trodden import track_plans
from mage.scenes.dataset.schema import TentRecord
from mage.scenes.grid import Grid
from mage.scenes.hazards.camp import COLOURS, FORMS, Camp, sample_camp
from mage.scenes.hazards.reached import reached
from mage.scenes.impact import Impact
from mage.scenes.parts import CampPart
from mage.scenes.strike import Strike, untouched
from mage.scenes.terrain import Terrain, depth_at

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Shapes = NDArray[np.object_]

CAMP_STREAM = 61  # of a sample
APART = 0.5  # metres that tents keep from debris and water
POINTS = 15  # along each side of a plan's box at which water and fire are looked for


def draw_camp(job: ShardJob, index: int, place: Place, strikes: Sequence[Strike], reach: Reach | None) -> Camp | None:
    """The camp of sample ``index`` on ground that its disaster leaves alone; None where the recipe has none."""
    part = next((p for p in job.recipe.hazards if isinstance(p, CampPart)), None)
    if part is None:
        return None
    spoilt = None
    if strikes or reach is not None:
        spoilt = reached(place.city, strikes, None if reach is None else reach.awaited)
    if (part_of_city := part_of(job, place.city)) is not None:
        outside = _outside(place.city.ground, part_of_city)
        spoilt = outside if spoilt is None else spoilt | outside
    return sample_camp(job.rng(index, CAMP_STREAM), place.city, part, spoilt=spoilt)


def _outside(terrain: Terrain, box: tuple[float, float, float, float]) -> Flags:
    """Vertices (rows, columns) of a terrain outside a part of the city: a camp is where its tiles are."""
    x, y = terrain.axes()
    west, south, east, north = box
    return np.asarray(~(((y >= south) & (y <= north))[:, None] & ((x >= west) & (x <= east))))


def struck_by(camp: Camp, place: Place) -> Strike:
    """A camp as what it is to a city's buildings: nothing. Its parameters tell how it was put up."""
    return untouched(place.city, "camp", {"wanted": camp.wanted, "tents": len(camp), "layout": camp.layout})


def cleared(camp: Camp, place: Place, impact: Impact, struck: Struck | None) -> Camp:
    """The camp but for what would stand in water, on burnt ground or in debris; the tile's debris is known by now."""
    gone, lost = _spoilt(place, impact, struck, camp.plans()), _spoilt(place, impact, struck, track_plans(camp.tracks))
    return camp.without(gone, lost) if gone.any() or lost.any() else camp


def _spoilt(place: Place, impact: Impact, struck: Struck | None, plans: Sequence[Polygon] | Shapes) -> Flags:
    """Which plans (k,) the disaster, or permanent water, touches."""
    if not len(plans):
        return np.zeros(0, bool)
    shapes, terrain = np.array(plans, dtype=object), place.city.ground
    x, y = (np.linspace(low, high, POINTS) for low, high in zip(*_corners(shapes), strict=True))
    points = np.stack(np.broadcast_arrays(x[:, None], y[None, :]), axis=-1)
    inside = shapely.contains_xy(shapely.buffer(shapes, APART), points[..., 0], points[..., 1])
    spoilt = np.zeros(inside.shape, bool)
    for levels in (place.water_levels, impact.highest, impact.levels):
        spoilt |= depth_at(terrain, levels, points) > 0
    if struck is None:
        return (spoilt & inside).any(axis=(0, 1))
    spoilt |= terrain.sample(points, struck.severity) > 0
    gone = (spoilt & inside).any(axis=(0, 1))
    gone[STRtree(shapes).query(_lying(struck, shapes), predicate="dwithin", distance=APART)[1]] = True
    return np.asarray(gone)


def _corners(shapes: Shapes) -> tuple[Floats, Floats]:
    """Lowest and highest x and y, (2, k) each, of shapes grown by what tents keep apart."""
    bounds = shapely.bounds(shapes).T
    return bounds[:2] - APART, bounds[2:] + APART


def _lying(struck: Struck, shapes: Shapes) -> Shapes:
    """Plans of the faces of what is left of buildings, near some shapes."""
    mesh, (west, south, east, north) = struck.remains.mesh, shapely.total_bounds(shapes)
    corners = mesh.vertices[mesh.triangles][..., :2]
    low, high = corners.min(axis=1), corners.max(axis=1)
    near = (high > (west - APART, south - APART)).all(axis=1) & (low < (east + APART, north + APART)).all(axis=1)
    return np.asarray(shapely.polygons(corners[near]), dtype=object)


def tent_records(camp: Camp | None, shown: NDArray[np.int64], grid: Grid, place: Place) -> list[TentRecord]:
    """The tents that a tile shows, numbered as in its raster."""
    if camp is None:
        return []
    plans, records = camp.tents(), []
    for number, i in enumerate(shown):
        pixels, on_map = polygons_of(plans[i], grid, place)
        length, width = camp.size[i]
        records.append(
            TentRecord(
                id=number + 1,
                polygons_px=pixels,
                polygons_map=on_map,
                colour=COLOURS[camp.colour[i]],
                form=FORMS[camp.form[i]],
                length=round(float(length), 3),
                width=round(float(width), 3),
            )
        )
    return records
