"""The benchmark of synthetic pairs on real imagery: its splits, crops, judges and distances."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mage.learning import Prediction

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from transfer import chips as real
from transfer import more
from transfer.chips import Chip
from transfer.corpora import NAMES, planned
from transfer.distances import frechet
from transfer.flooded import MAJOR, MINOR, ByWater, distances
from transfer.pairs import cropped, looks
from transfer.scores import DAMAGE_FIGURES, First, scored
from transfer.settings import TRAININGS
from transfer.training import Setting, chosen

from mage.learning.sampling import Draw

SETS = (real.harvey, real.ida, real.kampala, real.change, real.photographs, real.sentinel)


@pytest.mark.skipif(not real.DATA.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize("read", SETS, ids=lambda read: read.__name__)
def test_no_ground_is_in_both_parts(read):
    dev, final = read("dev"), read("final")
    assert dev
    assert final
    assert not {chip.key for chip in dev} & {chip.key for chip in final}
    seen = {chip.image.tobytes() for chip in dev}
    assert not any(chip.image.tobytes() in seen for chip in final)
    for chip in (*dev, *final):
        assert chip.image.shape[2:] == chip.mask.shape
        assert chip.image.dtype == chip.mask.dtype == np.uint8


@pytest.mark.skipif(not real.DATA.is_dir(), reason="needs ../shared/data")
def test_a_column_of_kampala_lies_between_the_parts():
    tiles = {
        int(m[1]) for p in (real.DATA / "buildings/fair_kampala/img").glob("*.png") if (m := real.TILE.match(p.name))
    }
    east = {column for column in tiles if column > real.GAP}
    assert real.GAP in tiles
    assert min(east) == real.GAP + 1
    assert sum(chip.mask.size for chip in real.kampala("final")) == len(east) * 4 * 64 * 64


@pytest.mark.parametrize("zoom", [1.0, 1.7])
def test_crops_of_any_scale_keep_labels_on_what_they_label(zoom):
    mask = np.zeros((96, 96), np.uint8)
    mask[20:60, 30:80] = 4
    image = np.broadcast_to((mask > 0) * np.uint8(200), (2, 3, 96, 96)).copy()
    for seed in range(5):
        crop, label = cropped(image, mask, 32, zoom, np.random.default_rng(seed))
        assert crop.shape == (2, 3, 32, 32)
        assert set(np.unique(label)) <= {0, 4}
        assert ((crop[0, 0] > 100) == (label == 4)).mean() > 0.95


def test_a_pair_of_one_date_twice_has_no_damage_to_learn():
    image, mask = torch.rand(6, 2, 3, 16, 16), torch.randint(0, 5, (6, 16, 16))
    mask[:, 0, 0] = 255
    twice, graded = looks(0.0, far=False, same=1.0)(image, mask, np.random.default_rng(0))
    assert torch.equal(twice[:, 0], twice[:, 1])
    assert set(graded.unique().tolist()) == {0, 1, 255}
    assert torch.equal((graded == 1).sum(), ((mask > 0) & (mask < 255)).sum())


def test_looks_change_light_and_nothing_else():
    image, mask = torch.rand(3, 2, 3, 16, 16), torch.randint(0, 5, (3, 16, 16))
    seen, kept = looks(1.5, far=True, same=0.0)(image, mask, np.random.default_rng(1))
    assert seen.shape == image.shape
    assert 0 <= float(seen.min()) <= float(seen.max()) <= 1
    assert torch.equal(kept.flatten(1).sort().values, mask.flatten(1).sort().values)
    assert looks(1.5, far=True, same=0.0)(image[:, 0], mask, np.random.default_rng(1))[0].shape == image[:, 0].shape


def test_a_setting_is_named_by_all_that_is_set():
    assert Setting().name() == Setting().name()
    others = [replace(Setting(), seed=1), replace(Setting(), zoom=2.0), replace(Setting(), few=5)]
    assert len({Setting().name(), *(other.name() for other in others)}) == 4


def test_corpora_of_struck_places_differ_in_one_thing(tmp_path):
    struck, apart, clean = (
        planned(tmp_path, name) for name in ("struck", "struck apart from neighbours", "struck, 16 samples")
    )
    assert len({plan.recipe_hash for plan in (struck, apart, clean)}) == 3
    for before, other, samples in zip(
        struck.campaign.events, apart.campaign.events, clean.campaign.events, strict=True
    ):
        assert before.recipe.hazard.kind in ("wind", "earthquake")
        assert other.recipe.hazard.mode == "decorrelated"
        physical = other.recipe.hazard.model_copy(update={"mode": "physical"})
        assert other.recipe.model_copy(update={"hazard": physical}) == before.recipe
        assert samples.recipe.render.spp == 16
        assert samples.recipe.model_copy(update={"render": before.recipe.render}) == before.recipe


def test_every_training_has_a_corpus_and_a_start():
    assert {setting.corpus for setting in TRAININGS.values()} <= set(NAMES)
    assert {setting.start for setting in TRAININGS.values()} - {None} <= set(TRAININGS)


def test_fewer_labels_are_among_more():
    chips = [Chip(str(i), "a", np.zeros((2, 3, 8, 8), np.uint8), np.full((8, 8), i % 2, np.uint8)) for i in range(12)]
    few, many = ([chip.key for chip in chosen(chips, n, seed=3)] for n in (2, 5))
    assert many[:2] == few
    assert all(int(key) % 2 for key in many)


class Brightness(torch.nn.Module):
    """Bright pixels of the date after are damaged buildings, of both dates together buildings."""

    classes, grades = 5, 4

    def __init__(self):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image):
        place = 40 * (image.mean((1, 2)) - 0.5)[:, None]
        grade = 40 * image[:, 1].mean(1, keepdim=True)
        return Prediction(place, torch.cat([20 - grade, grade - 20, place * 0 - 99, place * 0 - 99], 1))


def test_buildings_are_looked_for_in_the_first_image_and_grades_in_both():
    image = torch.zeros(1, 2, 3, 4, 4)
    image[:, 0, :, :2] = 0.9
    prediction = First(Brightness())(image)
    assert torch.equal(prediction.localisation[0, 0] > 0, image[0, 0, 0] > 0.5)
    assert torch.equal(prediction.damage, Brightness()(image).damage)
    same = image[:, [0, 0]]
    assert torch.equal(First(Brightness())(same).damage, Brightness()(same).damage)


def test_images_before_are_shown_twice_without_labels_and_with_the_share_of_their_style():
    image = np.random.default_rng(0).integers(0, 255, (2, 3, 40, 40), np.uint8)
    mask = np.ones((40, 40), np.uint8)
    chips = [Chip("k", "kampala-west", image, mask), Chip("h", "harvey-0", image[:1], mask)]
    seen = real.Before(chips, 16, zoom=1.5)
    samples = [seen[index] for index in (0, 1, Draw(0, 3, 5), Draw(0, 3, 6))]
    assert [set(sample) for sample in samples] == [{"image", "share", "place", "key"}] * 4
    for sample in samples:
        assert sample["image"].shape == (2, 3, 16, 16)
        assert torch.equal(sample["image"][0], sample["image"][1])
    assert [round(sample["share"].item(), 2) for sample in samples[:2]] == [0.28, 0.14]
    assert [sample["place"].item() for sample in samples] == [0, 1, 0, 0]
    assert not torch.equal(samples[2]["image"], samples[3]["image"])


def test_scores_are_given_for_each_set_and_all_pairs_together():
    image = np.zeros((2, 3, 16, 16), np.uint8)
    image[:, :, 4:12, 4:12] = 230
    mask = np.zeros((16, 16), np.uint8)
    mask[4:12, 4:12] = 2
    pair = Chip("p-0", "p", image, mask)
    alone = Chip("k-0", "k", image, (mask > 0).astype(np.uint8))
    found = scored(Brightness(), {"p": [pair], "k": [alone]})
    assert set(found["p"]) == set(found["pairs"]) == set(DAMAGE_FIGURES)
    assert found["p"]["building_iou"][0] == found["k"]["building_iou"][0] == 1
    assert found["pairs"]["xview2_present"][0] == pytest.approx(1, abs=1e-5)


class Blue(torch.nn.Module):
    """Sees water where blue is bright."""

    classes = 2

    def __init__(self):
        super().__init__()
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image):
        wet = 40 * (image[:, 2:] - 0.5)
        return torch.cat([-wet, wet], 1)


def scene(columns_before, columns_after, pool=False):
    """Two chips beside each other, water in the first columns of the left one."""
    whole = np.zeros((2, 3, 256, 512), np.uint8)
    whole[0, 2, :, :columns_before] = whole[1, 2, :, :columns_after] = 255
    whole[1, 2, 200:210, 400:410] = 255 * pool
    mask = np.ones((256, 256), np.uint8)
    return [Chip(f"harvey-9-0-{x}", "harvey-9", whole[..., x : x + 256], mask) for x in (0, 256)]


def test_water_is_measured_from_across_chips_and_pools_are_no_flood():
    far = distances(Blue(), scene(0, 100, pool=True))
    assert far["harvey-9-0-0"][7, :100].max() == 0
    assert far["harvey-9-0-0"][7, 139] == pytest.approx(0.5 * 40)
    assert far["harvey-9-0-256"][205, 144] == pytest.approx(0.5 * 301)


def test_a_river_as_wide_as_before_is_no_flood():
    assert distances(Blue(), scene(100, 100)) is None
    assert distances(Blue(), scene(100, 60)) is None
    assert distances(Blue(), scene(100, 120)) is not None  # 1,280 m²


def test_grades_follow_the_distance_to_water_and_outlines_do_not():
    far = np.array([[0, MAJOR, MAJOR + 1, MINOR, MINOR + 1]], np.float32)
    image = torch.rand(1, 2, 3, 1, 5)
    found = ByWater(Brightness(), far)(image)
    assert found.damage.argmax(1).tolist() == [[[2, 2, 1, 1, 0]]]
    assert torch.equal(found.localisation, Brightness()(image).localisation)


def test_change_is_where_a_building_is_at_one_date_only():
    image = torch.zeros(1, 2, 3, 4, 4)
    image[:, 0, :, :3] = 0.9
    image[:, 1, :, 2:] = 0.9
    changed = more.Changed(Brightness())(image).argmax(1)[0]
    assert changed[:, 0].tolist() == [1, 1, 0, 1]


def test_a_distance_is_that_of_means_where_spreads_are_alike():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(500, 4))
    assert frechet(one, one) == pytest.approx(0, abs=1e-5)
    assert frechet(one, one + np.array([3, 4, 0, 0])) == pytest.approx(5, abs=1e-5)
    assert frechet(one, 2 * (one - one.mean(0)) + one.mean(0)) == pytest.approx(
        np.sqrt(np.trace(np.cov(one.T))), abs=1e-5
    )
