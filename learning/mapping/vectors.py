"""Vector files of users: footprints, areas and points from GeoPackage, GeoJSON, GeoParquet or OpenStreetMap, in a map's
frame of metres.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from mage.scenes.errors import DatasetError, MissingExtraError

LARGEST = 2 * 2**30  # bytes of a file
EXPECTED = "GeoPackage, GeoJSON or GeoParquet"
DEGREES = "EPSG:4326"  # GeoJSON's (RFC 7946), and GeoParquet's where none is stated


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Geometries of one kind in a map's frame, with what their file says of them.

    Attributes:
        geometry: (n,) valid, not empty, two-dimensional, metres.
        attributes: columns by name, (n,) each.
        left_out: how many of the file's were empty, not on Earth, or of another kind.
    """

    geometry: NDArray[np.object_]
    attributes: Mapping[str, NDArray[Any]]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.geometry)


def read_features(path: str | Path, crs: str | None, dimension: int, layer: str | None = None) -> Features:
    """The points (0), lines (1) or polygons (2) of a vector file, in the CRS of a map.

    Broken polygons are mended (shapely's ``make_valid``), and what is left of the asked dimension is kept.

    Args:
        path: a GeoPackage, GeoJSON or GeoParquet file, whatever its name.
        crs: of the map; None for a frame that is nowhere on Earth, in which the file's coordinates are taken as they
            are.
        dimension: 0, 1 or 2.
        layer: of a GeoPackage; its first by default.

    Raises:
        DatasetError: no such file, another format, broken, without a CRS where one is needed.
        MissingExtraError: pyogrio is not installed, and the file is a GeoPackage or GeoJSON.
    """
    file = Path(path)
    kind = _kind(file)
    wkb, columns, source = _parquet(file) if kind == "parquet" else _gdal(file, layer)
    try:
        geometry = shapely.force_2d(shapely.from_wkb(wkb, on_invalid="ignore"))
    except (shapely.errors.GEOSException, TypeError) as error:
        raise DatasetError("its geometries cannot be read", file=file, found=str(error)[:80]) from None
    geometry = _in_frame(geometry, source, crs, file)
    kept, index = _of(geometry, dimension)
    return Features(kept, {name: values[index] for name, values in columns.items()}, len(geometry) - len(index))


def layer_names(path: str | Path) -> list[str]:
    """Names of the layers of a GeoPackage or GeoJSON file, in its order.

    Raises:
        DatasetError: no such file, another format, or broken.
        MissingExtraError: pyogrio is not installed.
    """
    file = Path(path)
    if _kind(file) != "gdal":
        raise DatasetError("the file has no layers", file=file, expected="GeoPackage or GeoJSON", found="GeoParquet")
    try:
        import pyogrio
    except ModuleNotFoundError:
        raise MissingExtraError("pyogrio", "mapping") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken files, of which the error tells
            return [str(name) for name, _ in pyogrio.list_layers(file.resolve())]
    except (pyogrio.errors.DataSourceError, UnicodeDecodeError) as error:
        found = " ".join(str(error).split())[:120]
        raise DatasetError("the vector file cannot be read", file=file, expected=EXPECTED, found=found) from None


def write_parquet(path: Path, features: Features, crs: str | None) -> None:
    """Features as GeoParquet 1.1 (geometry as WKB, the CRS as PROJJSON)."""
    table = {name: pa.array(values) for name, values in features.attributes.items()}
    table["geometry"] = pa.array(shapely.to_wkb(features.geometry), pa.binary())
    kinds = sorted({geometry.geom_type for geometry in features.geometry})
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": kinds}
    if crs is not None:
        column["crs"] = CRS.from_user_input(crs).to_json_dict()
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    pq.write_table(pa.table(table).replace_schema_metadata({"geo": json.dumps(geo)}), path)


def _kind(file: Path) -> str:
    if not file.is_file():
        raise DatasetError("no such file", file=file, expected=EXPECTED)
    if file.stat().st_size > LARGEST:
        raise DatasetError("the file is too large", file=file, expected=f"at most {LARGEST} bytes")
    with file.open("rb") as stream:
        head = stream.read(64)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"SQLite format 3\0") or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "gdal"
    raise DatasetError("not a vector file that is read", file=file, expected=EXPECTED, found=repr(head[:12]))


def _gdal(file: Path, layer: str | None) -> tuple[NDArray[Any], dict[str, NDArray[Any]], str | None]:
    try:
        import pyogrio
        from pyogrio import raw
    except ModuleNotFoundError:
        raise MissingExtraError("pyogrio", "mapping") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about measured values and the like, which nothing here uses
            meta, _, geometry, fields = raw.read(file.resolve(), layer=layer)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, UnicodeDecodeError) as error:
        found = " ".join(str(error).split())[:120]
        raise DatasetError("the vector file cannot be read", file=file, expected=EXPECTED, found=found) from None
    if geometry is None:
        raise DatasetError("the layer has no geometries", file=file)
    return geometry, dict(zip(meta["fields"], fields, strict=True)), meta["crs"]


def _parquet(file: Path) -> tuple[NDArray[Any], dict[str, NDArray[Any]], str | None]:
    try:
        table = pq.read_table(file)
        geo = json.loads((table.schema.metadata or {})[b"geo"])
        name = geo["primary_column"]
        column = geo["columns"][name]
        if column["encoding"] != "WKB":
            raise DatasetError("its geometries are not WKB", file=file, found=str(column["encoding"]))
        wkb = table[name].to_numpy(zero_copy_only=False)
        stated = column.get("crs", DEGREES)
        source = stated if stated is None or isinstance(stated, str) else CRS.from_json_dict(stated).to_string()
    except (pa.ArrowException, OSError) as error:
        raise DatasetError("the Parquet file cannot be read", file=file, found=str(error)[:80]) from None
    except (KeyError, TypeError, ValueError, CRSError) as error:
        raise DatasetError("not GeoParquet", file=file, expected="the metadata 'geo'", found=repr(error)[:80]) from None
    rest = {n: table[n].to_numpy(zero_copy_only=False) for n in table.column_names if n != name}
    return wkb, rest, source


def _in_frame(geometry: NDArray[Any], source: str | None, crs: str | None, file: Path) -> NDArray[Any]:
    if crs is None:
        return geometry
    if source is None:
        raise DatasetError(
            "the file does not state its coordinate system", file=file, expected=f"one, to come to {crs}"
        )
    try:
        transformer = Transformer.from_crs(source, crs, always_xy=True)
    except CRSError as error:
        raise DatasetError("its coordinate system is not known", file=file, found=str(error)[:80]) from None

    def moved(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(transformer.transform(*xy.T))

    return np.asarray(shapely.transform(geometry, moved))


def _of(geometry: NDArray[Any], dimension: int) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Those of a dimension, mended, and their positions."""
    kept, index = [], []
    for position, shape in enumerate(geometry):
        if shape is None or shape.is_empty or not np.isfinite(shapely.bounds(shape)).all():
            continue
        sound = shape if shapely.is_valid(shape) else shapely.make_valid(shape)
        parts = [part for part in shapely.get_parts(_flat(sound)) if shapely.get_dimensions(part) == dimension]
        if parts:
            kept.append(parts[0] if len(parts) == 1 else shapely.union_all(parts))
            index.append(position)
    return np.array(kept, dtype=object), np.array(index, np.int64)


def _flat(shape: shapely.Geometry) -> shapely.Geometry:
    """A collection without collections in it."""
    if shape.geom_type != "GeometryCollection":
        return shape
    return shapely.GeometryCollection([part for inner in shape.geoms for part in shapely.get_parts(_flat(inner))])
