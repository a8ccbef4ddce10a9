"""A small map's findings, made by hand: 64 m x 48 m with a dozen buildings, two streets, water and a fire station.

Metres here are counted from the south-west corner; ``at`` brings them to the frame of the map.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray

from mage.learning.buildings import cems_verdicts, grade_entropy
from mage.learning.mapping.access import entries, reach, reachability, route
from mage.learning.mapping.areas import Area, Lattice, affected_areas, cells
from mage.learning.mapping.findings import (
    Access,
    Buildings,
    Event,
    Extent,
    Facilities,
    Findings,
    Kind,
    Observed,
    Population,
    Source,
)
from mage.learning.mapping.hotspots import hot_spots, kernel_density
from mage.learning.mapping.maps import to_bytes
from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.places import place_on, seconds_to
from mage.learning.mapping.register import Registration
from mage.learning.mapping.roads import Roads, straight_roads
from mage.scenes.grid import Grid

WEST, SOUTH, WIDTH, HEIGHT = 500_000.0, 5_300_000.0, 64.0, 48.0  # near Linz, on the central meridian of UTM 33
ORIGIN = np.array([WEST, SOUTH])
CORNERS = [(x, y) for y in (40.0, 31.0, 10.0) for x in (4.0, 17.0, 38.0, 51.0)]  # of houses, 7 m x 6 m, from the north
FLOODED = shapely.box(29.0, 0.0, 64.0, 12.0)
RUBBLE = shapely.box(44.0, 21.0, 50.0, 27.0)
GRADES = (  # no damage, minor, major, destroyed
    (0.95, 0.03, 0.01, 0.01),
    (0.88, 0.08, 0.03, 0.01),
    (0.02, 0.03, 0.05, 0.90),
    (0.05, 0.05, 0.10, 0.80),
    (0.45, 0.25, 0.20, 0.10),
    (0.97, 0.01, 0.01, 0.01),
    (0.01, 0.02, 0.04, 0.93),
    (0.10, 0.50, 0.35, 0.05),
    (0.92, 0.06, 0.01, 0.01),
    (0.41, 0.39, 0.15, 0.05),
    (0.20, 0.60, 0.15, 0.05),
    (np.nan, np.nan, np.nan, np.nan),  # under a cloud
)


def found(folder: Path, crs: str | None = "EPSG:32633") -> Findings:
    """What was found after a flood; rasters of it are written into ``folder``."""
    grid = Grid(96, 128, WEST, SOUTH + HEIGHT, 0.5, crs)
    area = shapely.box(*grid.bounds)
    buildings, access = _reached(_buildings(), _roads(), area)
    return Findings(
        event=Event(Kind.FLOOD, name="High water of the Traun", activation="EMSR123", aoi=2),
        grid=grid,
        area=area,
        seen=area,
        sources=_sources(),
        pre=ArrayPicture(_image(grid, struck=False), grid),
        post=ArrayPicture(_image(grid, struck=True), grid),
        registration=_registration(),
        buildings=buildings,
        observed=_observed(grid, folder),
        density=kernel_density(buildings.points, np.nan_to_num(buildings.damaged), _coarse(grid), 10),
        density_grid=_coarse(grid),
        areas=_areas(buildings),
        access=access,
        population=Population(total=48.0, affected=21.5),
        unlike=0.07,
        model={"name": "small", "trained on": "synthetic pairs", "licence": "Apache-2.0"},
        rasters={"probabilities": _probabilities(grid, folder)},
        versions={"mage-eo": "0.1.0", "numpy": "1.26.4"},
    )


def nothing_found(folder: Path, crs: str | None = "EPSG:32633") -> Findings:
    """The same place without a building, a road or a drop of water; only one image was there."""
    full = found(folder, crs)
    none, words = np.array([], object), np.array([], str)
    buildings = Buildings(
        words, none, words, words, np.zeros(0), np.zeros((0, 4)), np.zeros(0), np.zeros(0), words, words
    )
    return replace(
        full,
        pre=None,
        registration=None,
        buildings=buildings,
        observed=Observed((Extent("flood", none, np.zeros(0), words),)),
        density=np.zeros_like(full.density),
        areas=(),
        access=None,
        population=None,
        unlike=None,
    )


def at(geometry: shapely.Geometry) -> shapely.Geometry:
    """A geometry in metres from the south-west corner, in the map's frame."""
    return shapely.transform(geometry, lambda xy: xy + ORIGIN)


