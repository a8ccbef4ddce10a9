"""Figures of many sums at once, intervals, tests and means over seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning import (
    BuildingMetrics,
    DamageMetrics,
    TileCounts,
    bootstrap,
    compare,
    group,
    over_seeds,
    paired,
)
from mage.learning.scoring import figures
from mage.learning.scoring.figures import building_iou
from mage.learning.scoring.intervals import drawn_weights, resampled, student
from mage.scenes.errors import DatasetError, ModelError


def counted(seed, tiles=4, side=8, events=None):
    """Counts of drawn tiles, some of which lack grades, and the metrics of all of them."""
    rng = np.random.default_rng(seed)
    pixels, buildings, columns = DamageMetrics(), BuildingMetrics(), []
    for _ in range(tiles):
        held = rng.choice(5, rng.integers(1, 6), replace=False)
        target = rng.choice(held, (side, side)).astype(np.uint8)
        predicted = np.where(rng.random(target.shape) < 0.6, target, rng.integers(0, 5, target.shape)).astype(np.uint8)
        numbers = np.where(target > 0, target * 10 + rng.integers(0, 2, target.shape), 0)
        one, houses = DamageMetrics(), BuildingMetrics()
        one.update(predicted, target)
        houses.update(predicted, target, numbers)
        columns.append({"confusion": one.confusion, "scored": one.scored, "buildings": houses.confusion})
        pixels = pixels + one
        buildings.confusion += houses.confusion
    keys = tuple(f"tile-{i}" for i in range(tiles))
    counts = {name: np.stack([column[name] for column in columns]) for name in columns[0]}
    places = {} if events is None else {"event": tuple(events)}
    return TileCounts(keys, places, counts), pixels.summary(), buildings.summary()


def same(found, expected):
    return found == pytest.approx(np.nan if expected is None else expected, abs=1e-12, nan_ok=True)


@given(st.integers(0, 2**32))
@settings(max_examples=50)
def test_figures_of_sums_equal_the_metrics_of_the_maps(seed):
    tiles, pixels, buildings = counted(seed)
    sums = tiles.sums()
    for name in ("xview2", "xview2_present", "localisation_f1", "building_iou", "macro_f1", "mean_iou"):
        assert same(getattr(figures, name)(sums), pixels[name]), name
    assert same(figures.buildings_f1(sums), buildings["macro_f1"])
    assert same(figures.buildings_kappa(sums), buildings["quadratic_kappa"])
    assert same(figures.buildings_found(sums), buildings["found"])


def test_many_sums_at_once_are_each_that_of_one():
    tiles, _, _ = counted(3)
    weights = np.random.default_rng(0).integers(0, 3, (5, len(tiles)))
    together = tiles.sums(weights)
    for i, row in enumerate(weights):
        alone = tiles.take(np.repeat(np.arange(len(tiles)), row)).sums()
        for figure in (figures.xview2, figures.macro_f1, figures.buildings_kappa, figures.mean_f1):
            assert same(figure(together)[i], figure(alone))


def test_students_quantiles_are_those_of_the_tables():
    tables = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 9: 2.2622, 10: 2.2281, 30: 2.0423, 121: 1.9798}
    assert {n: round(student(n), 4) for n in tables} == tables
    assert student(5, 0.99) == pytest.approx(4.0321, abs=1e-4)


def test_the_mean_over_seeds_has_students_interval():
    found = over_seeds([0.70, 0.72, 0.77])
    assert found.mean == pytest.approx(0.73)
    assert (found.high - found.low) / 2 == pytest.approx(4.302653 * np.std([0.70, 0.72, 0.77], ddof=1) / np.sqrt(3))
    assert over_seeds([0.5]).low is None
    with pytest.raises(ModelError):
        over_seeds([])
    with pytest.raises(ModelError):
        over_seeds([0.5, np.nan])


def share(sums):
    """Hits of buildings among all: a share whose spread is known."""
    return sums["confusion"][..., 1, 1] / np.maximum(sums["confusion"][..., 1, :].sum(-1), 1)


def shares(hits, of=100, events=None):
    counts = np.stack([[[0, 0], [of - h, h]] for h in hits])
    places = {} if events is None else {"event": tuple(events)}
    return TileCounts(tuple(map(str, range(len(hits)))), places, {"confusion": counts})


def test_the_interval_over_tiles_is_as_wide_as_theory_says():
    hits = np.random.default_rng(0).binomial(100, 0.4, 200)
    found = bootstrap(shares(hits), {"share": share}, np.random.default_rng(1))["share"]
    half = 1.96 * hits.std() / 100 / np.sqrt(200)
    assert found.value == pytest.approx(hits.mean() / 100)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_tiles_of_one_event_that_are_alike_do_not_make_the_interval_narrow():
    hits = np.repeat([20, 50, 80, 40], 50)
    events = np.repeat(list("abcd"), 50)
    by_tile = bootstrap(shares(hits), {"share": share}, np.random.default_rng(0))["share"]
    by_event = bootstrap(shares(hits, events=events), {"share": share}, np.random.default_rng(0))["share"]
    assert by_event.high - by_event.low > 4 * (by_tile.high - by_tile.low)
    assert by_event.value == by_tile.value


def test_every_draw_takes_as_many_tiles_of_an_event_as_it_has_each_time_it_is_drawn():
    tiles = shares([1] * 7, events="aaabbbb")
    weights = drawn_weights(tiles, np.random.default_rng(0), 300)
    assert {tuple(row) for row in np.stack([weights[:, :3].sum(1), weights[:, 3:].sum(1)], 1)} == {
        (6, 0),
        (3, 4),
        (0, 8),
    }
    assert weights.mean(0) == pytest.approx(np.ones(7), abs=0.2)


def test_buildings_of_a_drawn_tile_are_drawn_anew_and_keep_their_number():
    houses = np.zeros((2, 2, 3), np.int64)
    houses[0, 0, 1], houses[0, 0, 2], houses[1, 1, 2] = 30, 10, 5
    tiles = TileCounts(("a", "b"), {}, {"buildings": houses})
    weights = np.tile([[2, 1]], (400, 1))
    drawn = resampled(tiles, weights, np.random.default_rng(0))["buildings"]
    assert (drawn.sum((1, 2)) == 85).all()
    assert drawn[:, 0, 1].mean() == pytest.approx(60, abs=1)
    assert drawn[:, 0, 1].std() == pytest.approx(np.sqrt(80 * 0.75 * 0.25), rel=0.15)


def test_one_seed_gives_one_interval():
    tiles, _, _ = counted(1, events="aabb")
    one, two = (
        bootstrap(tiles, {"kappa": figures.buildings_kappa}, np.random.default_rng(5), replicates=50) for _ in range(2)
    )
    assert one == two


def test_exchanging_equal_runs_changes_nothing_and_a_run_better_on_every_tile_is_told():
    worse, better = shares([40, 50, 45, 52, 48]), shares([60, 70, 65, 72, 68])
    assert paired(worse, worse, share, np.random.default_rng(0)).p_permutation == 1
    found = paired(worse, better, share, np.random.default_rng(0))
    assert found.difference.value == pytest.approx(0.2)
    assert found.p_permutation == 2 / 2**5  # the two exchanges of all that are as far from 0
    assert found.p_bootstrap < 0.01
    assert found.difference.low > 0.15


def test_a_difference_that_is_chance_is_not_told_from_it():
    rng = np.random.default_rng(0)
    p = []
    for _ in range(40):
        one, other = (shares(rng.binomial(100, 0.5, 16)) for _ in range(2))
        p.append(paired(one, other, share, rng, replicates=200).p_permutation)
    assert 0.3 < np.mean(p) < 0.7
    assert np.mean(np.array(p) < 0.1) < 0.25


def test_runs_are_compared_tile_by_tile_whatever_their_order():
    one = shares([40, 50, 45])
    other = shares([50, 60, 55]).take([2, 0, 1])
    assert paired(one, other, share, np.random.default_rng(0)).difference.value == pytest.approx(0.1)
    with pytest.raises(ModelError, match="same tiles"):
        paired(one, shares([1, 2]), share, np.random.default_rng(0))


def test_a_macro_average_weighs_a_small_event_like_a_large_one():
    tiles = shares([80] * 9 + [20], events="a" * 9 + "b")
    found = group(tiles, "event", {"share": share}, np.random.default_rng(0), replicates=300)
    assert found.macro["share"].value == pytest.approx(0.5)
    assert found.rows["a"]["share"].value == pytest.approx(0.8)
    assert found.macro["share"].low == pytest.approx(0.2)
    assert found.macro["share"].high == pytest.approx(0.8)
    assert found.tiles == {"a": 9, "b": 1}
    with pytest.raises(DatasetError, match="city"):
        tiles.groups("city")


def test_an_undefined_figure_stays_undefined_in_all_of_it():
    nothing = TileCounts(("a", "b"), {"event": ("x", "y")}, {"confusion": np.zeros((2, 2, 2))})
    rng = np.random.default_rng(0)
    assert bootstrap(nothing, {"iou": building_iou}, rng)["iou"].value is None
    assert group(nothing, "event", {"iou": building_iou}, rng).macro["iou"].value is None
    found = compare(("a", "b"), [nothing, nothing], {"iou": building_iou}, rng)
    assert found.seeds == {}
    assert found.against_first[0]["iou"].p_permutation is None
    assert "-" in found.table()


def test_no_tiles_and_columns_of_other_lengths_are_refused():
    with pytest.raises(ModelError, match="no tiles"):
        bootstrap(
            TileCounts((), {}, {"confusion": np.zeros((0, 2, 2))}), {"iou": building_iou}, np.random.default_rng(0)
        )
    with pytest.raises(ModelError, match="'confusion'"):
        TileCounts(("a",), {}, {"confusion": np.zeros((2, 2, 2))})
    with pytest.raises(ModelError, match="two runs"):
        compare(("a",), [shares([1])], {"iou": building_iou}, np.random.default_rng(0))
