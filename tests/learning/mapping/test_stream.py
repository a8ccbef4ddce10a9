"""Scenes in windows: what comes out is what the whole scene at once would give, wherever a run begins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.stream import stream, strips_of
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.grid import Grid


def scene(rows, columns, seed=0, valid=None):
    image = np.random.default_rng(seed).integers(0, 256, (3, rows, columns)).astype(np.uint8)
    return ArrayPicture(image, Grid(rows, columns, 0, rows, 1), valid)


def by_pixel(images):
    """A network of 1 x 1: two maps of all dates and bands of a pixel."""
    flat = images.astype(np.float32).reshape(-1, *images.shape[2:]) / 255
    weights = np.linspace(-1, 1, 2 * len(flat), dtype=np.float32).reshape(2, -1)
    return 1 / (1 + np.exp(-np.tensordot(weights, flat, 1)))


def together(strips):
    return np.concatenate([strip.maps for strip in strips], 1)


@settings(max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(17, 64), st.integers(0, 4), st.sampled_from([1, 4, 9]))
def test_a_network_of_one_pixel_gives_the_same_in_windows_and_at_once(rows, columns, window, half, stride):
    pictures = [scene(rows, columns, 1), scene(rows, columns, 2)]
    whole = by_pixel(np.stack([picture.image for picture in pictures]))
    found = together(stream(by_pixel, pictures, window=window, overlap=2 * half, stride=stride))
    np.testing.assert_allclose(found, whole, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(16, 64), st.integers(0, 3), st.sampled_from([1, 4, 8]))
def test_strips_cover_the_scene_once(rows, window, half, stride):
    strips = strips_of(Grid(rows, 5, 0, rows, 1), window, 2 * half, stride)
    assert [row for strip in strips for row in range(strip.start, strip.stop)] == list(range(rows))


@pytest.mark.parametrize("rows", [897, 930, 959, 960, 961])
def test_scenes_a_little_larger_than_a_window_come_out_once(rows):
    """Two rows of windows that both begin above the scene make one strip."""
    picture = scene(rows, 3)
    strips = list(stream(by_pixel, [picture], window=1024, overlap=128))
    assert [strip.rows for strip in strips] == strips_of(picture.grid, 1024, 128)
    assert all(strip.maps.shape[1] == strip.rows.stop - strip.rows.start > 0 for strip in strips)
    np.testing.assert_allclose(together(strips), by_pixel(picture.image[None]), atol=1e-6)


@pytest.mark.parametrize("first", [0, 1, 2, 3])
def test_a_run_that_begins_later_gives_the_same_to_the_bit(first):
    def neighbours(images):  # not by pixel: windows matter
        return images[0, :1].astype(np.float32).cumsum(1).cumsum(2)

    picture = scene(100, 40)
    strips = list(stream(neighbours, [picture], window=40, overlap=12))
    again = list(stream(neighbours, [picture], window=40, overlap=12, first=first))
    assert len(strips) == len(strips_of(picture.grid, 40, 12)) > 3
    assert len(again) == len(strips) - first
    for one, other in zip(strips[first:], again, strict=True):
        assert one.rows == other.rows
        assert (one.maps == other.maps).all()


@pytest.mark.parametrize("side", [97, 100, 128, 131])
def test_a_network_of_blocks_gives_the_same_in_windows_that_begin_at_its_stride(side):
    """Means over blocks of 8 pixels, which windows that begin elsewhere cut differently."""

    def blocks(images):
        rows, columns = images.shape[2:]
        image = np.pad(images[0, 0].astype(np.float32), [(0, -rows % 8), (0, -columns % 8)], mode="symmetric")
        means = image.reshape(image.shape[0] // 8, 8, -1, 8).mean((1, 3))
        return means.repeat(8, 0).repeat(8, 1)[None, :rows, :columns]

    picture = scene(side, side)
    whole = blocks(picture.image[None])
    inner = side // 8 * 8  # blocks that the border cuts see it mirrored
    found = together(stream(blocks, [picture], window=40, overlap=12, stride=8))
    np.testing.assert_allclose(found[:, :inner, :inner], whole[:, :inner, :inner], atol=1e-3)
    anywhere = together(stream(blocks, [picture], window=40, overlap=12))
    assert np.abs(anywhere - whole).max() > 1


def test_a_window_that_holds_no_stride_beyond_the_overlap_is_refused():
    with pytest.raises(ModelError, match="52 pixels or more"):
        next(stream(by_pixel, [scene(90, 90)], window=48, overlap=20, stride=32))


def test_what_is_no_data_at_one_date_is_not_known():
    valid = np.ones((50, 60), bool)
    valid[10:20, 30:] = False
    maps = together(stream(by_pixel, [scene(50, 60), scene(50, 60, 1, valid)], window=32, overlap=8))
    assert (np.isnan(maps) == ~valid).all()


def test_windows_fade_into_each_other():
    """A model that says how far left in its window a pixel lies jumps by a window at hard seams; here it glides."""

    def place(images):
        return np.broadcast_to(np.arange(images.shape[3], dtype=np.float32), (1, *images.shape[2:]))

    maps = together(stream(place, [scene(40, 400)], window=64, overlap=30))
    assert np.abs(np.diff(maps[0, 20])).max() < 64 * np.pi / 2 / 30 * 1.2  # the steepest of a cosine over 30 pixels


def test_the_border_is_seen_amid_its_mirror_image():
    shapes = []

    def watched(images):
        shapes.append(images.shape)
        return images[0, :1].astype(np.float32)

    picture = scene(20, 30)
    np.testing.assert_allclose(
        together(stream(watched, [picture], window=64, overlap=10)), picture.image[:1], rtol=1e-6
    )
    assert shapes == [(1, 3, 30, 40)]


def test_memory_is_that_of_two_rows_of_windows():
    """Only windows of two rows are asked for between two strips."""
    asked = []

    class Watched(ArrayPicture):
        def read(self, window):
            asked.append(window[0].start)
            return ArrayPicture.read(self, window)

    base = scene(300, 50)
    strips = stream(by_pixel, [Watched(base.image, base.grid)], window=64, overlap=16)
    next(strips)
    assert max(asked) == 0
    next(strips)
    assert max(asked) < 64


@pytest.mark.parametrize(("window", "overlap"), [(32, 7), (32, 16), (32, -2)])
def test_windows_and_overlaps_that_do_not_go_together_are_refused(window, overlap):
    with pytest.raises(ModelError, match="overlap"):
        next(stream(by_pixel, [scene(9, 9)], window=window, overlap=overlap))


def test_pictures_on_different_grids_are_refused():
    with pytest.raises(DatasetError, match="one grid"):
        next(stream(by_pixel, [scene(9, 9), scene(9, 8)]))
    with pytest.raises(DatasetError, match="one grid"):
        next(stream(by_pixel, []))


def test_a_model_whose_maps_do_not_fit_is_refused():
    with pytest.raises(ModelError, match="another size"):
        next(stream(lambda images: images[0, :, ::2].astype(np.float32), [scene(9, 9)]))
