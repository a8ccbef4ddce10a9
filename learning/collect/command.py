"""``mage collect``."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mage.scenes.errors import DatasetError, MissingExtraError

if TYPE_CHECKING:
    from mage.learning.collect.tiles import Source

NEEDS = ("rasterio", "shapely", "pyproj", "requests", "pystac_client")
OF = {
    "stac": ("collection", "asset", "dates", "cloud", "valid"),
    "wms": ("layer", "style", "form", "crs", "gsd"),
    "wmts": ("layer", "style", "form", "level", "matrix_set"),
}  # options of each kind of service


def collect(
    out: Annotated[Path, typer.Option(help="Folder for the imagery; the same command goes on with it.")],
    stac: Annotated[str | None, typer.Option(help="URL of a STAC API.")] = None,
    wms: Annotated[str | None, typer.Option(help="URL of a WMS.")] = None,
    wmts: Annotated[str | None, typer.Option(help="URL of a WMTS.")] = None,
    bbox: Annotated[str | None, typer.Option(help="Area: west,south,east,north in degrees.")] = None,
    aoi: Annotated[Path | None, typer.Option(help="Area: polygons in a GeoJSON file.")] = None,
    collection: Annotated[list[str] | None, typer.Option(help="STAC: a collection; may be repeated.")] = None,
    asset: Annotated[list[str] | None, typer.Option(help="STAC: an asset, such as visual; may be repeated.")] = None,
    dates: Annotated[str | None, typer.Option(help="STAC: a day, or FROM/TO.")] = None,
    cloud: Annotated[float | None, typer.Option(min=0, max=100, help="STAC: most cloud in an image, %.")] = None,
    valid: Annotated[float | None, typer.Option(min=0, max=1, help="STAC: least share of a tile that is data.")] = None,
    layer: Annotated[str | None, typer.Option(help="WMS, WMTS: the layer.")] = None,
    style: Annotated[str | None, typer.Option(help="WMS, WMTS: the layer's style.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="WMS, WMTS: image/jpeg or image/png.")] = None,
    crs: Annotated[str | None, typer.Option(help="WMS: the map, such as EPSG:2154.")] = None,
    gsd: Annotated[float | None, typer.Option(help="WMS: side of a pixel in the map's units.")] = None,
    level: Annotated[int | None, typer.Option(min=0, max=24, help="WMTS: level of the web's common pyramid.")] = None,
    matrix_set: Annotated[str | None, typer.Option(help="WMTS: the server's name of that pyramid.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of the imagery; of a STAC API, where it states none.")] = None,
    attribution: Annotated[str, typer.Option(help="WMS, WMTS: whom to name.")] = "",
    size: Annotated[int, typer.Option(min=16, max=4096, help="Side of a tile in pixels.")] = 256,
    limit: Annotated[int | None, typer.Option(min=1, help="No more tiles than this.")] = None,
    delay: Annotated[float, typer.Option(min=0, help="Seconds between two requests.")] = 0.2,
) -> None:
    """Fetch unlabelled imagery of an area into shards."""
    asked = {name: url for name, url in (("stac", stac), ("wms", wms), ("wmts", wmts)) if url is not None}
    if len(asked) != 1:
        raise DatasetError(
            "from one service at a time", expected="--stac, --wms or --wmts", found=", ".join(asked) or "none"
        )
    ((kind, url),) = asked.items()
    options = {
        "collection": collection or None,
        "asset": asset or None,
        "dates": dates,
        "cloud": cloud,
        "valid": valid,
        "layer": layer,
        "style": style,
        "form": form,
        "crs": crs,
        "gsd": gsd,
        "level": level,
        "matrix_set": matrix_set,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if odd := sorted(set(given) - set(OF[kind])):
        raise DatasetError(f"--{kind} does not take this option", found=f"--{odd[0].replace('_', '-')}")
    _need()
    from mage.learning.collect.run import collect as run

    common = {"url": url, "area": _area(bbox, aoi), "size": size, "delay": delay}
    source = _stac(given, common, licence) if kind == "stac" else _service(kind, given, common, licence, attribution)
    try:
        record = run(source, out, name=out.resolve().name, limit=limit, versions=_versions(), progress=True)
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command goes on", err=True)
        raise typer.Exit(130) from None
    licences = ", ".join(sorted({str(origin["licence"]) for origin in record.sources}))
    typer.echo(f"{record.samples} tiles of {record.size} px, {', '.join(record.bands)}; licence: {licences}", err=True)
    typer.echo(str(out))


def _stac(given: dict[str, Any], common: dict[str, Any], licence: str | None) -> Source:
    from mage.learning.collect.stac import StacSource

    for name in ("collection", "asset"):
        if name not in given:
            raise DatasetError("--stac needs more", expected=f"--{name}")
    named = {"collections": tuple(given.pop("collection")), "assets": tuple(given.pop("asset"))}
    arguments: dict[str, Any] = common | named | given | ({} if licence is None else {"licence": licence})
    return StacSource(**arguments)


def _service(kind: str, given: dict[str, Any], common: dict[str, Any], licence: str | None, attribution: str) -> Source:
    from mage.learning.collect.services import WmsSource, WmtsSource

    if "layer" not in given or licence is None:
        raise DatasetError(
            f"--{kind} needs more", expected="--layer, and --licence as the service's provider states it"
        )
    service = WmsSource if kind == "wms" else WmtsSource
    return service(**common, **given, licence=licence, attribution=attribution)


def _area(bbox: str | None, aoi: Path | None) -> Any:
    from mage.learning.collect.area import box_area, file_area

    if (bbox is None) == (aoi is None):
        raise DatasetError("one area", expected="--bbox or --aoi", found="both" if bbox else "none")
    if aoi is not None:
        return file_area(aoi)
    try:
        west, south, east, north = map(float, str(bbox).split(","))
    except ValueError:
        raise DatasetError("no area", expected="--bbox west,south,east,north in degrees", found=str(bbox)) from None
    return box_area(west, south, east, north)


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("mage-eo", "numpy", "rasterio")}


def _need() -> None:
    """MissingExtraError where a part of the extra is not installed."""
    from importlib.util import find_spec

    for module in NEEDS:
        if find_spec(module) is None:
            raise MissingExtraError(module, "collect")