def _buildings() -> Buildings:
    grades = np.array(GRADES)
    known = np.isfinite(grades[:, 0])
    outline = np.array([at(shapely.box(x, y, x + 7, y + 6)) for x, y in CORNERS], object)
    count = len(outline)
    verdict = np.full(count, "Not Analysed", dtype="<U17")
    verdict[known] = cems_verdicts(grades[known])
    hot = hot_spots(
        shapely.get_coordinates(shapely.centroid(outline)), np.nan_to_num(1 - grades[:, 0], nan=0.5), 15, 0.25
    )
    return Buildings(
        identity=np.array([f"way/{101 + k}" for k in range(count)]),
        outline=outline,
        kind=np.array(["residential"] * 9 + ["school", "", "industrial"]),
        name=np.array([""] * 9 + ["Volksschule", "", "Säge „Traun“"]),
        located=np.where(known, 0.9, np.nan),
        grades=grades,
        entropy=np.where(known, grade_entropy(np.nan_to_num(grades, nan=0.25)), np.nan),
        valid=np.where(known, 1.0, 0.1),
        verdict=verdict,
        method=np.array(["Automatic extraction"] * count),
        hot=hot,
    )


def _roads() -> Roads:
    """A street from west to east, which begins beyond the area, and one from south to north across it."""
    nodes = np.array([(-8.0, 24.0), (32.0, 24.0), (50.0, 24.0), (64.0, 24.0), (32.0, 0.0), (32.0, 48.0)]) + ORIGIN
    plain = straight_roads(nodes, [(0, 1), (1, 2), (2, 3), (4, 1), (1, 5)], width=5.0)
    return replace(
        plain,
        kind=("residential", "residential", "residential", "service", "service"),
        name=("Hauptstraße", "Hauptstraße", "Hauptstraße", "Quergasse", ""),
    )


def _reached(buildings: Buildings, roads: Roads, area: shapely.Polygon) -> tuple[Buildings, Access]:
    """The fire station lies in the west; rubble is likely on the street to the east, water on the one to the south."""
    car, truck = np.array([0.0, 0.7, 0.0, 0.95, np.nan]), np.array([0.0, 0.65, 0.0, 0.8, np.nan])
    starts, closed = entries(roads, area)[:1], np.nan_to_num(car) >= 0.5
    before, now, places = reach(roads, starts), reach(roads, starts, closed), place_on(roads, buildings.points)
    nodes, edges = reachability(roads, starts, car, np.random.default_rng(0), draws=50)
    access = Access(
        roads=roads,
        car=car,
        truck=truck,
        starts=starts,
        facilities=Facilities(np.array([(2.0, 27.0)]) + ORIGIN, np.array(["fire_station"]), np.array(["Feuerwache"])),
        before=before.seconds,
        now=now.seconds,
        reached=nodes,
        isolated=np.array([at(shapely.box(50, 0, 64, 48))], object),
        route=route(roads, 0, 5, car),
        asked=True,
    )
    seconds = seconds_to(roads, now, places, closed)
    return replace(buildings, reached=edges[places.edge], seconds=seconds), access


def _observed(grid: Grid, folder: Path) -> Observed:
    water, rubble = at(FLOODED), at(RUBBLE)
    wet, heaped = (
        np.asarray(shapely.contains_xy(shape, grid.points())).reshape(grid.shape).astype(np.float32)
        for shape in (water, rubble)
    )
    rasters = {
        "flood": _written(folder / "flood.tif", to_bytes(wet * 0.95)[None], grid, 255),
        "depth": _written(folder / "depth.tif", (wet * 0.6)[None], grid, float("nan")),
        "debris": _written(folder / "debris.tif", to_bytes(heaped * 0.7)[None], grid, 255),
    }
    extents = (
        _extent("flood", [water], [0.6], ["Riverine flood"]),
        _extent("burn", [], [], []),
        _extent("debris", [rubble], [0.7], ["Debris"]),
    )
    return Observed(extents, rasters)


def _extent(what: str, outlines: list[shapely.Geometry], value: list[float], words: list[str]) -> Extent:
    return Extent(what, np.array(outlines, object), np.array(value, float), np.array(words, str))


