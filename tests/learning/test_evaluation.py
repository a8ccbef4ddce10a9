"""Evaluation: the metrics of the maps, and what to beware of."""

from __future__ import annotations

import json
import shutil

import pytest
from fake_dataset import write_fake_dataset

from mage.learning import DamageMetrics, Part, ShardDataset, SiameseDamageNet, Supervised, evaluate, fit, load_model
from mage.scenes.errors import ModelError


def test_figures_are_those_of_the_models_maps(short_run, drawn):
    dataset, metrics = ShardDataset(drawn), DamageMetrics()
    model = load_model(short_run.path, "cpu")
    for sample in dataset:
        pre, post = sample["image"].numpy().transpose(0, 2, 3, 1)
        metrics.update(model.predict(pre, post)[0], sample["mask"].numpy())
    found = evaluate(short_run, dataset, device="cpu")
    assert found.figures == metrics.summary()
    assert found.buildings is None
    assert found.samples == found.figures["images"] == 6


def test_buildings_are_scored_when_their_numbers_are_loaded(short_run, drawn):
    found = evaluate(short_run.path, ShardDataset(drawn, labels=("post_building",)), device="cpu")
    assert found.buildings["buildings"] == sum(ShardDataset(drawn).grade_counts())


def test_all_of_it_is_json_and_a_table(short_run, drawn):
    found = evaluate(short_run, ShardDataset(drawn, labels=("post_building",)), device="cpu")
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["xview2"] == found.figures["xview2"]
    assert {"macro_f1", "xview2_present", "classes", "buildings", "warnings", "building_iou"} <= again.keys()
    table = found.table()
    assert "xView2 score" in table
    assert all(name in table for name in ("background", "no-damage", "destroyed"))
    rows = table.splitlines()[2:8]
    assert len({len(row) for row in rows}) == 1


def test_a_warning_says_that_training_samples_were_evaluated(short_run, drawn):
    found = evaluate(short_run, ShardDataset(drawn), device="cpu")
    assert found.warnings[0].startswith("evaluated on the training samples: says that it learned")


def test_a_warning_says_that_crops_were_scored_and_not_whole_tiles(drawn):
    model = SiameseDamageNet(2)
    found = evaluate(model, Part(ShardDataset(drawn, size=16), [0, 1]), device="cpu")
    assert any("at most the 16 x 16 px in its middle were scored" in warning for warning in found.warnings)
    assert found.figures["pixels"] == 2 * 16 * 16
    assert not any("middle" in w for w in evaluate(model, ShardDataset(drawn), device="cpu").warnings)


def test_no_such_warning_for_a_dataset_of_another_seed(short_run, tmp_path):
    write_fake_dataset(tmp_path / "other", count=2, size=32, seed=5)
    found = evaluate(short_run, ShardDataset(tmp_path / "other"), device="cpu")
    assert not any("training" in warning for warning in found.warnings)


def test_images_that_a_run_adapted_to_are_named_too(short_run, drawn, monkeypatch):
    seen = short_run.trained_on()
    moved = type(seen)(unlabelled=seen.source)
    monkeypatch.setattr(type(short_run), "trained_on", lambda _: moved)
    found = evaluate(short_run, ShardDataset(drawn), device="cpu")
    assert found.warnings[0].startswith("evaluated on the unlabelled training samples: says that it adapted")


def test_overlap_is_counted_sample_by_sample(drawn, tmp_path):
    part = shutil.copytree(drawn, tmp_path / "part")
    dataset = ShardDataset(part, size=32)
    dataset._keys, dataset._ends, dataset.shards = dataset._keys[:1], dataset._ends[:1], dataset.shards[:1]
    run = fit(Supervised(SiameseDamageNet(4)), dataset, out=tmp_path / "run", steps=1, batch=1, device="cpu")
    assert "2 training samples of 6" in evaluate(run, ShardDataset(drawn), device="cpu").warnings[0]


def test_a_model_of_other_grades_is_refused(drawn, tmp_path):
    dataset = ShardDataset(drawn, size=32, transform=lambda s: s | {"mask": s["mask"].clamp(max=3)})
    run = fit(Supervised(SiameseDamageNet(4, grades=3)), dataset, out=tmp_path / "run", steps=1, device="cpu")
    with pytest.raises(ModelError, match="3"):
        evaluate(run, ShardDataset(drawn))
