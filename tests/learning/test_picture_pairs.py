"""Folders of pictures before and after, as unlabelled pairs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mage.learning import PicturePairs
from mage.learning.sampling import Draw
from mage.scenes.errors import DatasetError


def write(path, light=0, shape=(20, 24)):
    columns = np.arange(shape[1], dtype=np.uint8)
    cv2.imwrite(str(path), np.broadcast_to(columns[None, :, None] + np.uint8(light), (*shape, 3)).copy())


def test_pictures_are_paired_by_their_names_and_others_are_left_out(tmp_path):
    (tmp_path / "pre_event").mkdir()
    for name in ("a_pre.png", "a_post.png", "b_pre_disaster.png", "b_post_disaster.png", "c_pre.png", "d_post.png"):
        write(tmp_path / "pre_event" / name, light=100 * ("post" in name))
    pairs = PicturePairs(tmp_path)
    assert [pairs[i]["key"] for i in range(len(pairs))] == ["pre_event/a_pre.png", "pre_event/b_pre_disaster.png"]
    image = pairs[0]["image"]
    assert image.shape == (2, 3, 20, 24)
    assert torch.equal(image[1], image[0] + 100)


def test_both_dates_get_the_same_crop(tmp_path):
    write(tmp_path / "a_pre.png")
    write(tmp_path / "a_post.png", light=100)
    pairs = PicturePairs(tmp_path, size=8)
    firsts = set()
    for epoch in range(8):
        image = pairs[Draw(0, 0, epoch)]["image"]
        assert torch.equal(image[1], image[0] + 100)
        firsts.add(int(image[0, 0, 0, 0]))
    assert len(firsts) > 2
    assert PicturePairs(tmp_path, size=32)[0]["image"].shape == (2, 3, 32, 32)


def test_folders_without_pairs_and_pairs_of_two_sizes_are_errors(tmp_path):
    write(tmp_path / "a_pre.png")
    with pytest.raises(DatasetError, match="holds no pairs"):
        PicturePairs(tmp_path)
    write(tmp_path / "a_post.png", shape=(8, 8))
    with pytest.raises(DatasetError, match="differs in size"):
        PicturePairs(tmp_path)[0]
    (tmp_path / "a_post.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"a_post\.png"):
        PicturePairs(tmp_path)[0]
