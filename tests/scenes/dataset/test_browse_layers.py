"""How label rasters are coloured and explained."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_dataset import fake_sample, write_fake_dataset
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.dataset.browse.layers import Layer, instance_colours, layer_of, legend, nice_top, paint
from mage.scenes.dataset.codec import decode_raster, encode_sample
from mage.scenes.dataset.fields import label_members
from mage.scenes.errors import DatasetError


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_fake_dataset(tmp_path_factory.mktemp("layers"), count=1, size=48)


def layer(name, manifest, style="annotator"):
    return layer_of(name, label_members(style)[name], manifest)


@pytest.mark.parametrize("member", label_members("annotator"))
def test_zero_is_clear_in_every_layer_and_all_else_is_opaque(member, manifest):
    label = label_members("annotator")[member]
    largest = label.largest or 700
    raster = np.arange(largest + 1).astype(label.dtype).reshape(1, -1)
    shown = paint(layer(member, manifest), raster, top=largest)
    assert shown.shape == (1, largest + 1, 4)
    assert shown[0, 0, 3] == 0
    assert (shown[0, 1:, 3] == 255).all()
    json.dumps(legend(layer(member, manifest), raster, largest), allow_nan=False)


def test_classes_are_told_with_their_share_of_the_tile(manifest):
    raster = np.array([[0, 1, 1, 4]], np.uint8)
    told = legend(layer("post_damage", manifest), raster, 0)
    assert told["share"] == 0.75
    assert [(e["name"], e["share"]) for e in told["entries"]] == [("no-damage", 0.5), ("destroyed", 0.25)]


def test_a_scale_runs_evenly_from_its_first_colour_to_its_last(manifest):
    depth = layer("post_depth", manifest)
    raster = np.array([[0, 1, 200, 400, 999]], np.uint16)
    shown = paint(depth, raster, top=400)[0, :, :3]
    assert tuple(shown[2]) == depth.ramp[2]
    assert tuple(shown[3]) == tuple(shown[4]) == depth.ramp[-1]
    assert np.abs(shown[1].astype(int) - depth.ramp[0]).max() <= 1
    assert legend(depth, raster, 400) | {"ramp": 0} == {
        "kind": "scale", "share": 0.8, "ramp": 0, "unit": "m", "top": 4.0, "highest": "9.99 m"
    }  # fmt: skip


@given(st.integers(0, 65535))
def test_a_scale_ends_at_a_round_value_not_far_above_the_highest(highest):
    top = nice_top(highest, Layer("scale", unit="m", step=0.01))
    assert highest <= top <= max(2 * highest, 1)
    assert len(str(top).rstrip("0")) <= 2


def test_an_instance_has_the_same_colour_in_every_picture_and_another_than_its_neighbours():
    many, few = instance_colours(2000).astype(int), instance_colours(20).astype(int)
    assert np.array_equal(many[:20], few)
    for step in range(1, 6):
        assert np.abs(many[step:] - many[:-step]).sum(axis=1).min() > 40


def test_values_that_nobody_named_are_shown_as_numbers(manifest):
    odd = np.array([[0, 17, 200]], np.uint8)
    told = legend(layer("post_class", manifest), odd, 0)
    assert [entry["name"] for entry in told["entries"]] == ["17", "200"]


def test_colours_and_classes_of_a_hostile_manifest_do_no_harm(manifest):
    evil = manifest.model_copy(
        update={
            "classes": {"grass": -5, "road": 10**30, "tree": 6, "water": 7},
            "colours": {"grass": (1, 2, 3), "road": (4, 5, 6), "tree": (-1, 10**30, 300)},
        }
    )
    shown = paint(layer("post_class", evil), np.array([[0, 5, 6, 7]], np.uint8), 0)
    assert shown[0, 2].tolist() == [0, 255, 255, 255]


def test_one_raster_of_a_sample_is_read_as_the_whole_sample_reads_it():
    sample = fake_sample(0, 48)
    files = {name.partition(".")[2]: data for name, data in encode_sample(sample)}
    for name, raster in {**sample.images, **sample.labels}.items():
        assert np.array_equal(decode_raster(files.__getitem__, sample.record, name), raster)
    with pytest.raises(DatasetError, match="no such raster"):
        decode_raster(files.__getitem__, sample.record, "json")
    files["post_depth.png"] = files["post_flood.png"]
    with pytest.raises(DatasetError, match="post_depth does not fit; expected uint16"):
        decode_raster(files.__getitem__, sample.record, "post_depth")
