"""Datasets on disk as torch datasets."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from fake_dataset import fake_sample, write_fake_dataset
from torch.utils.data import DataLoader

from mage.learning import EpochSampler, ShardDataset
from mage.learning.crops import window_of
from mage.learning.sampling import Draw
from mage.learning.shards import GRADES
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE


def test_samples_are_what_was_written(drawn):
    dataset = ShardDataset(drawn, labels=("post_building", "post_depth"))
    assert len(dataset) == 6
    for index in (0, 3, 5):
        sample, written = dataset[index], fake_sample(index, 64)
        assert sample["key"] == written.record.key
        for date, name in enumerate(("pre", "post")):
            assert (sample["image"][date].numpy().transpose(1, 2, 0) == written.images[name]).all()
        assert (sample["mask"].numpy() == written.labels["post_damage"]).all()
        assert (sample["post_depth"].numpy() == written.labels["post_depth"]).all()
        assert sample["image"].dtype == sample["mask"].dtype == torch.uint8


def test_indices_count_from_the_end_and_end(drawn):
    dataset = ShardDataset(drawn)
    assert dataset[-1]["key"] == dataset[5]["key"] == dataset.keys[-1]
    for outside in (6, -7):
        with pytest.raises(IndexError):
            dataset[outside]
    assert len(list(dataset)) == 6


def test_plain_indices_crop_the_middle_and_draws_crop_at_random(drawn):
    whole, cropped = ShardDataset(drawn), ShardDataset(drawn, size=20)
    assert torch.equal(cropped[1]["image"], whole[1]["image"][..., 22:42, 22:42])
    crops = {cropped[Draw(1, 0, epoch)]["image"].numpy().tobytes() for epoch in range(8)}
    assert len(crops) > 5
    again = cropped[Draw(1, 0, 3)]
    assert torch.equal(again["image"], cropped[Draw(1, 0, 3)]["image"])


def test_crops_reach_every_corner():
    windows = {tuple(cut.start for cut in window_of(Draw(0, 0, epoch), (64, 64), 62)) for epoch in range(200)}
    assert windows == {(row, column) for row in range(3) for column in range(3)}


def test_image_and_mask_are_cropped_alike(drawn):
    sample = ShardDataset(drawn, size=32, labels=("post_building",))[Draw(2, 5, 1)]
    assert ((sample["mask"] > 0) == (sample["post_building"] > 0)).all()
    assert (sample["mask"] > 0).any()


def test_tiles_smaller_than_the_crop_are_mirrored_and_ignored_there(drawn):
    sample, whole = ShardDataset(drawn, size=80, labels=("post_depth",))[Draw(0, 0, 0)], ShardDataset(drawn)[0]
    assert sample["image"].shape == (2, 3, 80, 80)
    assert torch.equal(sample["image"][..., :64, :64], whole["image"])
    assert torch.equal(sample["image"][..., :64, 64:], whole["image"][..., 48:].flip(-1))
    assert torch.equal(sample["mask"][:64, :64], whole["mask"])
    assert (sample["mask"][64:] == IGNORE).all()
    assert (sample["post_depth"][:, 64:] == 0).all()


def test_worker_processes_give_the_same_samples_in_the_same_order(drawn):
    def batches(workers):
        sampler = EpochSampler(6, seed=1, batch=4, stop=4)
        return list(DataLoader(ShardDataset(drawn, size=16), batch_sampler=sampler, num_workers=workers))

    alone, helped = batches(0), batches(2)
    assert [batch["key"] for batch in alone] == [batch["key"] for batch in helped]
    assert all(torch.equal(a["image"], h["image"]) for a, h in zip(alone, helped, strict=True))
    assert all(torch.equal(a["mask"], h["mask"]) for a, h in zip(alone, helped, strict=True))


def test_a_dataset_travels_to_another_process_after_use(drawn):
    dataset = ShardDataset(drawn)
    first = dataset[0]
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[0]["image"], first["image"])


def test_transform_sees_the_whole_sample(drawn):
    dataset = ShardDataset(drawn, transform=lambda sample: sample | {"buildings": int((sample["mask"] > 0).sum())})
    assert dataset[0]["buildings"] > 0


def test_grades_are_counted_over_the_chosen_samples(drawn):
    records = [fake_sample(index, 64).record for index in range(6)]
    expected = [sum(b.jds == grade for record in records for b in record.buildings) for grade in range(GRADES)]
    assert ShardDataset(drawn).grade_counts() == expected


def test_splits_come_from_the_index(tmp_path):
    write_fake_dataset(tmp_path / "data", count=3, size=32, split="val")
    assert len(ShardDataset(tmp_path / "data", split="val")) == 3
    with pytest.raises(DatasetError, match=r"no sample is of split 'train'.*val"):
        ShardDataset(tmp_path / "data", split="train")


def test_a_split_takes_single_samples_out_of_a_shard(drawn, monkeypatch):
    import pyarrow as pa

    from mage.learning import shards

    keys = ShardDataset(drawn).keys
    table = shards.read_index(drawn, ShardDataset(drawn).record.index_sha256)
    marked = table.set_column(table.column_names.index("split"), "split", pa.array(["a", "b", "b", "b", "a", "b"]))
    monkeypatch.setattr(shards, "read_index", lambda *_: marked)
    chosen = ShardDataset(drawn, split="a")
    assert chosen.keys == [sample["key"] for sample in chosen] == [keys[0], keys[4]]
    assert sum(chosen.grade_counts()) == sum(len(fake_sample(index, 64).record.buildings) for index in (0, 4))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"size": 0}, "1 pixel"), ({"size": -3}, "1 pixel"), ({"labels": ("post_colour",)}, "no such label")],
)
def test_wrong_arguments_are_refused(drawn, arguments, words):
    with pytest.raises(DatasetError, match=words):
        ShardDataset(drawn, **arguments)


def test_folders_that_hold_no_dataset_are_named(tmp_path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DatasetError, match=root.name):
            ShardDataset(root)


@pytest.fixture
def own(tmp_path):
    """A dataset to be broken."""
    write_fake_dataset(tmp_path / "data", count=2, size=32)
    return tmp_path / "data"


def test_missing_and_cut_shards_are_found_at_once(own):
    shard = own / "shards" / "train-000000.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:-512])
    with pytest.raises(DatasetError, match=r"train-000000\.tar: a shard is cut"):
        ShardDataset(own)
    shard.unlink()
    with pytest.raises(DatasetError, match=r"train-000000\.tar: a shard is missing"):
        ShardDataset(own)


def test_a_flipped_byte_is_reported_with_file_and_key(own):
    shard = own / "shards" / "train-000000.tar"
    content = bytearray(shard.read_bytes())
    position = content.index(b"IDAT", content.index(b"post.png")) + 40
    content[position] ^= 0xFF
    shard.write_bytes(content)
    dataset = ShardDataset(own)
    with pytest.raises(DatasetError, match=rf"train-000000.tar: {dataset.keys[0]}.post.png"):
        dataset[0]
    dataset[1]


def test_other_classes_in_a_mask_are_refused(own, monkeypatch):
    from mage.learning import shards

    real = shards.decode_png
    monkeypatch.setattr(shards, "decode_png", lambda data, **k: np.minimum(real(data, **k), 200) + 5)
    with pytest.raises(DatasetError, match="expected 0-4"):
        ShardDataset(own)[0]


def test_pictures_of_different_sizes_are_refused(own, monkeypatch):
    from mage.learning import shards

    real = shards.decode_png
    monkeypatch.setattr(shards, "decode_png", lambda data, file: real(data)[: 30 if "post.png" in file else 32])
    with pytest.raises(DatasetError, match="not as large"):
        ShardDataset(own)[0]
