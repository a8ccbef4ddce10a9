"""Maps as files: cloud-optimised, the same however often a run was interrupted, whole or not there."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mage.learning.mapping.maps import blocks, from_bytes, to_bytes, write_cog, write_probabilities
from mage.learning.mapping.picture import ArrayPicture
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

GRID = Grid(150, 90, 500_000, 5_800_000, 0.5, "EPSG:32631")
NAMES = ("no building", "no damage")


def scene():
    image = np.random.default_rng(0).integers(0, 256, (3, *GRID.shape)).astype(np.uint8)
    valid = np.ones(GRID.shape, bool)
    valid[40:60, 20:50] = False
    return ArrayPicture(image, GRID, valid)


def model(images):
    p = images[0, :1].astype(np.float32) / 255
    return np.concatenate([1 - p, p])


def written(path, forward=model, identity=None):
    return write_probabilities(path, forward, [scene()], NAMES, identity or {"model": "m"}, window=40, overlap=8)


@given(arrays(np.float32, 7, elements=st.floats(0, 1, width=32) | st.just(np.nan)))
def test_probabilities_keep_to_half_a_step(p):
    back = from_bytes(to_bytes(p))
    assert (np.isnan(back) == np.isnan(p)).all()
    assert np.nan_to_num(np.abs(back - p)).max() <= 0.5 / 250 + 1e-6


def test_a_scene_becomes_a_georeferenced_file_with_a_band_for_each_map(tmp_path):
    path = written(tmp_path / "p.tif")
    with rasterio.open(path) as file:
        assert file.descriptions == NAMES
        assert file.crs.to_epsg() == 32631
        assert tuple(file.transform)[:6] == GRID.transform
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        values = from_bytes(file.read())
    expected = model(scene().image[None])
    expected[:, ~scene().valid] = np.nan
    np.testing.assert_allclose(values, expected, atol=0.0021)
    assert [entry.name for entry in tmp_path.iterdir()] == ["p.tif"]


class StoppedError(Exception):
    pass


def stopping(after):
    calls = 0

    def forward(images):
        nonlocal calls
        calls += 1
        if calls > after:
            raise StoppedError
        return model(images)

    return forward


def test_an_interrupted_run_goes_on_and_ends_in_the_same_bytes(tmp_path):
    whole = written(tmp_path / "whole.tif").read_bytes()
    with pytest.raises(StoppedError):
        written(tmp_path / "p.tif", stopping(7))
    kept = sorted((tmp_path / "p.tif.parts").glob("*.bin"))
    assert kept
    assert not (tmp_path / "p.tif").exists()
    asked = []

    def counted(images):
        asked.append(1)
        return model(images)

    assert written(tmp_path / "p.tif", counted).read_bytes() == whole
    assert len(asked) < 15  # of 5 rows of 3 windows


def test_another_model_does_not_go_on_with_the_strips_of_the_first(tmp_path):
    with pytest.raises(StoppedError):
        written(tmp_path / "p.tif", stopping(7))
    other = written(tmp_path / "p.tif", lambda images: np.ones((2, *images.shape[2:]), np.float32), {"model": "other"})
    with rasterio.open(other) as file:
        assert set(np.unique(file.read())) == {250, 255}


def test_what_cannot_be_written_is_one_clear_error_and_leaves_nothing(tmp_path):
    with pytest.raises(DatasetError, match="cannot be written"):
        write_cog(tmp_path / "no such folder" / "x.tif", GRID, 1, "uint8", 255, lambda file: None)

    def broken(file):
        raise OSError("disk full")

    with pytest.raises(DatasetError, match="disk full"):
        write_cog(tmp_path / "x.tif", GRID, 1, "uint8", 255, broken)
    assert not list(tmp_path.iterdir())


def test_blocks_cover_a_raster_once(tmp_path):
    path = written(tmp_path / "p.tif")
    count = np.zeros(GRID.shape, int)
    with rasterio.open(path) as file:
        whole = file.read()
    for (rows, columns), values in blocks(path):
        count[rows, columns] += 1
        assert (values == whole[:, rows, columns]).all()
    assert (count == 1).all()