def _areas(buildings: Buildings) -> tuple[Area, ...]:
    squares, names = cells(buildings.points, Lattice(WEST, SOUTH + 64, 32))
    halves = [at(shapely.box(0, 0, 32, 48)), at(shapely.box(32, 0, 64, 48))]
    known = np.isfinite(buildings.damaged)
    return tuple(
        affected_areas(
            [*squares, *halves], [*names, "Westend", "Östliche Vorstadt"], buildings.points[known], _known(buildings)
        )
    )


def _known(buildings: Buildings) -> NDArray[np.float64]:
    return buildings.damaged[np.isfinite(buildings.damaged)]


def _coarse(grid: Grid) -> Grid:
    return Grid(12, 16, grid.west, grid.north, 4.0, grid.crs)


def _sources() -> tuple[Source, ...]:
    before, after = datetime(2026, 5, 4, 10, 30, tzinfo=UTC), datetime(2026, 6, 9, 9, 58, 7, tzinfo=UTC)
    return (
        Source("pre", "pre.tif", "aa" * 32, before, 0.5, "CC BY 4.0"),
        Source("post", "post.tif", "bb" * 32, after, 0.5, "CC BY 4.0"),
        Source("buildings", "linz.osm.pbf", "cc" * 32, licence="ODbL 1.0"),
        Source("roads", "linz.osm.pbf", "cc" * 32, licence="ODbL 1.0"),
        Source("facilities", "stations.geojson", "dd" * 32),
        Source("model", "small.safetensors", "ee" * 32, licence="Apache-2.0"),
    )


def _registration() -> Registration:
    places = np.array([(32.0, 24.0), (96.0, 24.0), (64.0, 72.0)])
    local = np.array([(0.1, 0.0), (-0.1, 0.1), (0.0, -0.1)])
    return Registration((0.3, -0.2), places, local, residual=0.12, confidence=0.9)


def _image(grid: Grid, *, struck: bool) -> NDArray[np.uint8]:
    """Lawns, roofs and streets in plain colours; with water, rubble and a cloud after the event."""
    image = np.random.default_rng(1).integers(0, 12, (3, *grid.shape)).astype(np.uint8)
    image += np.array([70, 95, 60], np.uint8)[:, None, None]
    houses = [shapely.box(x, y, x + 7, y + 6) for x, y in CORNERS]
    painted = [(shapely.union_all(houses), (150, 80, 60))]
    painted += [(shapely.box(0, 21.5, 64, 26.5), (110, 110, 112)), (shapely.box(29.5, 0, 34.5, 48), (110, 110, 112))]
    if struck:
        painted += [(FLOODED.difference(shapely.union_all(houses)), (120, 100, 70)), (RUBBLE, (175, 165, 150))]
        painted += [(houses[k], (165, 155, 145)) for k in (2, 3, 6)] + [(houses[11], (235, 235, 235))]
    for shape, colour in painted:
        inside = np.asarray(shapely.contains_xy(at(shape), grid.points())).reshape(grid.shape)
        image[:, inside] = np.array(colour, np.uint8)[:, None]
    return image


def _probabilities(grid: Grid, folder: Path) -> Path:
    values = np.zeros((5, *grid.shape), np.float32)
    values[0] = 1
    for (x, y), grades in zip(CORNERS, GRADES, strict=True):
        inside = np.asarray(shapely.contains_xy(at(shapely.box(x, y, x + 7, y + 6)), grid.points()))
        values[:, inside.reshape(grid.shape)] = np.array([0.1, *(0.9 * np.array(grades))], np.float32)[:, None]
    values[:, np.isnan(values).any(axis=0)] = np.nan
    names = ("none", "no-damage", "minor-damage", "major-damage", "destroyed")
    return _written(folder / "probabilities.tif", to_bytes(values), grid, 255, names)


def _written(path: Path, values: NDArray[np.generic], grid: Grid, nodata: float, names: tuple[str, ...] = ()) -> Path:
    """A GeoTIFF of (bands, rows, columns)."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=grid.rows,
        width=grid.columns,
        count=len(values),
        dtype=values.dtype,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
        nodata=nodata,
        compress="deflate",
    ) as file:
        file.write(values)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)
    return path
