"""Whether a GeoPackage of a product is what GDAL, QGIS and users of Copernicus EMS layers expect."""

# ruff: noqa: S608 - names of tables and columns cannot be parameters of SQL; they are quoted by _quoted

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as Xml

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.product import names

REQUIRED = ("gpkg_spatial_ref_sys", "gpkg_contents", "gpkg_geometry_columns", "gpkg_extensions", "layer_styles")
APPLICATION, OLDEST = 0x47504B47, 10200  # "GPKG", and version 1.2
LARGEST_STYLE = 1 << 20  # characters
CONTENT: Mapping[str, tuple[str, ...]] = {  # layers that every product of a kind has
    "FEP": ("source", "areaOfInterestA", "imageFootprintA", "observedEventA", "ancillaryCrisisInfoA"),
    "DEL": ("source", "areaOfInterestA", "imageFootprintA", "observedEventA", "builtUpA", "builtUpP", "summaryTable"),
    "GRA": ("source", "areaOfInterestA", "imageFootprintA", "observedEventA", "builtUpA", "builtUpP", "summaryTable"),
}
_ASSET = {
    "damage_gra": names.DAMAGE,
    "det_method": names.METHODS,
    "name": None,
    "notation": None,
    "or_src_id": None,
    "dmg_src_id": None,
}
# fields that a layer must have, and their values where those are counted
DOMAINS: Mapping[str, Mapping[str, tuple[str, ...] | None]] = {
    "source": {
        "source_nam": None,
        "src_date": None,
        "source_tm": None,
        "sensor_gsd": None,
        "eventphase": names.PHASES,
        "src_id": None,
    },
    "areaOfInterest": {"name": None},
    "imageFootprint": {"or_src_id": None},
    "observedEvent": {
        "event_type": tuple(names.EVENTS),
        "obj_desc": (*(word for words in names.EVENTS.values() for word in words), names.UNKNOWN),
        "det_method": names.METHODS,
        "notation": None,
        "dmg_src_id": None,
    },
    "ancillaryCrisisInfo": {"obj_desc": names.CRISIS, "det_method": names.METHODS, "dmg_src_id": None},
    "builtUp": {**_ASSET, "obj_type": names.BUILT_TYPES, "info": names.BUILT_SUBTYPES},
    "facilities": {**_ASSET, "obj_type": names.BUILT_TYPES, "info": names.BUILT_SUBTYPES},
    "transportation": {
        **_ASSET,
        "obj_type": names.ROAD_TYPES,
        "info": names.ROAD_SUBTYPES,
        "passable": names.PASSABLE,
    },
}
PROBABILITIES = ("p_", "entropy", "valid", "share", "q_gi", "severity")  # fields that lie within 0 to 1 begin so
KINDS = {"MULTIPOLYGON": "A", "POINT": "P", "LINESTRING": "L"}


