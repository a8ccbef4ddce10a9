"""The files of a product's layers: one GeoPackage, GeoJSON and GeoParquet of each, styles, and the tables as CSV.

The same findings make the same bytes: times in the files are that of the image after (:func:`moment`).
"""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.findings import Findings
from mage.learning.mapping.product.layers import layers
from mage.learning.mapping.product.names import layer_name, product_name
from mage.learning.mapping.product.styles import style
from mage.learning.mapping.product.table import Column, Layer
from mage.learning.mapping.vectors import Features, write_parquet
from mage.scenes.dataset.store import LocalStore
from mage.scenes.errors import DatasetError, MissingExtraError

# what GeoPackage calls a frame that is nowhere on Earth (srs_id -1); GDAL knows it by this name
CARTESIAN = (
    'ENGCRS["Undefined Cartesian SRS",EDATUM["Unknown engineering datum"],CS[Cartesian,2],'
    'AXIS["x",unspecified,ORDER[1],LENGTHUNIT["metre",1]],AXIS["y",unspecified,ORDER[2],LENGTHUNIT["metre",1]]]'
)
UTC = 100  # how GDAL says that a time is of Greenwich
STYLES = "layer_styles"  # the table in which QGIS looks for them


def write_layers(findings: Findings, folder: Path) -> list[Path]:
    """A product's layers in files, each whole or not there.

    ``EMSR385_AOI06_GRA_PRODUCT_r1_v1.gpkg`` holds all layers and their styles; ``geojson/`` (RFC 7946: WGS 84 to seven
    decimals), ``geoparquet/`` (in the map's frame) and ``styles/`` (QML) hold one file a layer; its tables are CSV
    files beside it. A frame that is nowhere on Earth has no GeoJSON.

    Returns:
        The files, the GeoPackage first.

    Raises:
        ModelError: a code of the activation that is no part of a name.
        DatasetError: a file cannot be written.
        MissingExtraError: pyogrio is not installed.
    """
    event, crs = findings.event, findings.grid.crs
    named = {layer_name(event, layer.suffix): layer for layer in layers(findings)}
    package = f"{product_name(event)}_r{event.revision}_v{event.version}.gpkg"
    store, written = LocalStore(folder), []

    def publish(name: str, content: bytes) -> None:
        store.publish(name, lambda aside: aside.write_bytes(content))
        written.append(folder / name)

    when = moment(findings)
    with TemporaryDirectory(prefix="mage-") as aside, _dated(when):
        publish(package, _geopackage(Path(aside) / package, named, crs, when).read_bytes())
        for name, layer in named.items():
            if layer.geometry is None:
                publish(f"{name}.csv", _csv(layer))
                continue
            publish(f"styles/{name}.qml", style(layer).encode())
            publish(f"geoparquet/{name}.parquet", _parquet(Path(aside) / f"{name}.parquet", layer, crs).read_bytes())
            if crs is not None:
                publish(f"geojson/{name}.json", _geojson(Path(aside) / f"{name}.json", name, layer, crs).read_bytes())
    return written


def moment(findings: Findings) -> str:
    """The time that files of a product carry: that of the image after, else the first of 1970; never that of now."""
    taken = [source.taken for source in findings.sources if source.role == "post" and source.taken is not None]
    return max(taken).strftime("%Y-%m-%dT%H:%M:%S.000Z") if taken else "1970-01-01T00:00:00.000Z"


def _geopackage(path: Path, named: dict[str, Layer], crs: str | None, when: str) -> Path:
    for name, layer in named.items():
        options = {"DESCRIPTION": layer.about, "IDENTIFIER": name}
        _gdal(
            path,
            layer,
            name,
            "GPKG",
            crs or CARTESIAN,
            options if layer.geometry is None else options | {"GEOMETRY_NAME": "geom"},
        )
    _gdal(path, _styles(named, when), STYLES, "GPKG", None, {"FID": "id"})
    return path


def _geojson(path: Path, name: str, layer: Layer, crs: str) -> Path:
    _gdal(path, layer, name, "GeoJSON", crs, {"RFC7946": "YES", "COORDINATE_PRECISION": "7"})
    return path


def _parquet(path: Path, layer: Layer, crs: str | None) -> Path:
    assert layer.geometry is not None
    write_parquet(path, Features(layer.geometry, layer.columns), crs)
    return path


def _csv(layer: Layer) -> bytes:
    """A table for spreadsheets: UTF-8 with a mark by which they know it, empty cells where nothing is known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(layer.columns)
    columns = [values.tolist() for values in layer.columns.values()]
    writer.writerows(map(_cell, row) for row in zip(*columns, strict=True))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _cell(value: Any) -> Any:
    """A value for spreadsheets, which would take text that begins so for a formula."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@")) else value
    return "" if value is None else int(value) if float(value).is_integer() else value


def _styles(named: dict[str, Layer], when: str) -> Layer:
    """QGIS' own table, a default style for each layer with geometries."""
    drawn = {name: layer for name, layer in named.items() if layer.geometry is not None}
    count = len(drawn)
    columns = {
        "f_table_catalog": np.full(count, ""),
        "f_table_schema": np.full(count, ""),
        "f_table_name": np.array(list(drawn)),
        "f_geometry_column": np.full(count, "geom"),
        "styleName": np.array(list(drawn)),
        "styleQML": np.array([style(layer) for layer in drawn.values()]),
        "styleSLD": np.full(count, ""),
        "useAsDefault": np.full(count, True),
        "description": np.array([layer.about for layer in drawn.values()]),
        "owner": np.full(count, ""),
        "ui": np.full(count, ""),
        "update_time": np.full(count, when.removesuffix("Z"), dtype="datetime64[ms]"),  # QGIS takes the newest one
    }
    return Layer(STYLES, None, None, columns, "")


def _gdal(path: Path, layer: Layer, name: str, driver: str, crs: str | None, options: dict[str, str]) -> None:
    """One layer into a file that may hold others."""
    from pyogrio import raw

    columns = list(layer.columns.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a table has no CRS
        try:
            raw.write(
                path,
                None if layer.geometry is None else shapely.to_wkb(layer.geometry),
                [_plain(values) for values in columns],
                np.array(list(layer.columns), dtype=object),
                field_mask=[_mask(values) for values in columns],
                layer=name,
                driver=driver,
                geometry_type=layer.kind,
                crs=crs if layer.geometry is not None else None,
                layer_options=options,
                gdal_tz_offsets={n: np.full(len(v), UTC) for n, v in layer.columns.items() if v.dtype.kind == "M"},
            )
        except RuntimeError as error:  # all of pyogrio's are
            found = " ".join(str(error).split())[:160]
            raise DatasetError("the layer cannot be written", file=path.name, expected=name, found=found) from None


def _plain(values: Column) -> NDArray[Any]:
    found = np.asarray(values)
    return found.astype(object) if found.dtype.kind == "U" else found


def _mask(values: Column) -> NDArray[np.bool_] | None:
    return np.asarray(values.mask) if isinstance(values, np.ma.MaskedArray) else None


@contextmanager
def _dated(when: str) -> Iterator[None]:
    """GDAL takes this for the time of now, and leaves it to us to bring the file to the disk, until this ends."""
    try:
        import pyogrio
    except ModuleNotFoundError:
        raise MissingExtraError("pyogrio", "mapping") from None
    ours = {"OGR_CURRENT_DATE": when, "OGR_SQLITE_SYNCHRONOUS": "OFF"}
    before = {name: pyogrio.get_gdal_config_option(name) for name in ours}
    pyogrio.set_gdal_config_options(ours)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)
