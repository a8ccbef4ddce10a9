"""Order: exact epochs, to be left and taken up again."""

from __future__ import annotations

import pickle
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.learning.sampling import Draw, EpochSampler
from mage.scenes.errors import ModelError


def flat(batches):
    return [(int(draw), draw.seed, draw.epoch) for batch in batches for draw in batch]


@given(st.integers(1, 20), st.integers(1, 7), st.integers(0, 2**63))
def test_every_epoch_holds_each_sample_once(n, batch, seed):
    draws = flat(islice(EpochSampler(n, seed=seed, batch=batch), 3 * n))
    for epoch in range(3):
        assert sorted(index for index, _, e in draws[epoch * n : (epoch + 1) * n] if e == epoch) == list(range(n))


@given(st.integers(1, 20), st.integers(1, 7), st.integers(0, 12))
def test_a_stream_goes_on_at_the_very_next_batch(n, batch, before):
    whole = flat(EpochSampler(n, seed=3, batch=batch, stop=15))
    first = EpochSampler(n, seed=3, batch=batch, stop=15)
    begun = flat(islice(first, before))
    second = EpochSampler(n, seed=3, batch=batch, stop=15)
    second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    assert begun + flat(second) == whole


@given(st.integers(1, 20), st.integers(1, 4), st.integers(1, 4), st.integers(0, 5))
def test_parts_of_processes_make_the_batches_of_one_wherever_they_begin(n, share, world, before):
    whole = EpochSampler(n, seed=3, batch=share * world, stop=9)
    parts = [EpochSampler(n, seed=3, batch=share * world, stop=9, rank=r, world=world) for r in range(world)]
    list(islice(whole, before))
    for part in parts:
        part.load_state_dict(whole.state_dict())
    joined = [[draw for part in batch for draw in part] for batch in zip(*parts, strict=True)]
    assert flat(joined) == flat(whole)
    assert all(part.state_dict() == whole.state_dict() for part in parts)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"rank": 2, "world": 2}, "no such process"), ({"batch": 3, "rank": 0, "world": 2}, "a multiple of 2 samples")],
)
def test_a_batch_that_cannot_be_parted_and_a_process_that_is_not_there_are_refused(arguments, words):
    with pytest.raises(ModelError, match=words):
        EpochSampler(9, **arguments)


def test_order_follows_seed_and_epoch():
    one, same, other = (flat(islice(EpochSampler(50, seed=s, batch=50), 2)) for s in (1, 1, 2))
    assert one == same
    assert [index for index, *_ in one] != [index for index, *_ in other]
    assert [index for index, *_ in one[:50]] != [index for index, *_ in one[50:]]


def test_state_can_be_told_how_many_batches_were_used():
    sampler = EpochSampler(9, batch=2)
    list(islice(sampler, 6))
    assert sampler.state_dict(4)["batches"] == 4


@pytest.mark.parametrize("other", [{"n": 8}, {"seed": 1}, {"batch": 3}])
def test_state_of_another_stream_is_refused(other):
    sampler = EpochSampler(9, seed=0, batch=2)
    with pytest.raises(ModelError, match=next(iter(other))):
        sampler.load_state_dict(sampler.state_dict() | other)


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": 5, "batch": 0}, {"n": 5, "seed": -1}])
def test_nothing_to_draw_is_refused(arguments):
    with pytest.raises(ModelError):
        EpochSampler(**arguments)


def test_a_draw_is_an_index_that_survives_pickling():
    draw = pickle.loads(pickle.dumps(Draw(2, seed=7, epoch=1)))
    assert "abc"[draw] == "c"
    assert (draw.seed, draw.epoch) == (7, 1)
    assert draw.rng().random() == Draw(2, 7, 1).rng().random() != Draw(2, 7, 2).rng().random()
