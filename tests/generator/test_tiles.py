"""Tiles of splits and of damage, drawn without rendering: buffers between real footprints, shares that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.build import build_place
from mage.generator.harm import asked
from mage.generator.place import Place
from mage.generator.plan import Plan, ShardJob, make_plan
from mage.generator.sample import Draft, draw_sample
from mage.scenes.errors import CityError
from mage.scenes.hazards.flood import FloodBasis, prepare_flood
from mage.scenes.mixture import parse_mixture
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import read_recipe
from mage.scenes.settings import DamagedPart

BUFFER = 30
TINY = {"city.extent": 200, "city.style": "village", "city.seed": 5, "output.size": 64, "output.gsd": 0.6}
TINY |= {"between.changes": 0}
QUAKE = {"kind": "earthquake", "magnitude": 7.2, "distance": 8}


@cache
def place_of(key: str) -> Place:
    return build_place(JOBS[key])


JOBS: dict[str, ShardJob] = {}


def drafts(plan: Plan, indices: Sequence[int] | None = None) -> list[tuple[ShardJob, Draft]]:
    """Every sample of a plan, or some of each job's, without its pictures."""
    found = []
    for job in plan.jobs:
        JOBS.setdefault(job.place, job)
        place = place_of(job.place)
        mine = indices or range(job.first, job.first + job.count)
        found += [(job, draw_sample(job, index, place, basis_of(job, place))) for index in mine]
    return found


def basis_of(job: ShardJob, place: Place) -> FloodBasis | None:
    part = next((p for p in job.recipe.hazards if isinstance(p, FloodPart)), None)
    return None if part is None else prepare_flood(place.city, part)


def shared_city(**more: Any) -> Plan:
    content = {
        "name": "shared",
        "count": 16,
        "events": 6,
        "recipe": {
            "output": {"size": 64, "gsd": {"choice": [0.5, 0.6]}, "shard_size": 4},
            "between": {"changes": 0},
            "view": {"shift": [0, 5]},
        },
        "cities": {"a": {"city": {"style": "village", "extent": 220}}},
        "hazards": {"flood": {}, "quake": {"hazard": QUAKE}, "camp": {"hazard": {"kind": "camp", "tents": [20, 30]}}},
        "splits": {"train": 0.5, "test-event": {"share": 0.5, "within": "train"}},
        "buffer": BUFFER,
    }
    return make_plan(parse_mixture(content | more, "shared.yaml"))


def footprints(job: ShardJob, draft: Draft) -> shapely.Geometry:
    """The ground that both images of a sample show."""
    grid = draft.record.grid
    box = np.array([grid.west, grid.north - grid.rows * grid.gsd, grid.west + grid.columns * grid.gsd, grid.north])
    dx, dy = (shift * grid.gsd for shift in draft.record.post.shift_px)
    moved = box - [dx, -dy, dx, -dy]
    assert job.event == draft.record.event
    return shapely.union(shapely.box(*box), shapely.box(*moved))


@pytest.fixture(scope="module")
def drawn() -> list[tuple[ShardJob, Draft]]:
    """All samples of a city that two splits share."""
    return drafts(shared_city())


def test_footprints_of_two_splits_of_a_city_are_a_buffer_apart(drawn: list[tuple[ShardJob, Draft]]) -> None:
    ground: dict[str, list[shapely.Geometry]] = {"train": [], "test-event": []}
    hazards = set()
    for job, draft in drawn:
        ground[job.split].append(footprints(job, draft))
        assert (draft.record.split, draft.record.city) == (job.split, "a")
        assert draft.record.key == f"{job.event}-{draft.index:06d}"
        hazards.add((job.split, draft.record.hazard))
    assert shapely.distance(*(shapely.union_all(ground[split]) for split in ("train", "test-event"))) >= BUFFER
    assert len(hazards) == 6


def test_a_camp_is_put_up_where_its_split_may_look(drawn: list[tuple[ShardJob, Draft]]) -> None:
    camps = [draft for _, draft in drawn if draft.record.hazard == "camp"]
    assert len(camps) >= 4
    assert all(draft.record.tents for draft in camps)


