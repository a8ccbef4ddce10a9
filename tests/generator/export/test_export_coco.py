"""The COCO export through pycocotools, the reader that such files are written for."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from export_cases import samples_by_key, write_annotated_dataset, write_rich_dataset
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as masks
from pycocotools.coco import COCO

from mage.generator.export.coco import instances, run_lengths
from mage.generator.export.run import export_dataset
from mage.scenes.dataset.png import decode_png


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    write_rich_dataset(folder / "dataset")
    export_dataset(folder / "dataset", folder / "out", "coco")
    return folder


def read(out, split, date):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(out / "annotations" / f"instances_{split}_{date}.json")


def drawn(coco, image):
    """The number of the instance at each pixel, by pycocotools' own masks."""
    raster = np.zeros((image["height"], image["width"]), int)
    for annotation in coco.loadAnns(coco.getAnnIds(image["id"])):
        if coco.loadCats(annotation["category_id"])[0]["name"] != "tent":
            mask = coco.annToMask(annotation) > 0
            assert not raster[mask].any()
            raster[mask] = annotation["number"]
    return raster


@pytest.mark.parametrize("date", ["pre", "post"])
def test_masks_are_the_building_raster_to_the_pixel_courts_too(rich, date):
    samples, seen = samples_by_key(rich / "dataset"), set()
    for split in ("train", "test"):
        coco = read(rich / "out", split, date)
        for image in coco.dataset["images"]:
            assert np.array_equal(drawn(coco, image), samples[image["key"]].labels[f"{date}_building"])
            seen.add(image["key"])
    assert seen == set(samples)


def test_only_what_has_a_hole_is_in_run_lengths(rich):
    coco = read(rich / "out", "train", "post")
    kinds = [type(a["segmentation"]) for a in coco.dataset["annotations"]]
    assert kinds.count(dict) == 1
    assert kinds.count(list) > 20


def test_the_category_after_is_the_grade_and_tents_are_their_own(rich):
    samples = samples_by_key(rich / "dataset")
    coco = read(rich / "out", "train", "post")
    names = {c["id"]: c["name"] for c in coco.dataset["categories"]}
    assert list(names.values()) == ["no-damage", "minor-damage", "major-damage", "destroyed", "tent"]
    for image in coco.dataset["images"]:
        record = samples[image["key"]].record
        found = coco.loadAnns(coco.getAnnIds(image["id"]))
        houses = {a["number"]: names[a["category_id"]] for a in found if names[a["category_id"]] != "tent"}
        assert houses == {b.id: list(names.values())[b.jds] for b in record.buildings}
        assert len(found) - len(houses) == len(record.tents)
    before = read(rich / "out", "train", "pre")
    assert {c["name"] for c in before.dataset["categories"]} == {"building"}


def test_areas_and_boxes_are_those_that_pycocotools_measures(rich):
    coco = read(rich / "out", "train", "post")
    for annotation in coco.dataset["annotations"]:
        mask = coco.annToMask(annotation)
        assert annotation["area"] == mask.sum() == masks.area(coco.annToRLE(annotation))
        assert np.allclose(annotation["bbox"], masks.toBbox(masks.encode(np.asfortranarray(mask))))
        assert annotation["iscrowd"] == 0


def test_images_lie_where_the_file_says_and_ids_run_from_one(rich):
    samples = samples_by_key(rich / "dataset")
    content = json.loads((rich / "out" / "annotations" / "instances_test_pre.json").read_text())
    assert [i["id"] for i in content["images"]] == [1, 2]
    assert [a["id"] for a in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))
    for image in content["images"]:
        pixels = decode_png((rich / "out" / "images" / image["file_name"]).read_bytes())
        assert np.array_equal(pixels, samples[image["key"]].images["pre"])
    assert content["licenses"] == [{"id": 1, "name": "CC0-1.0", "source": "drawn"}]


def test_annotators_outlines_are_instances_on_their_own_scale(tmp_path):
    write_annotated_dataset(tmp_path / "d", "bright")
    export_dataset(tmp_path / "d", tmp_path / "out", "coco")
    coco = read(tmp_path / "out", "train", "post")
    assert [c["name"] for c in coco.dataset["categories"]] == ["intact", "damaged", "destroyed", "tent"]
    for image in coco.dataset["images"]:
        record = samples_by_key(tmp_path / "d")[image["key"]].record
        grades = {a["number"]: a["category_id"] for a in coco.loadAnns(coco.getAnnIds(image["id"]))}
        assert grades == {a.id: a.grade for a in record.annotations}


@given(arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)))
def test_any_raster_comes_back_from_its_segmentations(raster):
    found = np.zeros_like(raster)
    for number, of in instances(raster):
        given_as = of["segmentation"]
        shape = raster.shape
        runs = masks.frPyObjects(given_as, *shape)
        mask = masks.decode(masks.merge(runs) if isinstance(given_as, list) else runs)
        found[mask > 0] = number
        assert mask.sum() == of["area"]
    assert np.array_equal(found, raster)


@given(arrays(bool, st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_run_lengths_are_those_of_pycocotools(mask):
    runs = run_lengths(mask)
    assert sum(runs["counts"]) == mask.size
    assert np.array_equal(masks.decode(masks.frPyObjects(runs, *mask.shape)), mask)
