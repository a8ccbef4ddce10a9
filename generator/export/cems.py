"""The vector package of a Copernicus EMS rapid mapping grading product, as GeoJSON in WGS 84 (RFC 7946).

A sample is an area of interest of its event: ``SPLIT/EVENT/EMSR000_AOI01_GRA_PRODUCT/`` holds the layers
``…_source``, ``…_areaOfInterestA``, ``…_imageFootprintA``, ``…_observedEventA``, ``…_builtUpA`` (footprints),
``…_builtUpP`` (a point in each) and ``…_transportationL``, each ``_r1_v1.json``. EMSR000 is no activation: those of the
service are numbered from 001.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Point, Polygon, mapping
from shapely.geometry.polygon import orient

from mage.generator.export.bright import roof_grades
from mage.generator.export.formats import Format, Labels, Output, each, entry, to_json
from mage.generator.export.shapes import pieces, valid_polygons
from mage.generator.export.tiles import Tile
from mage.generator.export.where import NOWHERE_NOTE, grid_of, to_degrees, utc_of
from mage.scenes.dataset.invariants import HALF_CLOUDED
from mage.scenes.dataset.schema import GridRecord, SampleRecord
from mage.scenes.grades import cems_of_road, cems_of_roof

ACTIVATION = "EMSR000"
DIGITS = 9  # of degrees: a tenth of a millimetre
METHOD = "Modelling"
SOURCES = {"pre": 1, "post": 2}
USES = {
    "residential": "Residential Buildings",
    "commercial": "Commercial Buildings",
    "industrial": "Industrial Buildings",
}
# raster after, `event_type`, `obj_desc` and `notation` of what an image shows of an event
OBSERVED = (
    ("flood", "5 - Flood", "Riverine flood", "Flooded area"),
    ("mud", "5 - Flood", "Riverine flood", "Flood trace"),
    ("burn", "8 - Wildfire", "Urban fires", "Burnt area"),
)

Feature = dict[str, Any]


def write_tile(tile: Tile, _labels: Labels) -> Output:
    """All layers of one sample."""
    event, _, number = tile.pick.stem.rpartition("_")
    product = f"{ACTIVATION}_AOI{int(number) + 1:02d}_GRA_PRODUCT"
    layers = {
        "source": sources(tile.record),
        "areaOfInterestA": area_of_interest(tile.record),
        "imageFootprintA": image_footprints(tile.record),
        "observedEventA": observed(tile),
        "builtUpA": built_up(tile, as_points=False),
        "builtUpP": built_up(tile, as_points=True),
        "transportationL": transportation(tile.record),
    }
    files = {}
    for name, features in layers.items():
        layer = f"{product}_{name}_r1_v1"
        content = {"type": "FeatureCollection", "name": layer, "features": list(features)}
        files[f"{tile.pick.split}/{event}/{product}/{layer}.json"] = to_json(content)
    return Output(files, [entry(tile, f"{event}/{product}")])


def sources(record: SampleRecord) -> Iterator[Feature]:
    """The table of images, without geometry."""
    for (date, number), phase in zip(SOURCES.items(), ("Pre-event", "Post-event"), strict=True):
        taken = utc_of(record, date)
        yield _feature(
            None,
            source_nam=f"MAGE {(record.pre if date == 'pre' else record.post).sensor}",
            src_date=taken.strftime("%d/%m/%Y"),
            source_tm=taken.strftime("T%H:%M:%SZ"),
            sensor_gsd=f"{record.grid.gsd:g} m",
            eventphase=phase,
            src_id=number,
        )


def area_of_interest(record: SampleRecord) -> Iterator[Feature]:
    """The tile."""
    yield _feature(_frame(record.grid), name=record.key, info=record.event)


def image_footprints(record: SampleRecord) -> Iterator[Feature]:
    """The tile, once for each image."""
    for number in SOURCES.values():
        yield _feature(_frame(record.grid), or_src_id=number)


def observed(tile: Tile) -> Iterator[Feature]:
    """Flood water, its traces and burnt ground as polygons of pixels; shaking and wind leave no such area."""
    record = tile.record
    grid, shift = grid_of(record.grid), np.array(record.post.shift_px)
    for name, kind, description, notation in OBSERVED:
        mask = (tile.raster(f"post_{name}") > 0).astype(np.uint8)
        found = [Polygon(s["coordinates"][0], s["coordinates"][1:]) for s, _ in shapes(mask, mask=mask > 0)]
        on_map = [shapely.transform(polygon, lambda xy: grid.to_map(xy - shift)) for polygon in found]
        for polygon in on_map:
            yield _feature(
                _polygons([polygon], record.grid),
                event_type=kind,
                obj_desc=description,
                notation=notation,
                det_method=METHOD,
                dmg_src_id=SOURCES["post"],
            )


def built_up(tile: Tile, *, as_points: bool) -> Iterator[Feature]:
    """A feature for each building: its footprint within the tile, or a point in it."""
    record = tile.record
    wet = np.array([b.wet_share for b in record.buildings], float)
    grades = cems_of_roof(roof_grades(record), wet, _hidden(tile))
    for building, grade in zip(record.buildings, grades, strict=True):
        footprint = valid_polygons(building.polygons_map)
        if not footprint:
            continue
        geometry = _polygons(footprint, record.grid)
        if as_points:
            geometry = _point(shapely.point_on_surface(MultiPolygon(footprint)), record.grid)
        use = USES.get(building.occupancy, "Other")
        yield _feature(geometry, **_asset(use, building.source_id, building.occupancy, grade), notation=use)


def transportation(record: SampleRecord) -> Iterator[Feature]:
    """A feature for each road edge, with what closes it."""
    for road in record.roads:
        lines = [LineString(line) for line in road.lines_map if len(line) > 1]
        if not lines:
            continue
        passes = [name for name, can in (("cars", road.car), ("emergency vehicles", road.truck)) if can]
        told = f"open to {' and '.join(passes) or 'none'}" + (f", {road.reason} on it" if road.reason else "")
        degrees = shapely.transform(MultiLineString(lines), lambda xy: _degrees(xy, record.grid))
        asset = _asset("Road", str(road.edge), told, cems_of_road(road.reason))
        yield _feature(degrees, **asset, notation=road.kind)


def _asset(kind: str, name: str, info: str, grade: str) -> Feature:
    """The attributes of layers C."""
    return {
        "obj_type": kind,
        "name": name,
        "info": info,
        "damage_gra": grade,
        "det_method": METHOD,
        "or_src_id": SOURCES["pre"],
        "dmg_src_id": SOURCES["post"],
    }


def _hidden(tile: Tile) -> NDArray[np.bool_]:
    """Whether cloud of at least half opacity lies over half or more of what is seen of each building."""
    number, cloud = tile.raster("post_building"), tile.raster("post_cloud")
    count = np.bincount(number.ravel(), minlength=1 << 16)
    under = np.bincount(number[cloud >= HALF_CLOUDED], minlength=1 << 16)
    ids = np.array([b.id for b in tile.record.buildings], int) % (1 << 16)
    return (count[ids] > 0) & (2 * under[ids] >= count[ids])


def _feature(geometry: shapely.Geometry | None, **properties: Any) -> Feature:
    shape = None if geometry is None else mapping(geometry)
    return {"type": "Feature", "properties": properties, "geometry": shape}


def _frame(grid: GridRecord) -> shapely.Geometry:
    return _polygons([shapely.box(*grid_of(grid).bounds)], grid)


def _polygons(on_map: Iterable[Polygon], grid: GridRecord) -> shapely.Geometry:
    """Polygons in metres as one in degrees, outer rings counter-clockwise."""
    degrees = [shapely.transform(polygon, lambda xy: _degrees(xy, grid)) for polygon in on_map]
    parts = [orient(part) for polygon in degrees for part in pieces(shapely.make_valid(polygon))]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _point(on_map: Point, grid: GridRecord) -> Point:
    return Point(_degrees(shapely.get_coordinates(on_map), grid)[0])


def _degrees(xy: NDArray[np.float64], grid: GridRecord) -> NDArray[np.float64]:
    return np.round(to_degrees(xy, grid_of(grid)), DIGITS)


FORMAT = Format(
    about="The vector layers of a Copernicus EMS grading product, GeoJSON",
    write=each(write_tile),
    notes=(
        "EMSR000 is no activation of the service; an area of interest is a sample",
        NOWHERE_NOTE,
        "buildings whose roof is whole and whose walls are in water are possibly damaged; obj_type is in words",
    ),
)
