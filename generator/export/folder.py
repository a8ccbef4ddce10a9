"""A plain tree of PNG and JSON.

``SPLIT/KEY.pre.png``, ``KEY.post_damage.png``, ``KEY.json`` … with the names that members have in shards, so that a tar
of such a folder is read by the ``webdataset`` package; ``KEY.post_class_colour.png`` and its like for the eye; and
``SPLIT.csv``, a row a sample.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import numpy as np

from mage.generator.export.formats import Entry, Format, Labels, Output, SideFiles, Summary, each, entry, to_json
from mage.generator.export.tiles import Tile
from mage.scenes.dataset.fields import CLASS_COLOURS, DAMAGE_COLOURS
from mage.scenes.dataset.png import encode_png
from mage.scenes.dataset.rows import sample_row

_CLASSES = np.array([CLASS_COLOURS[c] for c in sorted(CLASS_COLOURS)], np.uint8)
COLOURED = {"pre_class": _CLASSES, "post_class": _CLASSES, "post_damage": np.array(DAMAGE_COLOURS, np.uint8)}


def write_tile(tile: Tile, _labels: Labels) -> Output:
    """All members of a sample, and three of them in colour."""
    stem = f"{tile.pick.split}/{tile.pick.key}"
    files = {f"{stem}.{name}.png": tile.png(name) for name in tile.members}
    for name, colours in COLOURED.items():
        values = np.minimum(tile.raster(name), len(colours) - 1)
        files[f"{stem}.{name}_colour.png"] = encode_png(colours[values])
    record = tile.record
    files[f"{stem}.json"] = to_json(record.model_dump(), indent=1, separators=(",", ": "))
    return Output(files, [entry(tile, tile.pick.key, row=sample_row(record).model_dump())])


def finish(summary: Summary) -> SideFiles:
    """A table of each split."""
    for split in summary.counts:
        yield f"{split}.csv", _table(e for e in summary.entries() if e["split"] == split)


def _table(entries: Iterator[Entry]) -> Iterator[bytes]:
    names: list[str] = []
    for e in entries:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not names:
            names = list(e["row"])
            writer.writerow(names)
        writer.writerow([e["row"][name] for name in names])
        yield text.getvalue().encode()


FORMAT = Format(about="A plain tree of PNG and JSON, with coloured labels", write=each(write_tile), finish=finish)
