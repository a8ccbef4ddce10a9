"""Closed roads and hot spots of simulated disasters, from rasters of their truth, against what the simulator knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely

from mage.learning.mapping.accessibility import find_access
from mage.learning.mapping.findings import Buildings, Observed
from mage.learning.mapping.hotspots import hot_spots
from mage.learning.mapping.roads import roads_of
from mage.scenes.city import City
from mage.scenes.grid import Grid
from mage.scenes.hazards import flood, sample_earthquake
from mage.scenes.hazards.flood import arrival_levels
from mage.scenes.modifiers import aftermath
from mage.scenes.modifiers.blocked import THICK, road_debris
from mage.scenes.modifiers.raster import covered
from mage.scenes.parts import EarthquakePart
from mage.scenes.sources.ground.relief import normal_levels
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.style import load_style
from mage.scenes.terrain import depth_at

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def city() -> City:
    return build_city(load_style("european"), 400.0, np.random.default_rng(1))


def everywhere(city: City, gsd: float) -> Grid:
    """A grid over all of its streets."""
    lines = shapely.union_all([edge.line for edge in city.roads.edges])
    return Grid.covering(lines.buffer(20).bounds, gsd)


def access_of(city: City, grid: Grid, name: str, values: np.ndarray, folder: Path):
    path = folder / f"{name}.tif"
    shape = {"height": grid.rows, "width": grid.columns, "count": len(values), "dtype": values.dtype}
    with rasterio.open(path, "w", driver="GTiff", transform=rasterio.Affine(*grid.transform), **shape) as file:
        file.write(values)
    words, none = np.array([], str), np.zeros(0)
    nobody = Buildings(words, np.array([], object), words, words, none, np.zeros((0, 4)), none, none, words, words)
    roads, area = roads_of(city.roads), shapely.box(*grid.bounds)
    found, _ = find_access(roads, None, Observed((), {name: path}), nobody, grid, area, np.random.default_rng(0))
    return found


@pytest.mark.parametrize("stage", [1.0, 2.0, 3.0])
def test_streets_under_the_depth_that_the_simulator_gives_are_those_that_it_closes(city, stage, tmp_path):
    arrival = arrival_levels(city)
    struck = flood(city, level=float(arrival.min()) + stage, arrival=arrival)
    grid = everywhere(city, 0.5)
    depth = depth_at(city.ground, struck.levels, grid.points())
    depth[depth_at(city.ground, normal_levels(city.ground, city.water), grid.points()) > 0] = 0
    raster = depth.reshape(grid.shape).astype(np.float32)
    found = access_of(city, grid, "depth", np.stack([raster, np.zeros_like(raster)]), tmp_path)
    assert not struck.car.all()
    assert ((found.car < 0.5) == struck.car).mean() >= 0.95
    assert ((found.truck < 0.5) == struck.truck).mean() >= 0.95


def test_streets_under_the_debris_of_an_earthquake_are_those_that_the_simulator_closes(city, tmp_path):
    strike = sample_earthquake(np.random.default_rng(3), city, EarthquakePart(magnitude=(7.8, 8.0), distance=(2, 3)))
    left = aftermath(city, strike, 1)
    _, _, car, truck = road_debris(city, left)
    grid = everywhere(city, 0.25)
    corners = left.debris.vertices[left.debris.triangles]
    high = corners[..., 2].max(axis=1) > city.ground.sample(corners.mean(axis=1)[:, :2]) + THICK
    south = grid.bounds[1]
    _, column, row, _ = covered(corners[high], grid.west, south, grid.gsd)
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    raster = np.zeros((1, *grid.shape), np.float32)
    raster[0, grid.rows - 1 - row[inside], column[inside]] = 1
    found = access_of(city, grid, "debris", raster, tmp_path)
    assert truck.any()
    assert ((found.car >= 0.5) == car).mean() >= 0.95
    assert ((found.truck >= 0.5) == truck).mean() >= 0.95


def test_hot_spots_lie_where_the_flood_was_deepest(city):
    """Most hot places are of the quarter that stood deepest in water, and none is far from all of that quarter."""
    arrival = arrival_levels(city)
    struck = flood(city, level=float(arrival.min()) + 2.0, arrival=arrival)
    points = shapely.get_coordinates(shapely.centroid([b.footprint for b in city.buildings]))
    deep = struck.intensity >= np.quantile(struck.intensity, 0.75)
    hot = hot_spots(points, deep.astype(float), 40).hot
    near = np.hypot(*(points[:, None] - points[None]).T) <= 40
    around = (near @ deep) / near.sum(axis=1)
    assert hot.any()
    assert not hot[around == 0].any()
    assert deep[hot].mean() > 0.5
