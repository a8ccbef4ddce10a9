"""A model that learns from corrections: the kind that was corrected gets better, nothing else gets worse."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely
import torch
from found import found
from toys import pairs

from mage.learning import Batch, SegmentationNet, SiameseDamageNet, Supervised, fit, load_model
from mage.learning.mapping.buildings import grade_footprints
from mage.learning.mapping.corrected_buildings import certain
from mage.learning.mapping.findings import Buildings
from mage.learning.mapping.finetuning import Corrected, CorrectedCrops, RememberedCrops, finetune
from mage.learning.mapping.maps import write_probabilities
from mage.learning.mapping.picture import ArrayPicture
from mage.learning.sampling import Draw
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.grid import Grid

HAND, MACHINE = "Photo-interpretation", "Automatic extraction"


def net(**options):
    return SiameseDamageNet(width=2, **options)


def test_a_model_that_did_not_change_has_lost_nothing():
    method = Corrected(net(heads=("flood",)))
    batch = pairs(2)
    nothing = {"image": batch["image"], "mask": torch.full_like(batch["mask"], 255)}
    streams = {"target": nothing, "unlabelled": {"image": batch["image"]}}
    losses = method.losses(Batch(np.random.default_rng(0), **streams))
    assert losses["memory"].item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        method.model.further["flood"].bias += 3
    changed = method.losses(Batch(np.random.default_rng(0), **streams))
    assert changed["memory"].item() > 0.1, "further heads are held too"


def test_statistics_of_batches_stay_and_so_does_what_was_known():
    from toys import ToyNet, batch

    model = ToyNet()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    method = Corrected(model)
    method.train()
    streams = batch()
    losses = method.losses(Batch(np.random.default_rng(0), target=streams.source, unlabelled=streams.unlabelled))
    sum(losses.values()).backward()
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert not any(p.requires_grad for p in method.before.parameters())
    assert model.head.weight.grad.abs().sum() > 0


GRID = Grid(64, 64, 1000, 2064, 1.0)
PICTURES = [ArrayPicture(np.full((3, 64, 64), grey, np.uint8), GRID) for grey in (50, 100)]


def test_crops_are_labelled_where_somebody_looked_and_nowhere_else():
    house, ground = shapely.box(1010, 2040, 1020, 2050), shapely.box(1030, 2040, 1036, 2046)
    crops = CorrectedCrops(PICTURES, GRID, [(ground, 0), (house, 4)], 32)
    assert len(crops) == 2
    sample = crops[1]
    assert sample["image"].shape == (2, 3, 32, 32)
    assert sample["image"][0].unique().tolist() == [50]
    values, counts = sample["mask"].unique(return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True))[4] == 100
    assert sample["mask"].dtype == torch.uint8
    moved = [crops[Draw(1, 0, epoch)]["mask"] for epoch in range(4)]
    assert all((mask == 4).sum() == 100 for mask in moved)
    assert len({mask.numpy().tobytes() for mask in moved}) > 1
    assert torch.equal(moved[0], crops[Draw(1, 0, 0)]["mask"])


def test_nothing_is_learned_of_clouds_and_off_the_map():
    valid = np.ones((64, 64), bool)
    valid[:, 15:] = False
    cloudy = [PICTURES[0], ArrayPicture(PICTURES[1].image, GRID, valid)]
    crops = CorrectedCrops(cloudy, GRID, [(shapely.box(990, 2040, 1020, 2050), 2)], 64)
    assert int((crops[0]["mask"] == 2).sum()) == 15 * 10
    with pytest.raises(DatasetError, match="no correction lies on the map"):
        CorrectedCrops(PICTURES, GRID, [(shapely.box(0, 0, 5, 5), 2)], 64)


def test_crops_to_remember_are_of_elsewhere():
    """Of what is white, corrected, nothing is seen; if there is nothing else, crops are of it all the same."""
    image = np.full((3, 64, 64), 9, np.uint8)
    image[:, 20:30, 20:30] = 255
    picture = [ArrayPicture(image, GRID)] * 2
    corrected = shapely.box(1020, 2034, 1030, 2044)
    crops = RememberedCrops(picture, GRID, [corrected], 16)
    assert len(crops) == 16
    assert all((crops[Draw(k, 0, 0)]["image"] == 9).all() for k in range(16))
    assert set(crops[0]) == {"image"}
    assert len(RememberedCrops(picture, GRID, [shapely.box(*GRID.bounds)], 96)) == 1
    assert RememberedCrops(picture, GRID, [shapely.box(*GRID.bounds)], 96)[0]["image"].shape == (2, 3, 96, 96)


def test_who_corrected_nothing_is_told_so(tmp_path):
    place = found(tmp_path)
    arguments = [place.pre, place.post], place.grid, place.buildings
    with pytest.raises(DatasetError, match="nothing to learn from"):
        finetune(net(), *arguments, place.buildings, tmp_path / "run", device="cpu")
    with pytest.raises(ModelError, match="not a model of this map; expected 5 classes, 2 dates; found 3 classes, 1"):
        finetune(SegmentationNet(3, width=2), *arguments, place.buildings, tmp_path / "run", device="cpu")


def test_a_run_from_corrections_is_a_run_like_others_and_twice_the_same(tmp_path):
    place = found(tmp_path)
    method = place.buildings.method.astype("<U30")
    method[[0, 2]] = HAND
    corrected = replace(place.buildings, method=method)
    weights = []
    for name in ("one", "two"):
        run = finetune(
            net(), [place.pre, place.post], place.grid, place.buildings, corrected, tmp_path / name,
            steps=1, batch=1, size=16, device="cpu",
        )  # fmt: skip
        weights.append(load_model(run.path, "cpu").state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    record = json.loads((tmp_path / "one" / "run.json").read_text())
    assert record["method"] == {"name": "Corrected", "settings": {"memory": 1.0, "hide": 0.0}}
    assert run.step == 1


SIDE, LOT, HOUSE = 160, 16, 10
KINDS = {"red": (170, 70, 60), "blue": (60, 80, 170)}


def town(rng):
    """Houses on lots, red or blue, every other one burnt out; their outlines, kinds and whether they burnt."""
    grid = Grid(SIDE, SIDE, 0, SIDE, 1.0)
    before = rng.normal(90, 6, (3, SIDE, SIDE))
    after = before + rng.normal(0, 4, before.shape)
    outlines, kinds, burnt = [], [], []
    for row in range(0, SIDE, LOT):
        for column in range(0, SIDE, LOT):
            part = (slice(None), slice(row + 3, row + 3 + HOUSE), slice(column + 3, column + 3 + HOUSE))
            kind, black = str(rng.choice(list(KINDS))), bool(rng.random() < 0.5)
            colour = np.array(KINDS[kind], float)[:, None, None]
            before[part] = colour + rng.normal(0, 6, before[part].shape)
            after[part] = (25 if black else colour) + rng.normal(0, 6, before[part].shape)
            outlines.append(shapely.box(column + 3, SIDE - row - 3 - HOUSE, column + 3 + HOUSE, SIDE - row - 3))
            kinds.append(kind)
            burnt.append(black)
    images = [np.clip(image, 0, 255).astype(np.uint8) for image in (before, after)]
    pictures = [ArrayPicture(image, grid) for image in images]
    return pictures, grid, np.array(outlines, object), np.array(kinds), np.array(burnt)


def buildings_of(outlines, verdict, method):
    count = len(outlines)
    grades = certain(np.full((count, 4), 0.25), verdict)
    return Buildings(
        np.array([f"b{k}" for k in range(count)]), outlines, np.full(count, ""), np.full(count, ""),
        np.ones(count), grades, np.zeros(count), np.ones(count), np.array(verdict), np.array(method),
    )  # fmt: skip


def errors(model, path, pictures, grid, outlines, truth):
    """Which houses the model takes for burnt, or not, against the truth."""

    def forward(images):
        return model.predict(*images.transpose(0, 2, 3, 1))[1]

    names = ["none", *(f"grade {k}" for k in range(4))]
    write_probabilities(path, forward, pictures, names, {"model": path.name})
    graded = grade_footprints(path, grid, outlines).grades
    return (graded[:, 3] > 0.5) != truth


@pytest.mark.long
def test_errors_of_what_was_corrected_fall_and_those_of_others_do_not_rise(tmp_path):
    """A model that was taught that blue houses always stand sees half of the burnt blue ones corrected: of the other
    half it learns to see them, and reads red houses, and those that stand, as before.
    """
    rng = np.random.default_rng(7)
    pictures, grid, outlines, kinds, burnt = town(rng)
    wrong = burnt & (kinds == "red")
    taught = CorrectedCrops(pictures, grid, [(o, 4 if w else 1) for o, w in zip(outlines, wrong, strict=True)], 32)
    model = SiameseDamageNet(width=4)
    fit(Supervised(model), taught, out=tmp_path / "first", steps=250, batch=8, lr=3e-3, device="cpu", preview=0)
    model = load_model(tmp_path / "first", "cpu")
    before = errors(model, tmp_path / "before.tif", pictures, grid, outlines, burnt)
    blind = burnt & (kinds == "blue")
    assert before[blind].mean() > 0.9
    assert before[~blind].mean() < 0.05

    seen = blind & (np.arange(len(outlines)) % 2 == 0)
    verdict = np.where(before == burnt, "No visible damage", "Destroyed").astype("<U20")
    found_ = buildings_of(outlines, verdict.tolist(), [MACHINE] * len(outlines))
    said = np.where(seen, "Destroyed", verdict).tolist()
    corrected = buildings_of(outlines, said, np.where(seen, HAND, MACHINE).tolist())
    finetune(
        model, pictures, grid, found_, corrected, tmp_path / "second",
        steps=120, size=32, batch=8, lr=1e-3, device="cpu",
    )  # fmt: skip
    after = errors(load_model(tmp_path / "second", "cpu"), tmp_path / "after.tif", pictures, grid, outlines, burnt)
    held_out = blind & ~seen
    assert after[held_out].mean() < 0.3, "of those that nobody corrected"
    assert after[~blind].sum() <= before[~blind].sum() + 1
