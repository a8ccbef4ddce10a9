"""COCO instances: buildings and tents, one file a split and date.

``images/SPLIT/KEY_{pre,post}.png`` and ``annotations/instances_SPLIT_{pre,post}.json``. Before there is one category,
after there is one for each grade of damage. Segmentations are exact: a polygon along the edges of the instance's
pixels, or, since a polygon of COCO cannot have a hole, run lengths for an instance that has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from shapely.geometry import Polygon

from mage.generator.export.formats import Entry, Format, Labels, Output, SideFiles, Summary, each, entry, json_list
from mage.generator.export.tiles import Tile
from mage.scenes.dataset.fields import IMAGE_FIELDS

Annotation = dict[str, Any]


def write_tile(tile: Tile, labels: Labels) -> Output:
    """Both images, and in the entry their annotations without ids."""
    record, files, found = tile.record, {}, {}
    for date in IMAGE_FIELDS:
        name = f"{tile.pick.split}/{tile.pick.key}_{date}.png"
        files[f"images/{name}"] = tile.png(date)
        found[date] = {
            "image": {
                "file_name": name,
                "width": record.grid.columns,
                "height": record.grid.rows,
                "date_captured": (record.pre if date == "pre" else record.post).capture_date,
                "key": record.key,
            },
            "annotations": list(annotate(tile, date, labels)),
        }
    return Output(files, [entry(tile, tile.pick.key, **found)])


def annotate(tile: Tile, date: str, labels: Labels) -> Iterator[Annotation]:
    """The instances of one image: buildings or annotations, and tents."""
    record, exact = tile.record, labels.policy is None
    grades = {b.id: b.jds for b in record.buildings} if exact else {a.id: a.grade - 1 for a in record.annotations or ()}
    raster = tile.raster(f"{date}_building" if exact else "pre_annotated")
    for number, of in instances(raster):
        grade = grades.get(number, 0)
        yield {"category_id": 1 if date == "pre" else 1 + grade, "number": number, **of}
    if date == "post" and record.tents:
        tent = 1 + len(labels.names)
        yield from ({"category_id": tent, "number": n, **of} for n, of in instances(tile.raster("post_tent")))


def instances(raster: NDArray[Any], *, runs_only: bool = False) -> Iterator[tuple[int, Annotation]]:
    """Each number of a raster but 0, with its segmentation, area in pixels, bounding box and ``iscrowd``.

    ``runs_only`` gives run lengths to all of them, not only to those with a hole.
    """
    pieces: dict[int, list[Polygon]] = {}
    for outline, value in shapes(raster, mask=raster > 0, connectivity=4):
        rings = outline["coordinates"]
        pieces.setdefault(int(value), []).append(Polygon(rings[0], rings[1:]))
    for number in sorted(pieces):
        parts = pieces[number]
        west, north, east, south = (float(v) for v in shapely.total_bounds(parts))
        segmentation: Any = [_flat(part) for part in parts]
        if runs_only or any(part.interiors for part in parts):
            segmentation = run_lengths(raster == number)
        yield (
            number,
            {
                "segmentation": segmentation,
                "area": float(sum(part.area for part in parts)),
                "bbox": [west, north, east - west, south - north],
                "iscrowd": 0,
            },
        )


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's uncompressed run lengths of a mask (rows, columns): of zeros and ones in turn, column by column."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    turns = np.flatnonzero(flat[1:] != flat[:-1])
    edges = np.concatenate([[0], turns, [mask.size]])
    return {"counts": np.diff(edges).tolist(), "size": list(mask.shape)}


def _flat(polygon: Polygon) -> list[float]:
    return [float(v) for v in shapely.get_coordinates(polygon.exterior)[:-1].ravel()]


def finish(summary: Summary) -> SideFiles:
    """The JSON of each split and date."""
    damage = [(name, "building") for name in summary.labels.names]
    for split in summary.counts:
        for date in IMAGE_FIELDS:
            kinds = [("building", "building")] if date == "pre" else [*damage, ("tent", "tent")]
            chunks = instances_file(summary, kinds, lambda s=split, d=date: _found(summary.entries(), s, d))
            yield f"annotations/instances_{split}_{date}.json", chunks


def _found(entries: Iterable[Entry], split: str, date: str) -> Iterator[Mapping[str, Any]]:
    return (e[date] for e in entries if e["split"] == split)


def instances_file(summary: Summary, kinds: Sequence[tuple[str, str]], found: Any) -> Iterator[bytes]:
    """A COCO file; ``kinds`` are names and supercategories, ``found()`` yields images with their annotations.

    Images and annotations are numbered from 1 in the dataset's order.
    """
    head = {
        "info": {"description": f"{summary.manifest.name}, exported by MAGE", "version": summary.manifest.recipe_hash},
        "licenses": [
            {"id": k, "name": str(source.get("licence") or "not stated"), "source": str(source.get("name"))}
            for k, source in enumerate(summary.manifest.sources, start=1)
        ],
        "categories": [{"id": k, "name": n, "supercategory": s} for k, (n, s) in enumerate(kinds, start=1)],
    }
    images = ({"id": k, **of["image"]} for k, of in enumerate(found(), start=1))
    pairs = ((k, a) for k, of in enumerate(found(), start=1) for a in of["annotations"])
    annotations = ({"id": n, "image_id": k, **a} for n, (k, a) in enumerate(pairs, start=1))
    return json_list(head, {"images": images, "annotations": annotations})


FORMAT = Format(
    about="COCO instances of buildings and tents, damage as category",
    write=each(write_tile),
    finish=finish,
    notes=("segmentations are exact: polygons along the edges of pixels, run lengths where an instance has a hole",),
    policies=frozenset({"xbd", "roof", "bright"}),
)
