"""Two rendered pairs in every format: after an earthquake and a flood, off nadir, with annotations and bands."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from export_cases import inside, samples_by_key
from pycocotools.coco import COCO
from shapely.geometry import shape
from xbd_reader import read_split

from mage.generator.export.formats import FORMATS
from mage.generator.export.run import export_dataset
from mage.scenes.dataset.png import decode_png

pytestmark = pytest.mark.long

RECIPE = """
name: struck
count: 2
city: {extent: 160}
hazard: [{kind: earthquake, magnitude: [7.4, 7.5], distance: [5, 6]}, {kind: flood}]
view: {off_nadir: [15, 25], shift: [2, 4]}
label_style: annotator
sensors: [planetscope]
output: {size: 64, gsd: 1.0, shard_size: 1}
render: {spp: 1}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rendered")
    (folder / "struck.yaml").write_text(RECIPE)
    command = [sys.executable, "-m", "mage.scenes.cli", "generate", folder / "struck.yaml", "--out", folder / "dataset"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "dataset"


def exported(dataset, kind, labels="exact"):
    out = dataset.parent / f"{kind}-{labels}"
    assert export_dataset(dataset, out, kind, labels=labels).counts == {"train": 2}
    return out


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_written_and_lists_both_pairs(dataset, kind):
    lines = (exported(dataset, kind) / "samples.jsonl").read_text().splitlines()
    assert [json.loads(line)["key"] for line in lines] == list(samples_by_key(dataset))


def test_outlines_of_xbd_lie_on_what_each_slanted_image_shows(dataset):
    shared = total = 0
    for pair in read_split(exported(dataset, "xbd") / "train").values():
        for date in ("pre", "post"):
            target = pair[date]["target"] > 0
            drawn = np.zeros_like(target)
            for polygon in pair[date]["xy"]:
                drawn |= inside(polygon["rings"], len(drawn))
            if date == "pre":  # after, walls that have fallen are in the outline and not in the picture
                shared, total = shared + (drawn & target).sum(), total + (drawn | target).sum()
            assert (target & ~drawn).sum() <= 0.1 * target.sum() + 3
    assert shared / total > 0.85  # pixels of a metre: an edge is a large part of a house


def test_annotations_of_xbd_are_their_targets(dataset):
    for pair in read_split(exported(dataset, "xbd", "annotated") / "train").values():
        for date in ("pre", "post"):
            drawn = np.zeros(pair[date]["target"].shape, bool)
            for polygon in pair[date]["xy"]:
                drawn |= inside(polygon["rings"], len(drawn))
            assert (drawn != (pair[date]["target"] > 0)).mean() < 0.002  # centres that lie on an edge
        assert [p["uid"] for p in pair["pre"]["xy"]] == [p["uid"] for p in pair["post"]["xy"]]


def test_masks_of_coco_are_the_building_rasters(dataset):
    out, samples = exported(dataset, "coco"), samples_by_key(dataset)
    for date in ("pre", "post"):
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(out / "annotations" / f"instances_train_{date}.json")
        for image in coco.dataset["images"]:
            drawn = np.zeros((64, 64), int)
            for annotation in coco.loadAnns(coco.getAnnIds(image["id"])):
                drawn[coco.annToMask(annotation) > 0] = annotation["number"]
            assert np.array_equal(drawn, samples[image["key"]].labels[f"{date}_building"])


def test_rasters_come_back_from_geotiff_and_parquet(dataset):
    out, samples = exported(dataset, "geotiff"), samples_by_key(dataset)
    for key, sample in samples.items():
        for name, raster in sample.labels.items():
            with rasterio.open(out / "train" / key / f"{name}.tif") as file:
                assert np.array_equal(file.read(1), raster)
        (stack,) = (out / "train" / key).glob("post_planetscope_*m.tif")
        with rasterio.open(stack) as file:
            for k, band in enumerate(file.descriptions, start=1):
                assert np.array_equal(file.read(k), sample.bands[f"post_planetscope_{band}"])
    for path in (exported(dataset, "huggingface") / "data" / "train").iterdir():
        for row in pq.read_table(path).to_pylist():
            assert np.array_equal(decode_png(row["post"]["bytes"]), samples[row["key"]].images["post"])


def test_vectors_of_cems_are_valid_and_every_building_is_graded(dataset):
    out, samples = exported(dataset, "cems"), samples_by_key(dataset)
    for line in (out / "samples.jsonl").read_text().splitlines():
        entry = json.loads(line)
        for path in (out / entry["split"] / entry["name"]).iterdir():
            features = json.loads(path.read_text())["features"]
            assert all(shape(f["geometry"]).is_valid for f in features if f["geometry"])
            if "_builtUpP_" in path.name:
                seen = [b for b in samples[entry["key"]].record.buildings if b.polygons_map]
                assert [f["properties"]["name"] for f in features] == [b.source_id for b in seen]
                assert all(f["properties"]["damage_gra"] for f in features)
