"""What is seen of a place: wide white clouds are found, white roofs, small clouds and fields of snow before are not."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.sight import Cleared, look
from mage.scenes.grid import Grid

GRID = Grid(300, 340, 500_000, 5_800_000, 2.0, "EPSG:32631")  # 600 m x 680 m
EAST, DOWN = np.meshgrid(np.arange(GRID.columns) * GRID.gsd, np.arange(GRID.rows) * GRID.gsd)


def ground():
    return np.random.default_rng(0).integers(60, 120, (3, *GRID.shape)).astype(np.uint8)


def cloud_over(image, x, y, diameter, level=235):
    """A cloud with a soft edge, metres from the north-west."""
    distance = np.hypot(EAST - x, DOWN - y)
    thick = np.clip((diameter / 2 + 8 - distance) / 16, 0, 1)
    return np.rint(image * (1 - thick) + level * thick).astype(np.uint8), distance < diameter / 2


def seen(pre, post, valid=None):
    pre = None if pre is None else ArrayPicture(pre, GRID)
    return look(pre, ArrayPicture(post, GRID, valid))


def at_pixels(cells, sight):
    whole = np.repeat(np.repeat(cells, sight.cell, 0), sight.cell, 1)
    return whole[: GRID.rows, : GRID.columns]


@pytest.mark.parametrize("before", [True, False])
def test_a_wide_cloud_is_found_to_its_edge(before):
    post, truth = cloud_over(ground(), 340, 300, 180)
    sight = seen(ground() if before else None, post)
    found = at_pixels(sight.cloud, sight)
    assert (found & truth).sum() > 0.97 * truth.sum()
    assert (found & ~truth).sum() < 0.6 * truth.sum()
    assert not (sight.seen & sight.cloud).any()
    assert at_pixels(sight.seen, sight)[~found].all()


def test_the_thin_rim_of_a_cloud_belongs_to_it_and_thin_cloud_alone_does_not():
    before = ground()
    after, _ = cloud_over(before, 300, 300, 120, level=200)
    middle = np.hypot(EAST - 300, DOWN - 300)
    haze = np.rint(before * 0.4 + 200 * 0.6).astype(np.uint8)
    after = np.where((middle > 60) & (middle < 110), haze, after)  # a ring of thin cloud around it
    apart = np.hypot(EAST - 600, DOWN - 100) < 60
    after = np.where(apart, haze, after)
    cloud = seen(before, after).cloud
    east, down = np.meshgrid(*(np.arange(side) * 4.0 + 2 for side in cloud.shape[::-1]))
    distance = np.hypot(east - 300, down - 300)
    assert cloud[distance < 105].all()
    assert not cloud[distance > 130].any()


@pytest.mark.parametrize(
    ("place", "share"),
    [("idabd/1-3", 0.09), ("idabd/1-4", 0.1), ("xbd_harvey/00000001", 0), ("xbd_harvey/00000002", 0)],
)
def test_the_cloud_of_a_real_pair_is_found_and_no_other(shared_data, place, share):
    import cv2

    images = [cv2.imread(str(shared_data / "damage" / f"{place}_{date}.png")) for date in ("pre", "post")]
    grid = Grid(*images[0].shape[:2], 0, 512, 0.5)
    pre, post = (ArrayPicture(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)), grid) for image in images)
    cloud = look(pre, post).cloud
    assert cloud.mean() == pytest.approx(share, abs=0.02 if share else 0)
    if share:
        assert (cloud[-20:, 20:40] if place == "idabd/1-3" else cloud[5:20, 30:45]).all(), "its core"
        assert not cloud[80:90].any(), "between them"


def test_clouds_smaller_than_a_hall_are_left_to_the_model():
    post, _ = cloud_over(ground(), 340, 300, 45)
    assert not seen(ground(), post).cloud.any()


def test_a_white_hall_that_stood_there_before_is_none():
    pre, post = ground(), ground()
    for image in (pre, post):
        image[:, 100:180, 100:220] = 230
    assert not seen(pre, post).cloud.any()


@pytest.mark.parametrize(
    "colour",
    [(235, 235, 180), (150, 150, 150), (240, 200, 200)],
    ids=["sand", "grey", "tiles"],
)
def test_what_is_coloured_or_dim_is_none(colour):
    post = ground()
    post[:, 50:250, 50:250] = np.reshape(colour, (3, 1, 1))
    assert not seen(ground(), post).cloud.any()


def test_what_is_rough_is_none():
    post = ground()
    post[:, 50:250, 50:250] = np.random.default_rng(1).choice([180, 255], (200, 200))
    assert not seen(ground(), post).cloud.any()


def test_rubble_and_salt_of_any_kind_are_none():
    post = np.random.default_rng(2).integers(0, 256, (3, *GRID.shape)).astype(np.uint8)
    assert not seen(ground(), post).cloud.any()


def test_a_place_that_is_smaller_than_a_cloud_has_none():
    grid = Grid(20, 20, 0, 40, 2.0)
    white = ArrayPicture(np.full((3, 20, 20), 250, np.uint8), grid)
    assert not look(None, white).cloud.any()


def test_where_one_image_is_nodata_nothing_is_seen():
    valid = np.ones(GRID.shape, bool)
    valid[:, 200:] = False
    sight = seen(ground(), ground(), valid)
    area = shapely.box(*GRID.bounds)
    assert sight.within(area).area == pytest.approx(400 * 600, rel=0.02)
    assert not sight.within(shapely.box(GRID.west + 450, GRID.north - 100, GRID.west + 500, GRID.north)).area


def test_a_place_that_is_seen_whole_keeps_its_area_as_it_is():
    area = shapely.box(*GRID.bounds)
    assert seen(ground(), ground()).within(area) is area


def test_a_cleared_picture_is_no_data_under_clouds_in_every_window():
    post, _ = cloud_over(ground(), 340, 300, 180)
    sight = seen(ground(), post)
    clear = Cleared(ArrayPicture(post, GRID), sight)
    whole, valid = clear.read((slice(0, GRID.rows), slice(0, GRID.columns)))
    assert (valid == ~at_pixels(sight.cloud, sight)).all()
    assert not whole[:, ~valid].any()
    window = slice(133, 201), slice(57, 240)
    image, there = clear.read(window)
    assert (image == whole[:, *window]).all()
    assert (there == valid[window]).all()


def test_cells_of_any_size_give_the_same_blocks(monkeypatch):
    from mage.learning.mapping import sight as module

    post, _ = cloud_over(ground(), 340, 300, 180)
    whole = seen(ground(), post)
    monkeypatch.setattr(module, "BLOCK", 37)
    parts = seen(ground(), post)
    assert (whole.cloud == parts.cloud).all()
    assert (whole.seen == parts.seen).all()