def check_layers(path: Path) -> list[str]:
    """What is wrong with a product's GeoPackage, a sentence each; nothing for one that :func:`write_layers` wrote.

    That the file is sound and of a known version, has the tables that the standard and QGIS ask for, an R-tree and a
    default style for each layer with geometries; that names, fields and values are those of Copernicus EMS, numbers of
    sources exist, identities are given once; that geometries are valid, two-dimensional, of the kind that the layer's
    name says, and in one frame. Edits by hand may break any of that.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as file:
            return list(_problems(file))
    except sqlite3.Error as error:
        return [f"{path}: not a GeoPackage that can be read ({error})"]


def _problems(file: sqlite3.Connection) -> Iterator[str]:
    tables = {row[0] for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = [table for table in REQUIRED if table not in tables]
    yield from (f"no table '{table}'" for table in missing)
    yield from _container(file)
    if missing:
        return
    contents = dict(file.execute("SELECT table_name, data_type FROM gpkg_contents"))
    yield from (f"'{name}' is listed, but not there" for name in contents if name not in tables)
    layers = {name: kind for name, kind in contents.items() if name in tables and name != "layer_styles"}
    yield from _named(layers)
    yield from _frames(file)
    ids = _source_ids(file, layers)
    for name, kind in layers.items():
        parts = names.NAME.fullmatch(name)
        columns = [row[1] for row in file.execute(f"PRAGMA table_info({_quoted(name)})")]
        if kind == "features":
            yield from _drawn(file, name, tables, columns)
        if parts is not None:
            yield from _filled(file, name, parts["feature"], columns, ids)


def _container(file: sqlite3.Connection) -> Iterator[str]:
    (found,), (version,) = (file.execute(f"PRAGMA {what}").fetchone() for what in ("application_id", "user_version"))
    if found != APPLICATION or version < OLDEST:
        yield f"not marked as a GeoPackage of version 1.2 or later (application {found:#x}, version {version})"
    for (line,) in file.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"the file is damaged: {line}"
    for row in file.execute("PRAGMA foreign_key_check"):
        yield f"'{row[0]}' refers to what is not in '{row[2]}'"


def _named(layers: Mapping[str, str]) -> Iterator[str]:
    parts = {name: names.NAME.fullmatch(name) for name in layers}
    yield from (f"'{name}' is no name of a layer" for name, found in parts.items() if found is None)
    sound = [found for found in parts.values() if found is not None]
    products = sorted({found["product"] for found in sound})
    if len(products) != 1:
        yield f"layers of one product are expected, found {', '.join(products) or 'none'}"
        return
    there = {found["feature"] + found["letter"] for found in sound}
    yield from (f"no layer '{wanted}'" for wanted in CONTENT[sound[0]["type"]] if wanted not in there)
    for name, found in parts.items():
        if found is not None and (layers[name] == "features") != bool(found["letter"]):
            yield f"'{name}' is of the kind '{layers[name]}', which its name does not say"


def _frames(file: sqlite3.Connection) -> Iterator[str]:
    known = {row[0] for row in file.execute("SELECT srs_id FROM gpkg_spatial_ref_sys")}
    yield from (f"the standard's srs_id {wanted} is not there" for wanted in (-1, 0, 4326) if wanted not in known)
    used = sorted({row[0] for row in file.execute("SELECT srs_id FROM gpkg_geometry_columns")})
    if len(used) != 1 or used[0] == 0:
        yield f"layers of one frame in metres are expected, found srs_id {', '.join(map(str, used)) or 'none'}"


def _source_ids(file: sqlite3.Connection, layers: Mapping[str, str]) -> set[int] | None:
    """Numbers of the sources; None where there is no table of them."""
    for name in layers:
        parts = names.NAME.fullmatch(name)
        columns = [row[1] for row in file.execute(f"PRAGMA table_info({_quoted(name)})")]
        if parts is not None and parts["feature"] == "source" and "src_id" in columns:
            return {row[0] for row in file.execute(f"SELECT src_id FROM {_quoted(name)}")}
    return None


def _drawn(file: sqlite3.Connection, name: str, tables: set[str], columns: list[str]) -> Iterator[str]:
    """Geometries, their index and their style."""
    listed = file.execute(
        "SELECT column_name, geometry_type_name, srs_id, z, m FROM gpkg_geometry_columns WHERE table_name = ?", (name,)
    ).fetchone()
    if listed is None or listed[0] not in columns:
        yield f"'{name}' has no column of geometries"
        return
    column, kind, frame, *more = listed
    parts = names.NAME.fullmatch(name)
    if parts is not None and KINDS.get(kind) != parts["letter"]:
        yield f"'{name}' holds {kind}"
    if any(more):
        yield f"'{name}' has heights or measures"
    blobs = [row[0] for row in file.execute(f"SELECT {_quoted(column)} FROM {_quoted(name)} ORDER BY ROWID")]
    shapes = shapely.from_wkb([_wkb(blob) for blob in blobs], on_invalid="ignore").reshape(-1)
    yield from _sound(name, kind, frame, blobs, shapes)
    full = int((~shapely.is_missing(shapes) & ~shapely.is_empty(shapes)).sum())
    index = f"rtree_{name}_{column}"
    if index not in tables:
        yield f"'{name}' has no R-tree"
    elif file.execute(f"SELECT COUNT(*) FROM {_quoted(index)}").fetchone()[0] != full:
        yield f"the R-tree of '{name}' does not hold all of its geometries"
    yield from _styled(file, name, columns)


def _sound(name: str, kind: str, frame: int, blobs: list[Any], shapes: NDArray[np.object_]) -> Iterator[str]:
    sound, missing = shapely.is_valid(shapes), shapely.is_missing(shapes)
    for number, (blob, shape) in enumerate(zip(blobs, shapes, strict=True), 1):
        if missing[number - 1]:
            yield f"'{name}', feature {number}: no geometry that can be read"
            continue
        if shape.geom_type.upper() != kind:
            yield f"'{name}', feature {number}: a {shape.geom_type}"
        elif not sound[number - 1]:
            yield f"'{name}', feature {number}: {shapely.is_valid_reason(shape)}"
        if int.from_bytes(blob[4:8], "little" if blob[3] & 1 else "big", signed=True) != frame:
            yield f"'{name}', feature {number}: in another frame than its layer"


def _wkb(blob: Any) -> bytes | None:
    """What follows the head of 8 bytes and the envelope of a geometry in GeoPackage's binary."""
    if not isinstance(blob, bytes) or len(blob) < 8 or blob[:2] != b"GP":
        return None
    envelope = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}.get(blob[3] >> 1 & 7)
    return None if envelope is None else blob[8 + envelope :]


