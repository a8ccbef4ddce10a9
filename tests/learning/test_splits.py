"""Splits that leak neither events nor places nor ground."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_dataset import write_fake_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning import EpochSampler, Part, Row, ShardDataset, by_block, by_event, by_place, leave_one_event_out
from mage.learning.sampling import Draw
from mage.learning.streams import together
from mage.scenes.errors import DatasetError

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
NAMES = st.sampled_from("abcdefgh")
ROWS = st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=40).map(
    lambda pairs: [Row(f"tile-{k}", f"event-{e}", f"place-{p}") for k, (e, p) in enumerate(pairs)]
)


def names(rows, parts, of):
    return [{getattr(rows[k], of) for k in indices} for indices in parts.values()]


def attempt(split, *arguments, **more):
    """The parts, or what the error says."""
    try:
        return split(*arguments, **more)
    except DatasetError as error:
        return str(error)


def apart(sets):
    return sum(map(len, sets)) == len(set().union(*sets))


@given(ROWS, st.integers(0, 99))
@settings(max_examples=25)
def test_no_event_and_no_place_is_in_two_parts(rows, seed):
    parts = attempt(by_event, rows, SHARES, np.random.default_rng(seed))
    if isinstance(parts, str):
        assert "too few events that share no place" in parts
        return
    assert sorted(k for indices in parts.values() for k in indices) == list(range(len(rows)))
    assert apart(names(rows, parts, "event"))
    assert apart(names(rows, parts, "place"))
    assert all(parts.values())


@given(ROWS, st.integers(0, 99))
@settings(max_examples=25)
def test_no_tiles_place_is_in_two_parts(rows, seed):
    if len({row.place for row in rows}) < len(SHARES):
        with pytest.raises(DatasetError, match="too few places"):
            by_place(rows, SHARES, np.random.default_rng(seed))
        return
    parts = by_place(rows, SHARES, np.random.default_rng(seed))
    assert sorted(k for indices in parts.values() for k in indices) == list(range(len(rows)))
    assert apart(names(rows, parts, "place"))
    assert all(parts.values())


@given(ROWS)
@settings(max_examples=25)
def test_an_event_left_out_shares_neither_event_nor_place_with_the_rest(rows):
    if len({row.event for row in rows}) < 2:
        with pytest.raises(DatasetError, match="no event can be left out"):
            list(leave_one_event_out(rows))
        return
    tested = []
    for event, rest, out in leave_one_event_out(rows):
        assert {rows[k].event for k in out} == {event}
        assert event not in {rows[k].event for k in rest}
        assert not {rows[k].place for k in rest} & {rows[k].place for k in out}
        tested += out
    assert sorted(tested) == list(range(len(rows)))


@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=60),
    st.floats(0, 5),
    st.integers(0, 99),
)
@settings(max_examples=25)
def test_tiles_of_two_parts_are_a_gap_apart(corners, gap, seed):
    rows = [Row(str(k), "e", "p", box=(x, y, x + 4, y + 4)) for k, (x, y) in enumerate(corners)]
    parts = attempt(by_block, rows, {"train": 1, "test": 1}, np.random.default_rng(seed), side=16, gap=gap)
    if isinstance(parts, str):
        assert "too few blocks" in parts
        return
    for a in parts["train"]:
        for b in parts["test"]:
            (left, low, right, high), (west, south, east, north) = rows[a].box, rows[b].box
            away = max(west - right, left - east, south - high, low - north)
            assert away >= gap - 1e-4


def test_shares_are_met_as_nearly_as_groups_allow():
    rows = [Row(str(k), f"event-{k // 5}", f"place-{k // 5}") for k in range(500)]
    parts = by_event(rows, SHARES, np.random.default_rng(3))
    assert [len(indices) for indices in parts.values()] == pytest.approx([350, 50, 100], abs=5)


def test_the_same_seed_gives_the_same_parts_and_another_others():
    rows = [Row(str(k), f"event-{k}", f"place-{k}") for k in range(30)]
    first, again, other = (by_event(rows, SHARES, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_wrong_arguments_are_errors():
    rows = [Row("a", "e", "p", box=(0, 0, 1, 1)), Row("b", "f", "q")]
    rng = np.random.default_rng(0)
    for shares in ({}, {"train": 0.0}, {"train": float("nan")}, {"train": float("inf")}):
        with pytest.raises(DatasetError, match="no shares"):
            by_event(rows, shares, rng)
    with pytest.raises(DatasetError, match="whose place on the ground is not known; found b"):
        by_block(rows, SHARES, rng, side=1)
    for side, gap in ((0, 0), (float("nan"), 0), (1, -1)):
        with pytest.raises(DatasetError, match="no such blocks"):
            by_block(rows, SHARES, rng, side=side, gap=gap)
    with pytest.raises(DatasetError, match="no such sample; expected 0-1; found 2"):
        Part(rows, [2])


def test_rows_of_shards_say_where_tiles_are_and_blocks_of_them_do_not_overlap(drawn):
    dataset = ShardDataset(drawn, size=16)
    assert [row.key for row in dataset.rows] == dataset.keys
    assert {row.split for row in dataset.rows} == {"train"}
    assert all(row.box[2] - row.box[0] == row.box[3] - row.box[1] == 32 for row in dataset.rows)
    parts = by_block(dataset.rows, {"train": 1, "test": 1}, np.random.default_rng(0), side=1000)
    assert sorted(parts["train"] + parts["test"]) == list(range(len(dataset)))


def test_a_part_of_a_dataset_crops_as_the_dataset_does_and_can_be_trained_with(drawn):
    dataset = ShardDataset(drawn, size=16)
    part = Part(dataset, [4, 2])
    assert [row.key for row in part.rows] == [dataset.keys[4], dataset.keys[2]]
    mine, theirs = part[Draw(0, 3, 5)], dataset[Draw(4, 3, 5)]
    assert torch.equal(mine["image"], theirs["image"])
    order = EpochSampler(len(part), batch=2, stop=2)
    batches = list(together({"source": part}, {"source": order}, 0, torch.device("cpu"), 5))
    assert batches[0]["source"]["image"].shape == (2, 2, 3, 16, 16)


def test_parts_of_a_dataset_of_several_cities_share_no_city(tmp_path):
    write_fake_dataset(tmp_path / "d", count=2, size=32, shard_size=2)
    rows = [Row(f"{r.key}-{c}", f"{c}-{r.event}", c, r.split) for c in "xyz" for r in ShardDataset(tmp_path / "d").rows]
    parts = by_event(rows, SHARES, np.random.default_rng(0))
    assert apart(names(rows, parts, "place"))
