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
    ResidualEncoder,
    ResNet,
    SegmentationNet,
    ShardDataset,
    SiameseDamageNet,
    SimplePyramid,
    Temperatures,
    UPerNet,
    card_of,
    density_of,
    evaluate,
    fit_density,
    keep_calibration,
    load_model,
    load_pretrained,
    model_record,
    save_model,
)
from mage.learning.names import EncoderName
from mage.learning.shapes import encoder_shape, shape_of
from mage.scenes.errors import ModelError

pytestmark = pytest.mark.usefixtures("float32")

CARD = Card("Grades", "six drawn tiles", "CC-BY-4.0")
MODELS = {
    "plain": lambda: SiameseDamageNet(4, seed=3),
    "resnet": lambda: SiameseDamageNet(4, encoder=ResNet(18, 7, width=2), heads=("road",), grades=3),
    "convnext": lambda: SegmentationNet(5, 4, encoder=ConvNeXt((1, 2, 1, 1), 4, 1), decoder=UPerNet),
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


@pytest.mark.parametrize("name", MODELS)
def test_half_the_bytes_change_weights_by_a_2048th_and_probabilities_by_less_than_a_hundredth(name, tmp_path):
    model = MODELS[name]().eval()
    whole, half = save_model(model, tmp_path / "whole", CARD), save_model(model, tmp_path / "half", CARD, half=True)
    again = load_model(half, "cpu")
    assert half.stat().st_size < whole.stat().st_size * 0.75
    for key, mine in model.state_dict().items():
        found = again.state_dict()[key]
        assert found.dtype == mine.dtype
        if mine.ndim < 2:
            assert torch.equal(found, mine)
        else:
            assert ((found - mine).abs() <= mine.abs() / 2048 + 3e-8).all()
    images = np.random.default_rng(0).integers(0, 256, (model.dates, 20, 33, model.bands), np.uint8)
    for one, other in zip(model.map(*images).values(), again.map(*images).values(), strict=True):
        assert np.abs(one - other).max() < 0.01
    assert save_model(again, tmp_path / "again", CARD, half=True).read_bytes() == half.read_bytes()


def test_weights_that_float16_cannot_hold_are_refused_before_anything_is_written(tmp_path):
    model = SegmentationNet(2, 2)
    with torch.no_grad():
        model.head.weight[0] = 7e4
    with pytest.raises(ModelError, match=r"float16.*head\.weight"):
        save_model(model, tmp_path / "model", CARD, half=True)
    assert not (tmp_path / "model").exists()


def test_temperatures_pixels_and_density_come_with_the_model(drawn, tmp_path):
    model, tiles = SiameseDamageNet(2).eval(), ShardDataset(drawn)
    model.temperatures = Temperatures(localisation=2.0, classes=1.5)
    density = fit_density(model, tiles)
    save_model(model, tmp_path, CARD, gsd=(0.3, 1.0), density=density)
    again = load_model(tmp_path, "cpu")
    assert again.temperatures == model.temperatures
    assert model_record(tmp_path).gsd == (0.3, 1.0)
    assert "| pixels | 0.3 m to 1 m |" in (tmp_path / "README.md").read_text()
    image = tiles[0]["image"]
    assert density_of(tmp_path, again).score(image) == pytest.approx(density.score(image), abs=1e-4)
    found = evaluate(tmp_path, tiles, device="cpu")
    assert (found.run, found.step) == (str(tmp_path), None)
    assert "unlike" in found.tiles.counts
    save_model(model, tmp_path, CARD)  # another model might have taken the place
    assert density_of(tmp_path, again) is None


def test_a_saved_model_is_calibrated_in_its_place_and_keeps_its_weights(drawn, tmp_path):
    model = SegmentationNet(2, 2)
    file = save_model(model, tmp_path, CARD, half=True, gsd=(1.0, 1.0))
    before = load_file(file)
    keep_calibration(file, Temperatures(classes=3.0))
    assert load_model(tmp_path, "cpu").temperatures.classes == 3.0
    assert model_record(file).gsd == (1.0, 1.0)
    after = load_file(file)
    assert all(torch.equal(t, after[name]) and t.dtype == after[name].dtype for name, t in before.items())


@pytest.mark.parametrize("gsd", [(0.0, 1.0), (2.0, 1.0), (1.0, float("inf")), (float("nan"), 1.0)])
def test_pixels_that_cannot_be_are_refused(gsd, tmp_path):
    with pytest.raises(ModelError, match="pixels"):
        save_model(SegmentationNet(2, 2), tmp_path / "model", CARD, gsd=gsd)
    assert not (tmp_path / "model").exists()


def test_models_of_the_format_before_are_read(saved):
    told = model_record(saved).model_dump(mode="json", exclude={"temperatures", "gsd"}) | {"format": "mage-model/1"}
    save_file(dict(load_file(saved)), saved.with_name("old.safetensors"), {"mage": json.dumps(told)})
    old = saved.with_name("old.safetensors")
    assert model_record(old).temperatures is None
    assert load_model(old, "cpu").temperatures is None
    keep_calibration(old, Temperatures(classes=2.0))
    assert model_record(old).format == "mage-model/2"


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
    "how", ["cut", "empty", "pickle", "bare", "json", "nested", "kind", "deep", "surplus", "shape", "cold", "pixels"]
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
        wrong = {"surplus": {"surplus": 1}, "cold": {"temperatures": {"localisation": 0, "classes": 1}}}
        told |= (wrong | {"pixels": {"gsd": [2, 1]}}).get(how, {})
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
