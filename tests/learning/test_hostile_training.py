"""What can be wrong with data and checkpoints: one clear error each, whoever loads the samples, alone or in two."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
import torch
from pairs import in_two

from mage.learning import EpochSampler, ShardDataset, SiameseDamageNet, Supervised, evaluate, fit, load_model, open_run
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError, MageError, ModelError

ARGUMENTS = {"batch": 2, "device": "cpu"}
MISTAKES = {
    "NaN labels": (lambda s: s | {"mask": s["mask"].float() * np.nan}, r"mask integer \(H, W\)"),
    "a NaN in an image": (lambda s: s | {"image": s["image"].float() * np.nan}, "not finite"),
    "an image of 0-255 as floats": (lambda s: s | {"image": s["image"].float() + 100}, "0-1"),
    "an image of whole numbers": (lambda s: s | {"image": s["image"].int()}, "samples of another kind"),
    "more grades than the model has": (lambda s: s | {"mask": s["mask"] + 3}, "more grades than the model"),
    "negative labels": (lambda s: s | {"mask": s["mask"].long() - 9}, "more grades than the model"),
    "no labels": (lambda s: s | {"mask": None}, "lack the tensor 'mask'"),
    "labels of another size": (lambda s: s | {"mask": s["mask"][1:]}, r"mask integer \(H, W\)"),
    "images without pixels": (lambda s: s | {"image": s["image"][..., :0]}, "samples of another kind"),
    "another number of bands": (lambda s: s | {"image": s["image"][:, :2]}, "another shape"),
}


def train(root, out, transform=None, **options):
    dataset = ShardDataset(root, size=16, transform=transform)
    return fit(Supervised(SiameseDamageNet(2)), dataset, out=out, steps=4, every=1, **(ARGUMENTS | options))


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_samples_that_cannot_teach_are_refused_whoever_loads_them(drawn, tmp_path, mistake, workers):
    change, words = MISTAKES[mistake]
    with pytest.raises(MageError, match=words) as caught:
        train(drawn, tmp_path / "run", change, workers=workers)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "run.json").exists()


def test_in_two_processes_the_one_that_meets_a_mistake_tells_it(drawn, tmp_path):
    def work(rank):
        change = MISTAKES["NaN labels"][0]
        return train(drawn, tmp_path / "run", change if rank else None).step

    ends = in_two(work, tmp_path / "ends")
    assert ends[0].startswith("LostError: another process of this training failed")
    assert ends[1].startswith("DatasetError: samples of another kind; expected image uint8")


@pytest.fixture
def broken(drawn, tmp_path):
    """A copy of a dataset in which bytes of one label raster are others; its key."""
    root = shutil.copytree(drawn, tmp_path / "broken")
    shard = sorted((root / "shards").glob("*.tar"))[1]
    key = ShardDataset(root).keys[2]
    member = TarIndex(shard).read(key, "post_damage.png")
    content = shard.read_bytes()
    place = content.index(member) + len(member) // 2
    shard.write_bytes(content[:place] + bytes(b ^ 255 for b in content[place : place + 8]) + content[place + 8 :])
    return root, shard, key


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_shard_is_named_with_the_sample(broken, tmp_path, workers):
    root, shard, key = broken
    with pytest.raises(DatasetError, match="checksum does not match") as caught:
        train(root, tmp_path / "run", workers=workers)
    assert str(caught.value).startswith(f"{shard}: {key}.post_damage.png")


def test_in_two_processes_a_damaged_shard_ends_both_and_keeps_the_checkpoint(broken, tmp_path):
    root, shard, key = broken
    ends = in_two(lambda _: train(root, tmp_path / "run").step, tmp_path / "ends")
    told = [end for end in ends if end.startswith(f"DatasetError: {shard}: {key}")]
    assert len(told) == 1
    assert any(end.startswith("LostError: another process") for end in ends)
    order = [int(draw) for batch in EpochSampler(6, batch=2, stop=3) for draw in batch]
    steps = order.index(2) // 2
    there = (tmp_path / "run" / "run.json").exists()
    assert (open_run(tmp_path / "run").step if there else 0) == steps


def test_a_shard_that_was_cut_is_refused_before_anything_is_trained(broken, tmp_path):
    root, shard, _ = broken
    shard.write_bytes(shard.read_bytes()[:-512])
    with pytest.raises(DatasetError, match="cut or was changed"):
        train(root, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("two", [False, True])
def test_a_checkpoint_that_holds_a_pickle_is_never_loaded(drawn, tmp_path, two):
    run = train(drawn, tmp_path / "run")

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    run.checkpoint.write_bytes(pickle.dumps(Trap()))
    words = "checkpoint cannot be read"
    if two:
        ends = in_two(lambda _: train(drawn, run.path, resume=True).step, tmp_path / "ends")
        assert all(words in end for end in ends)
    else:
        for use in (lambda: train(drawn, run.path, resume=True), lambda: load_model(run.path)):
            with pytest.raises(ModelError, match=words):
                use()
    assert not (tmp_path / "sprung").exists()


def test_a_model_of_other_grades_neither_resumes_nor_is_scored(drawn, tmp_path):
    class Halved(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return {"image": torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "mask": torch.ones(8, 8).long()}

    def begin(grades, **options):
        method = Supervised(SiameseDamageNet(2, grades=grades))
        return fit(method, Halved(), out=tmp_path / "run", steps=1, **ARGUMENTS, **options)

    run = begin(2)
    with pytest.raises(ModelError, match="'grades' differs"):
        begin(3, resume=True)
    with pytest.raises(ModelError, match="expected 4 grades; found 2"):
        evaluate(run, ShardDataset(drawn), device="cpu")


def test_two_runs_with_one_seed_give_the_same_bytes(drawn, tmp_path):
    one, other = (train(drawn, tmp_path / name, workers=workers) for name, workers in (("a", 0), ("b", 2)))
    assert one.checkpoint.read_bytes() == other.checkpoint.read_bytes()
