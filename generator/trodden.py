"""Ground that people have worn: tracks between the tents of a camp, and bare earth around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from mage.generator.colour import reflectance
from mage.generator.covers import SOFT, burn, cover_of, road_ids
from mage.generator.ground import Raster
from mage.generator.noise import fractal
from mage.generator.place import Place
from mage.scenes.grid import Grid
from mage.scenes.hazards.camp import TRACK, Camp

Floats = NDArray[np.float64]

AROUND = 1.7  # metres around tents in which feet have thinned the grass out
THIN = 0.8  # of the ground beside a tent that is bare
SOLID = 0.2  # of the earth that feet carry onto what is paved stays there
RUT, WHEELS = 0.22, 1.7  # metres: half width of a rut, and from one wheel's to the other's


def trodden(place: Place, grid: Grid, ground: Raster, camp: Camp) -> Raster:
    """A tile's dry ground with what a camp has worn, float32 (rows, columns, 3)."""
    reach = shapely.box(*grid.bounds).buffer(3 * AROUND)
    plans = [p for p in camp.plans() if p.intersects(reach)]
    tracks = [t for t in camp.tracks if t.intersects(reach)]
    if not plans and not tracks:
        return ground
    margin = int(np.ceil(3 * AROUND / grid.gsd))
    wide = grid.padded(margin)
    worn = np.maximum(_around(wide, plans), _tracks(wide, tracks))
    soft = np.isin(cover_of(place, grid, road_ids(place, grid)), SOFT)
    share = worn[margin : margin + grid.rows, margin : margin + grid.columns] * np.where(soft, 1.0, SOLID)
    earth = reflectance([s.srgb for s in place.style.look.ground["bare"]]).mean(axis=0)
    fine = np.exp(0.14 * fractal(grid, (3.0, 1.1, 0.5), seed=307))[..., None]
    ruts = (1 - 0.2 * _ruts(grid, tracks))[..., None]
    layer: Any = earth * fine * ruts
    return np.asarray(ground * (1 - share[..., None]) + layer * share[..., None], np.float32)


def track_plans(tracks: Sequence[shapely.LineString]) -> list[shapely.Geometry]:
    """Surfaces of a camp's tracks, local metres."""
    return [track.buffer(TRACK / 2, cap_style="flat") for track in tracks]


def _around(grid: Grid, plans: list[shapely.Geometry]) -> Floats:
    """Share of the ground that feet have worn bare around what stands, 0-1."""
    inside = burn(plans, [1] * len(plans), grid, "uint8") > 0
    if not inside.any():
        return np.zeros(grid.shape)
    away = distance_transform_edt(~inside, sampling=grid.gsd)
    uneven = AROUND * (1 + 0.6 * fractal(grid, (6.0, 2.2), seed=311))
    return np.asarray(THIN * np.exp(-((away / np.maximum(uneven, 0.5)) ** 2)))


def _tracks(grid: Grid, tracks: list[shapely.LineString]) -> Floats:
    """Share of the ground that tracks cover, with soft edges."""
    inside = burn(track_plans(tracks), [1] * len(tracks), grid, "uint8").astype(np.float32)
    return np.asarray(0.97 * cv2.GaussianBlur(inside, (0, 0), max(0.25 / grid.gsd, 0.3)), float)


def _ruts(grid: Grid, tracks: list[shapely.LineString]) -> Floats:
    lines = [side for t in tracks for way in (-1, 1) if not (side := t.offset_curve(way * WHEELS / 2)).is_empty]
    shapes = [line.buffer(RUT) for line in lines]
    return burn(shapes, [1] * len(shapes), grid, "uint8").astype(float)
