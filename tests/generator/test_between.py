"""Conditions between the dates: what is held is equal to the byte, and what changes is no damage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
from scipy.ndimage import binary_dilation, distance_transform_edt

from mage.generator.between import seasons_of
from mage.generator.build import build_place
from mage.generator.plan import ShardJob, make_plan
from mage.generator.sample import Draft, draw_sample
from mage.generator.seasons import trees_in
from mage.generator.shards import open_studio, render_sample
from mage.scenes.dataset.fields import LandClass
from mage.scenes.dataset.invariants import label_problems
from mage.scenes.dataset.schema import Sample
from mage.scenes.hazards.flood import prepare_flood
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import read_recipe
from mage.scenes.settings import BetweenPart

TINY = {
    "city.extent": 200,
    "city.style": "village",
    "output.size": 96,
    "output.gsd": 1.0,
    "render.spp": 2,
    "render.denoise": False,
    "hazard.share": [0.1, 0.3],
    "light.pre": "2023-01-20",
    "light.post": "2023-07-02",
}
HELD, FULL = {"between.hold": True}, {"between.changes": [1, 1]}


def job_of(recipe: str = "flood", **keys: Any) -> ShardJob:
    overrides = TINY if recipe == "flood" else {k: v for k, v in TINY.items() if k != "hazard.share"}
    return make_plan(read_recipe(recipe, {**overrides, **keys})).jobs[0]


def draft_of(job: ShardJob, index: int = 0) -> Draft:
    place = build_place(job)
    floods = "flood" in job.recipe.disaster
    return draw_sample(job, index, place, prepare_flood(place.city, FloodPart()) if floods else None)


@pytest.mark.parametrize("recipe", ["flood", "earthquake", "fire"])
def test_held_conditions_leave_all_labels_alike_outside_the_hazard(recipe: str) -> None:
    draft = draft_of(job_of(recipe, **HELD))
    labels, record = draft.labels, draft.record
    hit = (labels["post_depth"] > 0) | (labels["post_debris"] > 0) | (labels["post_burn"] > 0)
    harmed = [b.id for b in record.buildings if b.ems98 > 0 or b.causes]
    hit |= np.isin(labels["pre_building"], harmed) | np.isin(labels["post_building"], harmed)
    felled = (labels["pre_class"] == LandClass.TREE) | (labels["post_class"] == LandClass.TREE)
    outside = ~binary_dilation(hit, iterations=3)
    if recipe != "flood":
        outside &= ~felled
    assert outside.mean() > 0.05
    for name in ("class", "building", "height", "water", "road"):
        assert (labels[f"pre_{name}"] == labels[f"post_{name}"])[outside].all()
    assert record.pre == record.post
    assert record.changes == []


def test_held_conditions_leave_the_images_alike_outside_the_hazard() -> None:
    job = job_of(**HELD, **{"hazard.rise": [0, 0]})
    sample, _ = render_sample(job, 0, open_studio(job, 1))
    away = distance_transform_edt(sample.labels["post_depth"] == 0)
    different = np.abs(sample.images["pre"].astype(int) - sample.images["post"]).max(axis=2)
    assert (away > 8).mean() > 0.3
    assert (different[away > 8] == 0).mean() > 0.98  # a few pixels see light that comes off the water
    assert different[away > 8].max() < 24
    assert (different[away == 0] > 0).mean() > 0.9


def test_held_images_of_a_disaster_that_harms_nothing_are_equal_to_the_byte() -> None:
    quake = {"kind": "earthquake", "mode": "random", "shares": [1, 0, 0, 0, 0, 0]}
    job = job_of("earthquake", hazard=quake, **HELD)
    sample, _ = render_sample(job, 0, open_studio(job, 1))
    assert (sample.images["pre"] == sample.images["post"]).all()


def test_dates_that_are_not_held_have_their_own_light_cars_season_and_noise() -> None:
    job = job_of(**FULL)
    studio = open_studio(job, 1)
    sample, _ = render_sample(job, 0, studio)
    assert sample.record.pre.sun_elevation != sample.record.post.sun_elevation
    assert (sample.images["pre"] != sample.images["post"]).any(axis=2).mean() > 0.95
    trees = studio.place.trees
    january, july = (trees_in(s, studio.place, trees) for s in seasons_of(job.recipe, studio.place))
    assert (july.prototype[: len(trees)] == trees.prototype).all()
    assert (january.prototype[: len(trees)] != trees.prototype).any()
    held = job.recipe.model_copy(update={"between": BetweenPart(season="held")})
    assert len(set(seasons_of(held, studio.place))) == 1


@pytest.fixture(scope="module")
def drafts() -> list[tuple[Draft, Draft]]:
    """Samples with much benign change, each beside itself without any."""
    job = job_of(**FULL, **{"city.extent": 320, "output.size": 192, "hazard.share": [0, 0.02], "hazard.rise": [0, 0]})
    without = replace(job, recipe=job.recipe.model_copy(update={"between": BetweenPart(changes=(0.0, 0.0))}))
    place = build_place(job)
    levels = prepare_flood(place.city, FloodPart())
    return [(draw_sample(job, i, place, levels), draw_sample(without, i, place, levels)) for i in range(4)]


def test_a_new_shed_is_a_building_of_the_image_after_alone_without_damage(drafts: list[tuple[Draft, Draft]]) -> None:
    new = 0
    for draft, _ in drafts:
        assert label_problems(Sample(draft.record, {}, draft.labels)) == []
        sheds = [b for b in draft.record.buildings if b.new]
        new += len(sheds)
        assert sum(c.kind == "shed" and c.seen == "post" for c in draft.record.changes) >= len(sheds)
        for shed in sheds:
            own = draft.labels["post_building"] == shed.id
            assert own.any()
            assert (draft.labels["pre_building"] != shed.id).all()
            assert all((draft.labels[f"post_{grade}"][own] == 1).all() for grade in ("damage", "ems98", "visible"))
            assert (draft.labels["post_depth"][own] == 0).all()
            assert (draft.labels["post_height"][own] > 150).any()
    assert new > 0


def test_benign_change_leaves_all_damage_as_it_is(drafts: list[tuple[Draft, Draft]]) -> None:
    for draft, bare in drafts:
        old = len(bare.record.buildings)
        assert draft.record.buildings[:old] == bare.record.buildings
        same = draft.labels["post_building"] <= old
        for name in ("post_damage", "post_flood", "post_debris", "post_burn", "post_blocked"):
            assert (draft.labels[name] == bare.labels[name])[same].all()
        for name in ("pre_building", "pre_road", "post_road", "pre_water", "post_water"):
            assert (draft.labels[name] == bare.labels[name]).all()


def test_classes_change_where_things_or_soil_are_and_nowhere_else(drafts: list[tuple[Draft, Draft]]) -> None:
    found: set[int] = set()
    for draft, bare in drafts:
        change = draft.between.change
        points = draft.grid.points()
        for date, name in enumerate(("pre_class", "post_class")):
            where = change.plans(date) + [p.outline for p in change.patches if p.kind == "soil" and p.date == date]
            # a car that stood where something is new has gone
            around = shapely.union_all(where).buffer(6.0)
            inside = shapely.contains_xy(around, points[:, 0], points[:, 1]).reshape(draft.grid.shape)
            different = draft.labels[name] != bare.labels[name]
            assert not (different & ~inside).any()
            found |= set(np.unique(draft.labels[name][different]).tolist())
    assert {LandClass.STRUCTURE, LandClass.BARE, LandClass.BUILDING} <= found


def test_two_draws_of_a_sample_with_change_are_equal() -> None:
    first, again = draft_of(job_of(**FULL), 3), draft_of(job_of(**FULL), 3)
    assert first.record == again.record
    assert all((first.labels[k] == again.labels[k]).all() for k in first.labels)
