"""STAC 1.1: a collection, an item per shard, and beside each shard its samples as a feature collection of items.

An item of STAC names files, and a sample is a part of a tar: so the collection links to shards, of which there are few,
and the footprints of samples go into one file a shard, which GIS programs open as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac
import shapely

from mage.generator.release.licences import LICENCES
from mage.generator.release.places import bounds_of, crs_fields, footprint
from mage.generator.release.survey import Survey
from mage.scenes.dataset.fields import CLASS_COLOURS, DAMAGE_COLOURS, LandClass
from mage.scenes.dataset.index import MANIFEST, TABLE
from mage.scenes.dataset.released import COLLECTION, ITEMS, RELEASE, TILES, ReleaseRecord
from mage.scenes.dataset.schema import DatasetRecord, DateRecord, SampleRecord, ShardRecord
from mage.scenes.dataset.store import SHARDS
from mage.scenes.grades import JDS_NAMES

EXTENSIONS = {
    name: f"https://stac-extensions.github.io/{name}/v{version}/schema.json"
    for name, version in (
        ("classification", "2.0.0"),
        ("eo", "1.1.0"),
        ("file", "2.1.0"),
        ("projection", "2.0.0"),
        ("version", "1.2.0"),
        ("view", "1.0.0"),
    )
}
TAR, PARQUET, JSON = "application/x-tar", "application/vnd.apache.parquet", "application/json"
WORLD = [-180.0, -90.0, 180.0, 90.0]
SHA256 = "1220"  # of a multihash: the function's number and the digest's length


def write_shard_items(root: Path, name: str, shard: ShardRecord, records: Iterable[SampleRecord]) -> None:
    """Write the item of a shard and the feature collection of its samples into a release."""
    tiles = [tile_item(name, shard, record) for record in records]
    stem = shard.name.removesuffix(".tar")
    _write(root / TILES / f"{stem}.json", {"type": "FeatureCollection", "features": tiles})
    _write(root / ITEMS / f"{stem}.json", shard_item(name, shard, tiles))


def tile_item(name: str, shard: ShardRecord, record: SampleRecord) -> dict[str, Any]:
    """The item of a sample: two images and labels, all in the shard's tar under the names that the assets state. Its
    time and view are those of the image after; the image before has its own.
    """
    outline = footprint(record.grid)
    begin, end = (instant(taken.capture_date, outline) for taken in (record.pre, record.post))
    item = pystac.Item(
        id=record.key,
        geometry=None if outline is None else shapely.geometry.mapping(outline),
        bbox=None if outline is None else list(outline.bounds),
        datetime=end,
        start_datetime=begin,
        end_datetime=end,
        properties=_tile_properties(record),
        stac_extensions=[EXTENSIONS[k] for k in ("eo", "projection", "view")],
        collection=name,
    )
    member = f"{record.key}.{{}}.png"
    before = {"mage:member": member.format("pre"), "datetime": _text(begin), **_view(record.pre)}
    labels = {"mage:members": [member.format("pre_*"), member.format("post_*"), f"{record.key}.json"]}
    for key, title, roles, fields in (
        ("pre", "Image before", ["data", "visual"], before),
        ("post", "Image after", ["data", "visual"], {"mage:member": member.format("post")}),
        ("labels", "Label rasters and vectors", ["data", "labels"], labels),
    ):
        item.add_asset(key, pystac.Asset(_tar(shard), title, None, TAR, roles, fields))
    item.add_link(pystac.Link("collection", "../collection.json", JSON))
    return item.to_dict(include_self_link=False, transform_hrefs=False)


def _tile_properties(record: SampleRecord) -> dict[str, Any]:
    grid = record.grid
    grades = [building.jds for building in record.buildings]
    return {
        "gsd": grid.gsd,
        "mage:split": record.split,
        "mage:city": record.city,
        "mage:event": record.event,
        "mage:hazard": record.hazard,
        "mage:buildings": {name: grades.count(grade) for grade, name in enumerate(JDS_NAMES)},
        **_view(record.post),
        **crs_fields(grid.crs),
        "proj:shape": [grid.rows, grid.columns],
        "proj:transform": [grid.gsd, 0.0, grid.west, 0.0, -grid.gsd, grid.north],
        "proj:bbox": list(bounds_of(grid)),
    }


def _view(taken: DateRecord) -> dict[str, Any]:
    return {
        "view:off_nadir": taken.off_nadir_angle,
        "view:azimuth": taken.target_azimuth % 360,
        "view:sun_elevation": taken.sun_elevation,
        "view:sun_azimuth": taken.sun_azimuth % 360,
        "eo:cloud_cover": round(100 * taken.cloud_cover, 4),
    }


def shard_item(name: str, shard: ShardRecord, tiles: list[dict[str, Any]]) -> dict[str, Any]:
    """The item of a shard: its tar with size and checksum; its place is that of its samples, if all have one."""
    outlines = [shapely.geometry.shape(tile["geometry"]) for tile in tiles if tile["geometry"]]
    whole = shapely.union_all(outlines) if len(outlines) == len(tiles) else None
    begin = min(tile["properties"]["start_datetime"] for tile in tiles)
    end = max(tile["properties"]["end_datetime"] for tile in tiles)
    facts = {
        f"mage:{k}": sorted({tile["properties"][f"mage:{k}"] for tile in tiles}) for k in ("split", "city", "event")
    }
    item = pystac.Item(
        id=shard.name.removesuffix(".tar"),
        geometry=None if whole is None else shapely.geometry.mapping(whole),
        bbox=None if whole is None else list(whole.bounds),
        datetime=datetime.fromisoformat(end),
        start_datetime=datetime.fromisoformat(begin),
        end_datetime=datetime.fromisoformat(end),
        properties={"gsd": tiles[0]["properties"]["gsd"], "mage:samples": len(tiles), **facts},
        stac_extensions=[EXTENSIONS["file"]],
        collection=name,
    )
    file = {"file:checksum": SHA256 + shard.sha256, "file:size": shard.bytes}
    item.add_asset("shard", pystac.Asset(_tar(shard), "Samples as a WebDataset", None, TAR, ["data"], file))
    tiles_file = f"../samples/{shard.name.removesuffix('.tar')}.json"
    item.add_asset(
        "samples", pystac.Asset(tiles_file, "Items of the samples", None, "application/geo+json", ["metadata"])
    )
    for rel in ("root", "parent", "collection"):
        item.add_link(pystac.Link(rel, "../collection.json", JSON))
    return item.to_dict(include_self_link=False, transform_hrefs=False)


def write_collection(root: Path, record: ReleaseRecord, manifest: DatasetRecord, survey: Survey) -> None:
    """Write the collection of a release."""
    extent = list(survey.extent) if survey.extent and not survey.unplaced else WORLD
    days = [datetime.fromisoformat(day).replace(tzinfo=UTC) for dates in survey.dates for day in dates]
    collection = pystac.Collection(
        id=record.name,
        title=record.title,
        description=_described(record, survey),
        extent=pystac.Extent(
            pystac.SpatialExtent([extent]),
            pystac.TemporalExtent([[min(days) - timedelta(days=1), max(days) + timedelta(days=2)]]),
        ),
        license=record.licence,
        keywords=["disaster", "damage assessment", "synthetic", *sorted(survey.all.hazards)],
        providers=[pystac.Provider(author, None, [pystac.ProviderRole.PRODUCER]) for author in record.authors],
        summaries=pystac.Summaries({"gsd": sorted(survey.gsd), "mage:hazard": sorted(survey.all.hazards)}),
        stac_extensions=[EXTENSIONS[k] for k in ("classification", "file", "version")],
        extra_fields={
            "version": record.version,
            "mage:splits": {name: split.model_dump() for name, split in record.splits.items()},
            "item_assets": _item_assets(),
        },
    )
    index = {"file:checksum": SHA256 + manifest.index_sha256}
    collection.add_asset("index", pystac.Asset(f"../{TABLE}", "A row a sample", None, PARQUET, ["metadata"], index))
    for key, path in (("dataset", MANIFEST), ("release", RELEASE)):
        collection.add_asset(key, pystac.Asset(f"../{path}", path, None, JSON, ["metadata"]))
    collection.add_link(pystac.Link("root", "./collection.json", JSON))
    collection.add_link(pystac.Link("license", LICENCES[record.licence].url, "text/html"))
    for shard in manifest.shards:
        collection.add_link(
            pystac.Link("item", f"./shards/{shard.name.removesuffix('.tar')}.json", "application/geo+json")
        )
    _write(root / COLLECTION, collection.to_dict(include_self_link=False, transform_hrefs=False))


def _described(record: ReleaseRecord, survey: Survey) -> str:
    lines = [
        record.description,
        "Items are shards; the samples in a shard are in the feature collection beside it. Dates are those of the "
        "recipe, "
        "for which sun and season are computed; times are local solar times, turned to UTC by longitude without the "
        "equation of time, and left as they are where a sample lies nowhere on the Earth.",
    ]
    if survey.unplaced:
        lines.append(
            f"{survey.unplaced} of {survey.all.samples} samples are of invented places: they have no geometry, and the "
            "extent is the whole world."
        )
    return "\n\n".join(lines)


def _item_assets() -> dict[str, Any]:
    """Classes of the label rasters that have some, in a sample's ``labels``."""
    cover = [_class(int(kind), kind.name.lower(), CLASS_COLOURS[kind]) for kind in LandClass]
    damage = [_class(k, name, DAMAGE_COLOURS[k]) for k, name in enumerate(("background", *JDS_NAMES))]
    image = {"type": TAR, "roles": ["data", "visual"], "bands": [{"name": name} for name in ("red", "green", "blue")]}
    return {
        "pre": {"title": "Image before", **image},
        "post": {"title": "Image after", **image},
        "class": {"title": "pre_class.png, post_class.png", "type": TAR, "classification:classes": cover},
        "damage": {"title": "post_damage.png", "type": TAR, "classification:classes": damage},
    }


def _class(value: int, name: str, colour: tuple[int, int, int]) -> dict[str, Any]:
    nodata = {"nodata": True} if name == "nodata" else {}
    return {"value": value, "name": name, "color_hint": "".join(f"{c:02X}" for c in colour), **nodata}


def instant(local: str, outline: shapely.Polygon | None) -> datetime:
    """A local solar time as UTC, by the longitude of an outline in degrees; as it is where there is none."""
    hours = 0.0 if outline is None else outline.centroid.x / 15
    return (datetime.fromisoformat(local) - timedelta(hours=hours)).replace(microsecond=0, tzinfo=UTC)


def _text(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def _tar(shard: ShardRecord) -> str:
    return f"../../{SHARDS}/{shard.name}"


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
