"""Models to hand on: they come back as they were, say what they are, and nothing else is taken for one."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mage.learning import (
    Card,
    ConvNeXt,
    EfficientNetLite,
    ResidualEncoder,
    ResNet,
    SegmentationNet,
    SiameseDamageNet,
    SimplePyramid,
    UPerNet,
    card_of,
    load_model,
    load_pretrained,
    model_record,
    save_model,
)
from mage.learning.names import EncoderName
from mage.learning.shapes import encoder_shape, shape_of
from mage.scenes.errors import ModelError

CARD = Card("Grades", "six drawn tiles", "CC-BY-4.0")
MODELS = {
    "plain": lambda: SiameseDamageNet(4, seed=3),
    "resnet": lambda: SiameseDamageNet(4, encoder=ResNet(50, 7, width=2), heads=("road",), grades=3),
    "convnext": lambda: SegmentationNet(5, 4, encoder=ConvNeXt((1, 2, 1, 1), 4, 1), decoder=UPerNet),
    "efficientnet": lambda: SegmentationNet(2, 4, encoder=EfficientNetLite(0)),
    "pyramid": lambda: SegmentationNet(3, 4, encoder=SimplePyramid(ResidualEncoder(2, 4), 8)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_comes_back_as_it_was(name, tmp_path):
    model = MODELS[name]().eval()
    file = save_model(model, tmp_path / "model", CARD)
    images = np.random.default_rng(0).integers(0, 256, (model.dates, 20, 33, model.bands), np.uint8)
    for path in (tmp_path / "model", file):
        again = load_model(path, "cpu")
        assert type(again) is type(model)
        assert not again.training
        assert shape_of(again) == shape_of(model)
        assert all(torch.equal(t, model.state_dict()[key]) for key, t in again.state_dict().items())
        for one, other in zip(model.map(*images).values(), again.map(*images).values(), strict=True):
            assert np.allclose(one, other, atol=1e-5)


def test_two_saves_are_equal_to_the_byte_and_leave_nothing_else(tmp_path):
    for folder in ("one", "other"):
        save_model(SiameseDamageNet(4), tmp_path / folder, CARD)
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == ["README.md", "model.safetensors"]
    for name in ("README.md", "model.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_the_file_says_what_it_holds(tmp_path):
    file = save_model(SiameseDamageNet(4, encoder=ResNet(18, 4, width=2)), tmp_path, CARD)
    record = model_record(tmp_path)
    assert record == model_record(file)
    assert (record.dates, record.bands) == (2, 4)
    assert record.classes == ("background", "no-damage", "minor-damage", "major-damage", "destroyed")
    assert record.normalisation.mean == pytest.approx((0.485, 0.456, 0.406, 0.449))
    with safe_open(file, framework="pt") as content:
        assert json.loads(content.metadata()["mage"])["model"]["encoder"]["kind"] == "resnet"


def test_a_runs_model_can_be_handed_on_with_what_the_run_knows(short_run, tmp_path):
    card = card_of(
        short_run, title="Drawn", licence="own terms", figures={"xView2 score": 0.5}, measured_on="six drawn tiles"
    )
    model = short_run.model("cpu")
    save_model(model, tmp_path, card)
    again = load_model(tmp_path, "cpu")
    assert all(torch.equal(t, model.state_dict()[name]) for name, t in again.state_dict().items())
    text = (tmp_path / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["license"] == "other"
    assert front["license_name"] == "own terms"
    metric = front["model-index"][0]["results"][0]["metrics"][0]
    assert metric == {"type": "xview2-score", "name": "xView2 score", "value": 0.5}
    for words in ("# Drawn", "6 samples of fake", "| method | Supervised |", "| steps | 4 |", "| lr | 0.001 |", "0.5"):
        assert words in text


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=40).filter(str.strip))
def test_whatever_a_title_holds_the_front_matter_stays_yaml(title):
    text = Card(title, title, title, figures={title: 1.0}, measured_on=title).text(["a"], {})
    front = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    assert front["model-index"][0]["name"] == " ".join(title.split())


@pytest.mark.parametrize(
    "arguments",
    [
        {"title": " "},
        {"licence": ""},
        {"trained_on": ""},
        {"figures": {"F1": 0.5}},
        {"figures": {"F1": float("nan")}, "measured_on": "tiles"},
    ],
)
def test_cards_that_leave_out_what_matters_are_refused(arguments):
    with pytest.raises(ModelError, match="card"):
        Card(**({"title": "a", "trained_on": "b", "licence": "c"} | arguments))


def test_what_cannot_be_saved_is_refused(tmp_path):
    with pytest.raises(ModelError, match="rebuild"):
        save_model(torch.nn.Conv2d(3, 2, 1), tmp_path, CARD)
    with pytest.raises(ModelError, match="5 classes"):
        save_model(SiameseDamageNet(2), tmp_path, Card("a", "b", "c", classes=("one", "two")))
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="folder"):
        save_model(SiameseDamageNet(2), tmp_path / "file", CARD)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def saved(tmp_path):
    return save_model(SegmentationNet(2, 2), tmp_path / "model", CARD)


@pytest.mark.parametrize(
    "how", ["cut", "empty", "pickle", "bare", "json", "nested", "kind", "deep", "surplus", "shape"]
)
def test_files_that_are_no_such_model_are_one_clear_error(saved, how):
    tensors = {name: t.clone() for name, t in load_file(saved).items()}  # of the file's memory, which is overwritten
    told = model_record(saved).model_dump(mode="json")
    if how == "cut":
        saved.write_bytes(saved.read_bytes()[:-9])
    elif how == "empty":
        saved.write_bytes(b"")
    elif how == "pickle":
        torch.save(tensors, saved)
    elif how == "shape":
        save_file(tensors | {"head.bias": torch.zeros(3)}, saved, {"mage": json.dumps(told)})
    else:
        told["model"] |= {"kind": "oracle"} if how == "kind" else {}
        told |= {"surplus": 1} if how == "surplus" else {}
        deep = {"kind": "convnext", "depths": [10**9] * 4, "width": 1, "bands": 3}
        told["model"] |= {"encoder": deep} if how == "deep" else {}
        texts = {"bare": None, "json": "{", "nested": "[" * 100_000}
        text = texts.get(how, json.dumps(told))
        save_file(tensors, saved, None if text is None else {"mage": text})
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        load_model(saved, "cpu")


def test_an_encoder_begins_with_what_another_model_learned(saved, short_run):
    whole = load_file(saved)
    found = load_pretrained(ResidualEncoder(2), saved).state_dict()
    assert all(torch.equal(t, whole[f"encoder.{name}"]) for name, t in found.items())
    found = load_pretrained(ResidualEncoder(4), short_run.checkpoint).state_dict()
    assert torch.equal(found["stem.0.weight"], short_run.tensors("average.encoder.")["stem.0.weight"])


@pytest.mark.parametrize("name", EncoderName)
def test_every_encoder_that_people_can_name_is_built_and_described(name):
    with torch.device("meta"):
        encoder = encoder_shape(name, 4).build()
        shape = shape_of(SegmentationNet(2, 4, encoder=encoder))
    assert shape.encoder == encoder_shape(name, 4)
