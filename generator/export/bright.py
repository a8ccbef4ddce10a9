"""BRIGHT (Chen et al. 2025): its folders, names and classes; the image after is optical, not SAR.

``pre-event/EVENT_00000000_pre_disaster.tif``, ``post-event/…_post_disaster.tif``, ``target/…_building_damage.tif`` with
0 background, 1 intact, 2 damaged, 3 destroyed; the names of each split in ``SPLIT_set.txt``; and the same buildings as
instances with run lengths in ``instances_SPLIT.json``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.export.coco import instances, instances_file
from mage.generator.export.formats import SCALES, Format, Labels, Output, SideFiles, Summary, each, entry
from mage.generator.export.geotiff import Layer, encode_geotiff, image_geotiff, tags_of
from mage.generator.export.tiles import Tile
from mage.scenes.dataset.schema import SampleRecord
from mage.scenes.grades import Grades, bright_of_roof, jds_as_recorded

BURN = {"burning": 1, "burnt": 2}
COLOURS = {0: (0, 0, 0), 1: (255, 255, 255), 2: (240, 160, 60), 3: (200, 40, 40)}


def write_tile(tile: Tile, labels: Labels) -> Output:
    """Both images and the target of one sample, and in the entry its instances."""
    stem, layer = tile.pick.stem, Layer(bands=("damage",), colours=COLOURS, tags=tags_of(tile, "post"))
    numbers, classes = targets(tile, labels)
    files = {
        f"pre-event/{stem}_pre_disaster.tif": image_geotiff(tile, "pre"),
        f"post-event/{stem}_post_disaster.tif": image_geotiff(tile, "post"),
        f"target/{stem}_building_damage.tif": encode_geotiff(classes[numbers][None], tile.record.grid, layer),
    }
    image = {
        "file_name": f"{stem}_post_disaster.tif",
        "width": tile.record.grid.columns,
        "height": tile.record.grid.rows,
        "key": tile.pick.key,
    }
    found = [{"category_id": int(classes[n]), "number": n, **of} for n, of in instances(numbers, runs_only=True)]
    return Output(files, [entry(tile, stem, post={"image": image, "annotations": found})])


def targets(tile: Tile, labels: Labels) -> tuple[NDArray[Any], Grades]:
    """The number of the instance at each pixel after, (rows, columns), and the class of each number."""
    if labels.policy is not None:
        drawn = tile.record.annotations or []
        return tile.raster("pre_annotated"), _table({a.id: a.grade for a in drawn})
    classes = bright_of_roof(roof_grades(tile.record)).tolist()
    ids = [b.id for b in tile.record.buildings]
    return tile.raster("post_building"), _table(dict(zip(ids, classes, strict=True)))


def roof_grades(record: SampleRecord) -> Grades:
    """Joint Damage Scale of each building of a record by what its roof shows, uint8 (n,)."""
    told = record.buildings
    jds, visible, burn = (
        np.array(values, np.uint8)
        for values in ([b.jds for b in told], [b.visible for b in told], [BURN.get(b.burn, 0) for b in told])
    )
    return jds_as_recorded(jds, visible, burn, "flood" in record.hazard.split("-"))


def _table(classes: dict[int, int]) -> Grades:
    """(65536,) class by number."""
    table = np.zeros(1 << 16, np.uint8)
    for number, value in classes.items():
        table[number % len(table)] = value
    return table


def finish(summary: Summary) -> SideFiles:
    """Lists of names and instances of each split."""
    kinds = [(name, "building") for name in SCALES["bright"]]
    for split in summary.counts:
        names = (f"{e['name']}\n".encode() for e in summary.entries() if e["split"] == split)
        yield f"{split}_set.txt", names
        found = lambda s=split: (e["post"] for e in summary.entries() if e["split"] == s)  # noqa: E731
        yield f"instances_{split}.json", instances_file(summary, kinds, found)


FORMAT = Format(
    about="BRIGHT's layout and classes over optical images (no SAR)",
    write=each(write_tile),
    finish=finish,
    notes=("images after are optical RGB, where BRIGHT has SAR of one band",),
    policies=frozenset({"bright"}),
)