def _styled(file: sqlite3.Connection, name: str, columns: list[str]) -> Iterator[str]:
    query = "SELECT styleQML FROM layer_styles WHERE f_table_name = ? AND useAsDefault AND f_table_schema = ''"
    found = [row[0] for row in file.execute(query, (name,))]
    if len(found) != 1:
        yield f"'{name}' has {len(found)} default styles"
        return
    document = str(found[0])
    if len(document) > LARGEST_STYLE or "<!ENTITY" in document:
        yield f"the style of '{name}' is not one that is read"
        return
    try:
        renderer = Xml.fromstring(document).find("renderer-v2")  # noqa: S314 - small, and without entities
    except Xml.ParseError as error:
        yield f"the style of '{name}' is no XML: {error}"
        return
    attribute = None if renderer is None else renderer.get("attr")
    if renderer is None or (attribute is not None and attribute not in columns):
        yield f"the style of '{name}' does not draw it"


def _filled(
    file: sqlite3.Connection, name: str, feature: str, columns: list[str], ids: set[int] | None
) -> Iterator[str]:
    """Attributes: that they are there, and their values."""
    fields = DOMAINS.get(feature, {})
    yield from (f"'{name}' has no attribute '{field}'" for field in fields if field not in columns)
    for field in columns:
        distinct = f"SELECT DISTINCT {_quoted(field)} FROM {_quoted(name)}"
        allowed = fields.get(field)
        if allowed is not None:
            odd = [row[0] for row in file.execute(distinct) if row[0] not in allowed]
            yield from (f"'{name}': {field} is {value!r}" for value in odd[:3])
        if field in ("or_src_id", "dmg_src_id") and ids is not None:
            odd = [row[0] for row in file.execute(distinct) if row[0] is not None and row[0] not in ids]
            yield from (f"'{name}': {field} {value} is no source" for value in odd[:3])
        if field.startswith(PROBABILITIES):
            yield from _within(file, name, field)
    if "id" in columns:
        twice = f"SELECT id FROM {_quoted(name)} GROUP BY id HAVING COUNT(*) > 1 OR id IS NULL"
        yield from (f"'{name}': id {row[0]!r} is not given once" for row in file.execute(twice).fetchmany(3))


def _within(file: sqlite3.Connection, name: str, field: str) -> Iterator[str]:
    low, high = file.execute(f"SELECT MIN({_quoted(field)}), MAX({_quoted(field)}) FROM {_quoted(name)}").fetchone()
    for value in (low, high):
        if value is not None and not (isinstance(value, float | int) and -1e-6 <= value <= 1 + 1e-6):
            yield f"'{name}': {field} is {value!r}, beyond 0 to 1"


def _quoted(name: str) -> str:
    """A name as SQL has it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'
