"""Events of a mixture: weights kept, nothing leaked from split to split, everything drawn alike every time."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from mixtures import SMALL, mixtures, small

from mage.scenes.apportion import apportion
from mage.scenes.campaign import Campaign, Event, apart, shard_names, whole
from mage.scenes.mixture import parse_mixture, read_target
from mage.scenes.recipe import Recipe
from mage.scenes.resolve import draw_events


def hazard_of(event):
    return event.name.removeprefix(f"{event.recipe.city.name}-").rpartition("-")[0]


def within_1(found, names, weights, total):
    exact = {n: total * w / sum(weights) for n, w in zip(names, weights, strict=True)}
    return all(abs(found[n] - exact[n]) < 1 + 1e-6 for n in names)


@given(mixtures())
@settings(max_examples=30)
def test_counts_match_weights_within_1(mixture):
    events = draw_events(mixture)
    samples, numbers = Counter(), Counter()
    for event in events:
        samples[event.split] += event.recipe.count
        numbers[event.split] += 1
    shares = [s.share for s in mixture.splits.values()]
    assert samples.total() == mixture.count
    assert [samples[s] for s in mixture.splits] == apportion(mixture.count, shares, least=1).tolist()
    if mixture.count >= len(mixture.splits):
        assert set(samples) == set(mixture.splits)
    for split in samples:
        mine = [e for e in events if e.split == split]
        counts = [e.recipe.count for e in mine]
        assert max(counts) - min(counts) <= 1
        assert min(counts) >= 1
        struck = Counter(hazard_of(e) for e in mine)
        assert within_1(struck, list(mixture.hazards), [h.weight for h in mixture.hazards.values()], len(mine))


@given(mixtures())
@settings(max_examples=30)
def test_no_city_and_no_event_leaks_from_one_split_into_another(mixture):
    events = draw_events(mixture)
    assert len({e.name for e in events}) == len(events)
    cities = {split: {e.recipe.city.name for e in events if e.split == split} for split in mixture.splits}
    assert not cities["train"] & cities["val"]
    assert not cities["val"] & cities["other"]
    part = {}
    for event in events:
        assert event.recipe.city == part.setdefault(event.recipe.city.name, event.recipe.city)  # one place, built once


@given(mixtures())
@settings(max_examples=40)
def test_parts_of_a_city_that_two_splits_share_are_a_buffer_apart_and_hold_a_tile(mixture):
    inner = {}
    for event in draw_events(mixture):
        box, extent, tiles = event.recipe.tiles.within, event.recipe.city.extent, event.recipe.tiles
        low = [extent * share + tiles.margin * (share > 0) for share in box[:2]]
        high = [extent * share - tiles.margin * (share < 1) for share in box[2:]]
        moved = event.recipe.view.shift[1] * event.recipe.output.gsd + event.recipe.output.gsd / 2
        side = event.recipe.output.size * event.recipe.output.gsd
        assert min(b - a for a, b in zip(low, high, strict=True)) >= side
        inner.setdefault(event.recipe.city.name, []).append((event.split, low, high, moved))
    for parts in inner.values():
        for split, low, high, moved in parts:
            for other, low2, high2, moved2 in parts:
                gap = max(b - a for a, b in (*zip(high, low2, strict=True), *zip(high2, low, strict=True)))
                assert split == other or gap >= mixture.buffer + moved + moved2 - 1e-6


def test_cities_have_events_as_their_weights_say_copies_sharing_that_of_the_one():
    mixture = small(splits={"train": 1}, events=40, cities__more__weight=9)
    found = Counter(e.recipe.city.name for e in draw_events(mixture))
    assert within_1(found, list(mixture.places), [p.weight for p in mixture.places.values()], 40)
    assert sum(found[f"more-{k}"] for k in range(4)) == 30


def test_what_is_held_back_for_a_split_is_nowhere_else():
    events = draw_events(small())
    assert {e.split for e in events if e.recipe.city.name == "hill"} == {"test-city"}
    assert {e.recipe.city.name for e in events if e.split == "test-city"} == {"hill"}
    assert {e.split for e in events if hazard_of(e) == "storm"} == {"test-hazard"}
    train = {e.recipe.city.name for e in events if e.split == "train"}
    known = {e.recipe.city.name for e in events if e.split in ("test-event", "test-hazard")}
    assert known <= train


def test_two_draws_are_equal_and_another_seed_gives_others():
    assert draw_events(small()) == draw_events(small())
    backwards = parse_mixture(json.loads(json.dumps(SMALL, sort_keys=True)), "x")
    assert [e.recipe.seed for e in draw_events(small(seed=1))] != [e.recipe.seed for e in draw_events(small())]
    assert backwards.hash == small().hash


def test_values_are_drawn_per_event_but_those_of_a_city_once():
    events = [e.recipe for e in draw_events(small())]
    assert {r.output.gsd for r in events} == {0.5, 0.75, 1.0}
    assert len({r.light.pre for r in events}) > 12
    assert all(r.light.pre < r.light.post for r in events)
    assert len({r.seed for r in events}) == len(events)
    assert len({r.city.seed for r in events}) == len({r.city.name for r in events})
    shaken = [r.hazard.magnitude for r in events if r.disaster == "earthquake"]
    assert all(low == high for low, high in shaken)
    assert len(set(shaken)) == len(shaken) > 3


def test_further_alternatives_come_as_often_as_their_weights_say():
    slanted = [e.recipe.view.off_nadir != (0.0, 0.0) for e in draw_events(small(splits={"train": 1}))]
    assert sum(slanted) == 6  # of 24


def test_camps_damage_nothing_so_that_other_events_are_asked_for_more():
    events = [e for e in draw_events(small()) if e.split == "train"]
    asked = sum(e.recipe.count * e.recipe.tiles.damaged.share for e in events if e.recipe.tiles.damaged)
    assert asked == pytest.approx(0.3 * sum(e.recipe.count for e in events))
    assert all((e.recipe.tiles.damaged is None) == (e.recipe.disaster == "camp") for e in events)


def test_the_bundled_benchmark_is_what_it_says_and_shrinks():
    mixture = read_target("mage-bench")
    events = draw_events(mixture)
    kinds = {e.recipe.disaster for e in events}
    assert {"flood", "earthquake", "wind", "fire", "camp", "earthquake-camp"} <= kinds
    assert len({e.recipe.city.style for e in events}) >= 6
    assert len(mixture.recipe["sensors"]) == 3
    few = draw_events(read_target("mage-bench", {"count": 12}))
    assert {e.split for e in few} == set(mixture.splits)
    assert sum(e.recipe.count for e in few) == 12
    assert len({e.recipe.disaster for e in few}) >= 4


def test_overrides_go_over_everything_and_lists_of_numbers_stay_ranges():
    events = draw_events(read_target("mage-bench", {"count": 12, "light.hours": [9, 10], "city.extent": 800}))
    assert {(e.recipe.light.hours, e.recipe.city.extent) for e in events} == {((9.0, 10.0), 800.0)}


def test_shared_and_own_parts_of_recipes_are_whole_again():
    events = tuple(Event(e.recipe, "0" * 16, e.split, e.name) for e in draw_events(small()))
    campaign = Campaign("small", 0, events, {})
    shared = campaign.shared()
    assert shared["output"]["size"] == 64
    assert "gsd" not in shared["output"]
    for event in events:
        rest = apart(event.recipe, shared)
        assert len(json.dumps(rest)) < 0.6 * len(json.dumps(event.recipe.model_dump(mode="json")))
        assert Recipe.model_validate(whole(shared, rest)) == event.recipe


def test_every_sample_is_in_one_shard_and_shards_are_numbered_within_their_split():
    events = [Event(e.recipe, "0" * 16, e.split, e.name) for e in draw_events(small())]
    shards = list(shard_names(events, 8))
    assert len({name for _, name, _, _ in shards}) == len(shards)
    for event in events:
        parts = [(first, count) for owner, _, first, count in shards if owner is event]
        assert np.concatenate([np.arange(f, f + n) for f, n in parts]).tolist() == list(range(event.recipe.count))
    for split in small().splits:
        mine = [name for event, name, _, _ in shards if event.split == split]
        assert mine == [f"{split}-{k:06d}.tar" for k in range(len(mine))]