def test_a_part_of_a_plan_draws_what_the_whole_plan_draws(drawn: list[tuple[ShardJob, Draft]]) -> None:
    plan, whole = shared_city(), {draft.key: draft.record for _, draft in drawn}
    alone = Plan(plan.campaign, plan.jobs[-1:], plan.digests)
    for _, draft in reversed(drafts(alone)):
        assert draft.record == whole[draft.key]


@pytest.mark.parametrize(
    ("hazard", "part"),
    [
        pytest.param(QUAKE, {"share": 0.5, "grade": 2}, marks=pytest.mark.long),
        (QUAKE, {"share": 0.25, "grade": 1, "buildings": 2, "part": 0.2}),
        ({"kind": "flood", "share": [0.05, 0.3]}, {"share": 0.5, "grade": 2}),
        pytest.param(
            [QUAKE, {"kind": "fire", "minutes": [60, 90]}], {"share": 1.0, "grade": 3}, marks=pytest.mark.long
        ),
    ],
)
def test_at_least_the_share_that_is_asked_for_has_damage(hazard: Any, part: dict[str, Any]) -> None:
    recipe = read_recipe("flood", {**TINY, "hazard": hazard, "count": 8, "tiles.damaged": part})
    asks, hits = DamagedPart.model_validate(part), 0
    for _, draft in drafts(make_plan(recipe)):
        grades = np.array([b.jds for b in draft.record.buildings])
        hit = (grades >= asks.grade).sum() >= max(asks.buildings, asks.part * len(grades))
        assert hit or not asked(asks, draft.index)
        hits += hit
    assert hits >= asks.share * 8


@pytest.mark.long
def test_damage_is_found_that_would_else_be_missed() -> None:
    weak = {"kind": "earthquake", "magnitude": 6.7, "distance": 12}
    shares = []
    for more in ({}, {"tiles.damaged": {"share": 1.0, "grade": 2}}):
        found = drafts(make_plan(read_recipe("flood", {**TINY, "hazard": weak, "count": 8, **more})))
        shares.append(np.mean([any(b.jds >= 2 for b in draft.record.buildings) for _, draft in found]))
    assert shares[1] > shares[0]


@given(st.floats(0, 1), st.integers(0, 200), st.integers(1, 100))
def test_of_any_first_samples_of_an_event_enough_are_asked_for(share: float, more: int, count: int) -> None:
    part = DamagedPart(share=share)
    chosen = [asked(part, index) for index in range(count)]
    assert share * count <= sum(chosen) + 1e-6
    assert sum(chosen) < share * count + 1 + 1e-6
    assert not asked(None, more)


def test_tiles_lie_within_the_part_that_a_recipe_names() -> None:
    within = {"tiles.within": [0.0, 0.5, 0.6, 1.0], "tiles.margin": 5}
    for _, draft in drafts(make_plan(read_recipe("flood", {**TINY, **within, "hazard": QUAKE, "count": 6}))):
        west, south, east, north = draft.grid.bounds
        snap = 0.3 + 1e-9
        assert west >= -100 - snap
        assert south >= 5 - snap
        assert east <= 15 + snap
        assert north <= 100 + snap


def test_a_part_that_is_narrower_than_a_tile_is_one_error() -> None:
    recipe = read_recipe("flood", {**TINY, "tiles.within": [0.0, 0.0, 0.1, 1.0]})
    with pytest.raises(CityError, match=r"narrower than one; expected 38\.4 m .* found 20\.0 m"):
        drafts(make_plan(recipe), [0])


def test_events_of_one_city_are_in_one_place_and_without_a_seed_of_its_own_are_not() -> None:
    first, second = (
        build_place(make_plan(read_recipe("flood", {**TINY, "city.seed": seed, "hazard": hazard})).jobs[0]).city
        for seed, hazard in ((5, QUAKE), (5, {"kind": "fire"}))
    )
    assert [b.footprint.wkb for b in first.buildings] == [b.footprint.wkb for b in second.buildings]
    other = build_place(make_plan(read_recipe("flood", {**TINY, "city.seed": None})).jobs[0]).city
    assert [b.footprint.wkb for b in other.buildings] != [b.footprint.wkb for b in first.buildings]
