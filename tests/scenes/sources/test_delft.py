"""The Delft scene on its own AHN terrain: real heights, one source checked against another."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely

from mage.scenes.city import City
from mage.scenes.grid import Grid
from mage.scenes.mesh import concatenate
from mage.scenes.sources import read_city
from mage.scenes.sources.complete import complete
from mage.scenes.sources.ground.draping import drape
from mage.scenes.sources.ground.elevation import read_terrain
from mage.scenes.sources.ground.lifting import lift_roofs, roof_heights
from mage.scenes.style import load_style

SCENE, DTM, DSM = "cityjson/delft_scene_lod1.city.json", "dem/delft_ahn3_dtm_0.5m.tif", "dem/delft_ahn3_dsm_0.5m.tif"
CENTIMETRES = 0.02


@pytest.fixture(scope="module")
def delft(shared_data: Path) -> City:
    """The scene, draped on its terrain and completed."""
    city = read_city(shared_data / SCENE)
    draped = drape(city, read_terrain([shared_data / DTM], city))
    return complete(draped, load_style("european"), np.random.default_rng(0))


@cache
def file_roofs(path: Path) -> list[tuple[shapely.Polygon, float]]:
    """Outlines and heights of all level roofs in the file, straight out of its JSON."""
    document = json.loads(path.read_text())
    scale, shift = (np.array(document["transform"][k]) for k in ("scale", "translate"))
    points = np.array(document["vertices"]) * scale + shift
    roofs = []
    for item in document["CityObjects"].values():
        if item["type"] != "Building":
            continue
        faces = [points[ring] for face in item["geometry"][0]["boundaries"][0] for ring in face[:1]]
        top = max(float(face[:, 2].max()) for face in faces)
        roofs += [(shapely.Polygon(face[:, :2]), top) for face in faces if (face[:, 2] > top - 1e-6).all()]
    return roofs


def pixels_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Map coordinates of all pixel centres of a raster (n, 2) and its values (n,), NaN for voids."""
    with rasterio.open(path) as file:
        values = file.read(1, masked=True).filled(np.nan).astype(float)
        row, column = np.mgrid[0 : file.height, 0 : file.width]
        x = file.transform.c + (column + 0.5) * file.transform.a
        y = file.transform.f + (row + 0.5) * file.transform.e
    return np.column_stack([x.ravel(), y.ravel()]), values.ravel()


def test_roofs_less_the_terrain_are_the_files_roofs_less_the_survey(delft: City, shared_data: Path) -> None:
    """At the survey's own pixel centres, on every roof of the file, within 2 cm."""
    xy, ground = pixels_of(shared_data / DTM)
    local = xy - delft.origin
    roofs = file_roofs(shared_data / SCENE)
    tree = shapely.STRtree([roof.buffer(-0.05) for roof, _ in roofs])
    pixel, roof = tree.query(shapely.points(xy), predicate="within")
    expected = np.array([top for _, top in roofs])[roof] - ground[pixel]
    built = np.full(len(pixel), np.nan)
    outlines = shapely.STRtree([b.footprint for b in delft.buildings])
    at, building = outlines.query(shapely.points(local[pixel]), predicate="within")
    for index in np.unique(building):
        mine = at[building == index]
        built[mine] = np.fmax(built[mine], roof_heights(delft.buildings[index].mesh, local[pixel[mine]]))
    found = built - delft.ground.sample(local[pixel])
    assert len(pixel) > 30_000
    assert np.isfinite(found).all()
    assert np.abs(found - expected).max() < CENTIMETRES


def test_the_height_raster_of_labels_keeps_those_two_centimetres(delft: City, shared_data: Path) -> None:
    """The generator's own nDSM, without trees and cars, over a tile in the middle."""
    rays = pytest.importorskip("mage.generator.rays", reason="needs embree, of the extra 'generator'")
    fabric, _ = concatenate([b.mesh for b in delft.buildings])
    with rasterio.open(shared_data / DTM) as file:
        west, north = file.bounds.left - delft.origin[0], file.bounds.top - delft.origin[1]
        survey = file.read(1).astype(float)
    row, column = 120, 150
    grid = Grid(200, 200, west + column * 0.5, north - row * 0.5, 0.5)
    hits = rays.cast_down(fabric, grid)
    height = np.rint((hits.z - delft.ground.sample(grid.points().reshape(200, 200, 2))) * 100) / 100
    xy = grid.points() + delft.origin
    roofs = file_roofs(shared_data / SCENE)
    tree = shapely.STRtree([roof.buffer(-0.05) for roof, _ in roofs])
    pixel, roof = tree.query(shapely.points(xy), predicate="within")
    tops = np.full(len(xy), -np.inf)
    np.maximum.at(tops, pixel, np.array([top for _, top in roofs])[roof])
    on = np.isfinite(tops)
    expected = tops[on] - survey[row : row + 200, column : column + 200].ravel()[on]
    assert on.sum() > 5_000
    assert np.abs(height.ravel()[on] - expected).max() < CENTIMETRES


def test_no_building_floats_and_all_keep_the_heights_of_the_file(delft: City, shared_data: Path) -> None:
    read = {b.id: b for b in read_city(shared_data / SCENE).buildings}
    for building in delft.buildings:
        around = delft.ground.sample(shapely.get_coordinates(shapely.segmentize(building.footprint, 0.25)))
        assert building.mesh.vertices[:, 2].min() <= around.min() + CENTIMETRES
        before = read[building.id]
        assert (building.ground, building.height) == (before.ground, before.height)
        assert building.mesh.vertices[:, 2].max() == before.mesh.vertices[:, 2].max()
    assert sum(delft.notes[k] for k in delft.notes if "terrain" in k) <= len(read)
    assert delft.notes["walls carried down to the terrain"] > 0


def test_lifted_roofs_lie_on_the_surface_model(shared_data: Path) -> None:
    city = read_city(shared_data / SCENE)
    lifted = lift_roofs(city, shared_data / DSM)
    xy, surface = pixels_of(shared_data / DSM)
    local = xy - city.origin
    known = np.isfinite(surface)
    before, after = [], []
    for old, new in zip(city.buildings, lifted.buildings, strict=True):
        core = old.footprint.buffer(-0.5)
        inside = known & shapely.contains_xy(core, *local.T)
        if new is not old and inside.any():
            before.append(np.median(surface[inside]) - (old.ground + old.height))
            after.append(np.median(surface[inside] - roof_heights(new.mesh, local[inside])))
    assert len(after) > 140
    assert np.median(before) > 3
    assert np.abs(after).max() < 0.3
    assert lifted.notes["roofs lifted to the surface model"] == len(after)
