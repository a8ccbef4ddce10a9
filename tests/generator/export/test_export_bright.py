"""BRIGHT's layout and classes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from export_cases import samples_by_key, shaken_sample, write_annotated_dataset, write_rich_dataset, write_samples
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as masks

from mage.generator.annotators import grades_by
from mage.generator.export.run import export_dataset
from mage.scenes.grades import bright_of_roof, jds_as_recorded


def read(path):
    with rasterio.open(path) as file:
        return file.read()


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bright")
    write_rich_dataset(folder / "dataset")
    export_dataset(folder / "dataset", folder / "out", "bright")
    return folder


def stems(out):
    return {split: (out / f"{split}_set.txt").read_text().split() for split in ("train", "test")}


def test_lists_of_splits_name_the_files_and_the_images_are_those_of_the_dataset(rich):
    out, samples = rich / "out", samples_by_key(rich / "dataset")
    named = stems(out)
    assert [len(names) for names in named.values()] == [3, 2]
    assert named["train"] == ["atown-flood-0_00000000", "atown-earthquake-camp-0_00000000", "atown-flood-0_00000001"]
    for key, stem in zip(samples_by_split(samples), [*named["test"], *named["train"]], strict=True):
        for date in ("pre", "post"):
            pixels = read(out / f"{date}-event" / f"{stem}_{date}_disaster.tif")
            assert np.array_equal(np.moveaxis(pixels, 0, -1), samples[key].images[date])
    assert len(list((out / "target").iterdir())) == 5


def samples_by_split(samples):
    return sorted(samples, key=lambda key: (samples[key].record.split, key))


def test_a_flooded_house_with_a_whole_roof_is_intact_and_one_under_water_destroyed(rich):
    sample = samples_by_key(rich / "dataset")["atown-flood-000002"]
    target = read(rich / "out" / "target" / "atown-flood-0_00000001_building_damage.tif")[0]
    jds = {b.id: b.jds for b in sample.record.buildings}
    wanted = np.vectorize(lambda n: 0 if n == 0 else 3 if jds[n] == 3 else 1)(sample.labels["post_building"])
    assert np.array_equal(target, wanted)
    assert {1, 3} <= set(np.unique(target))


def test_shaking_gives_all_three_classes_by_what_is_seen(tmp_path):
    sample = shaken_sample()
    told = sample.record.buildings
    write_samples(tmp_path / "d", [sample])
    export_dataset(tmp_path / "d", tmp_path / "out", "bright")
    target = read(tmp_path / "out" / "target" / "testville-flood-0_00000000_building_damage.tif")[0]
    for building in told:
        seen = set(np.unique(target[sample.labels["post_building"] == building.id]))
        assert seen == {[1, 1, 1, 2, 2, 3][building.visible]}


def test_instances_are_the_target_again(rich):

    content = json.loads((rich / "out" / "instances_train.json").read_text())
    assert [c["name"] for c in content["categories"]] == ["intact", "damaged", "destroyed"]
    for image in content["images"]:
        target = read(rich / "out" / "target" / image["file_name"].replace("post_disaster", "building_damage"))[0]
        found = np.zeros_like(target)
        for annotation in (a for a in content["annotations"] if a["image_id"] == image["id"]):
            runs = masks.frPyObjects(annotation["segmentation"], image["height"], image["width"])
            found[masks.decode(runs) > 0] = annotation["category_id"]
        assert np.array_equal(found, target)


def test_annotations_graded_as_bright_is_are_the_target(tmp_path):
    write_annotated_dataset(tmp_path / "d", "bright")
    assert export_dataset(tmp_path / "d", tmp_path / "out", "bright").labels == "annotated (bright)"
    samples = samples_by_key(tmp_path / "d")
    for stem, key in zip((tmp_path / "out" / "train_set.txt").read_text().split(), sorted(samples), strict=True):
        target = read(tmp_path / "out" / "target" / f"{stem}_building_damage.tif")[0]
        assert np.array_equal(target, samples[key].labels["post_annotated"])


def test_it_is_said_that_images_after_are_optical(rich):
    assert "optical RGB, where BRIGHT has SAR" in (rich / "out" / "README.md").read_text()


GRADE = st.integers(0, 3)


@given(st.lists(st.tuples(GRADE, st.integers(0, 5), st.integers(0, 2), st.floats(0, 1)), max_size=6), st.booleans())
def test_records_tell_bright_s_classes_as_annotators_who_know_the_impact_would(houses, flooded):
    jds, visible, burn, lost = (np.array([h[k] for h in houses]) for k in range(4))
    jds, visible, burn = (values.astype(np.uint8) for values in (jds, visible, burn))
    shock = SimpleNamespace(
        strike=SimpleNamespace(burn=burn, deck_lost=lost.astype(float)), aftermath=SimpleNamespace(visible=visible)
    )
    hazard = "earthquake-fire-flood" if flooded else "earthquake-fire"
    impact = SimpleNamespace(jds=jds, shock=shock, hazard=hazard)
    assert bright_of_roof(jds_as_recorded(jds, visible, burn, flooded)).tolist() == grades_by("bright", impact).tolist()
