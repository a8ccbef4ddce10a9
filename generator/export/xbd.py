"""xBD (Gupta et al. 2019): images, labels and targets of the xView2 challenge.

``SPLIT/images/EVENT_00000000_{pre,post}_disaster.png``, ``SPLIT/labels/`` the same as ``.json``, ``SPLIT/targets/`` as
``_target.png``, and ``xview_geotransforms.json``. Every metadata field is filled. Both ``gsd`` and ``pan_resolution``
are a pixel's side, since our image is no pan-sharpened product; xBD's ``gsd`` is that of its multispectral bands.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry import Polygon

from mage.generator.export.formats import Format, Labels, Output, SideFiles, Summary, each, entry, to_json
from mage.generator.export.shapes import shown, valid_polygons
from mage.generator.export.tiles import Tile
from mage.generator.export.where import NOWHERE_NOTE, crs_of, grid_of, origin_of, to_degrees, utc_of
from mage.scenes.dataset.fields import IMAGE_FIELDS
from mage.scenes.dataset.png import encode_png
from mage.scenes.dataset.schema import SampleRecord
from mage.scenes.grades import JDS_NAMES

DISASTER_TYPES = {"flood": "flooding"}  # the other hazards bear xBD's own words
PROVIDER = "MAGE"
PIXEL_DIGITS, DEGREE_DIGITS = 6, 9


@dataclass(frozen=True, slots=True)
class Outline:
    """One polygon (column, row) of a building or an annotation; ``grade`` on the Joint Damage Scale."""

    uid: str
    grade: int
    polygon: Polygon


def write_tile(tile: Tile, labels: Labels) -> Output:
    """Images, labels and targets of one sample."""
    files: dict[str, bytes] = {}
    folder = tile.pick.split
    for date in IMAGE_FIELDS:
        name = f"{tile.pick.stem}_{date}_disaster"
        files[f"{folder}/images/{name}.png"] = tile.png(date)
        files[f"{folder}/labels/{name}.json"] = to_json(describe(tile, date, labels), separators=(", ", ": "))
        files[f"{folder}/targets/{name}_target.png"] = encode_png(target(tile, date, labels))
    grid = grid_of(tile.record.grid)
    west, north = (float(v) for v in (grid.west, grid.north) - origin_of(grid))
    place = [[west, grid.gsd, 0.0, north, 0.0, -grid.gsd], crs_of(grid.crs).to_wkt("WKT1_GDAL")]
    return Output(files, [entry(tile, tile.pick.stem, place=place)])


def describe(tile: Tile, date: str, labels: Labels) -> dict[str, Any]:
    """The JSON of one image."""
    drawn = list(outlines(tile.record, date, labels))
    grid = grid_of(tile.record.grid)

    def _on_earth(pixels: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return to_degrees(grid.to_map(pixels), grid)

    features = {
        "lng_lat": [_feature(o, shapely.transform(o.polygon, _on_earth), date, DEGREE_DIGITS) for o in drawn],
        "xy": [_feature(o, o.polygon, date, PIXEL_DIGITS) for o in drawn],
    }
    return {"features": features, "metadata": metadata(tile, date)}


def outlines(record: SampleRecord, date: str, labels: Labels) -> Iterator[Outline]:
    """What is drawn on an image: each building as it shows, or annotations, which are the same on both.

    A building in several pieces is several polygons; a ``uid`` names the same piece of the same building before and
    after. What was built in between is on the image after alone, and so is missing what a displaced image cuts off.
    """
    if labels.policy is not None:
        for a in record.annotations or ():
            parts = valid_polygons(a.polygons_px)
            yield from (Outline(_uid(record, "a", a.id, k), a.grade - 1, p) for k, p in enumerate(parts))
        return
    for b in record.buildings:
        parts = [] if b.new and date == "pre" else shown(b, date, record)
        yield from (Outline(_uid(record, "b", b.id, k), b.jds, p) for k, p in enumerate(parts))


def target(tile: Tile, date: str, labels: Labels) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """uint8 (rows, columns): before 1 on buildings, after 1 no damage to 4 destroyed, 0 elsewhere."""
    kind = "building" if labels.policy is None else "annotated"
    if date == "pre":
        return (tile.raster(f"pre_{kind}") > 0).astype(np.uint8)
    return tile.raster("post_damage" if labels.policy is None else "post_annotated")


def metadata(tile: Tile, date: str) -> dict[str, Any]:
    """All fields of xBD's metadata."""
    record = tile.record
    taken = record.pre if date == "pre" else record.post
    rows, columns, gsd = record.grid.rows, record.grid.columns, record.grid.gsd
    first = record.hazard.split("-")[0]
    code = hashlib.sha256(f"{record.recipe_hash}/{record.seed}/{record.key}/{date}".encode()).hexdigest()
    return {
        "sensor": taken.sensor,
        "provider_asset_type": PROVIDER,
        "gsd": gsd,
        "capture_date": utc_of(record, date).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "off_nadir_angle": taken.off_nadir_angle,
        "pan_resolution": gsd,
        "sun_azimuth": taken.sun_azimuth,
        "sun_elevation": taken.sun_elevation,
        "target_azimuth": taken.target_azimuth,
        "disaster": tile.pick.stem.rpartition("_")[0],
        "disaster_type": DISASTER_TYPES.get(first, first),
        "catalog_id": code[:16].upper(),
        "original_width": columns,
        "original_height": rows,
        "width": columns,
        "height": rows,
        "id": f"{record.key}.{date}",
        "img_name": f"{tile.pick.stem}_{date}_disaster.png",
    }


def finish(summary: Summary) -> SideFiles:
    """``xview_geotransforms.json``: GDAL's six numbers and the projection of each image."""
    yield "xview_geotransforms.json", _geotransforms(summary)


def _geotransforms(summary: Summary) -> Iterator[bytes]:
    between = b"{\n"
    for e in summary.entries():
        for date in IMAGE_FIELDS:
            yield between + to_json(f"{e['name']}_{date}_disaster.png") + b": " + to_json(e["place"])
            between = b",\n"
    yield b"\n}\n"


def _feature(outline: Outline, polygon: Polygon, date: str, digits: int) -> dict[str, Any]:
    properties = {"feature_type": "building", "uid": outline.uid}
    if date == "post":
        properties = {"feature_type": "building", "subtype": JDS_NAMES[outline.grade], "uid": outline.uid}
    return {"properties": properties, "wkt": shapely.to_wkt(polygon, rounding_precision=digits)}


def _uid(record: SampleRecord, kind: str, number: int, part: int) -> str:
    name = f"{record.recipe_hash}/{record.seed}/{record.key}/{kind}{number}/{part}"
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


FORMAT = Format(
    about="xBD: images, labels and targets as in the xView2 challenge",
    write=each(write_tile),
    finish=finish,
    notes=(
        "polygons of exact labels lie where each image shows the building, not where it was before, as xBD's do",
        "gsd and pan_resolution are both the side of a pixel",
        "disaster_type is that of the first hazard of a chain",
        NOWHERE_NOTE,
    ),
    policies=frozenset({"xbd", "roof"}),
)
