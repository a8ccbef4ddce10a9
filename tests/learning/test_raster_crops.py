"""Crops of rasters of any size, alone and in pairs."""

from __future__ import annotations

import multiprocessing
import pickle
import zlib

import cv2
import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from torch.utils.data import DataLoader

from mage.learning import EpochSampler, RasterCrops, RasterPairs
from mage.learning.raster_crops import undated
from mage.learning.rasters import Raster, percentiles, to_uint8
from mage.learning.sampling import Draw
from mage.scenes.errors import DatasetError


def write(path, values, west=0.0, crs="EPSG:32631", **profile):
    bands, rows, columns = values.shape
    shape = {"count": bands, "height": rows, "width": columns, "dtype": values.dtype}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", crs=crs, transform=Affine(2, 0, west, 0, -2, 9000), **shape, **profile
    ) as file:
        file.write(values)
    return values


def noise(*shape, dtype=np.uint8, high=255):
    return np.random.default_rng(0).integers(1, high, shape).astype(dtype)


def test_crops_are_windows_of_the_raster_and_cover_it_by_plain_indices(tmp_path):
    values = write(tmp_path / "a.tif", noise(3, 70, 100))
    crops = RasterCrops(tmp_path, size=32)
    assert len(crops) == 2 * 3
    assert (crops[4]["image"].numpy() == values[:, 32:64, 32:64]).all()
    assert torch.equal(crops[-1]["image"], crops[5]["image"])
    for epoch in range(20):
        sample = crops[Draw(0, 7, epoch)]
        row, column = map(int, sample["key"].rpartition("@")[2].split(","))
        assert (sample["image"].numpy() == values[:, row : row + 32, column : column + 32]).all()
    assert len({crops[Draw(0, 7, epoch)]["key"] for epoch in range(20)}) > 10
    with pytest.raises(IndexError):
        crops[6]


def test_a_small_raster_is_mirrored(tmp_path):
    values = write(tmp_path / "a.tif", noise(1, 20, 10))
    image = RasterCrops(tmp_path / "a.tif", size=24)[0]["image"].numpy()
    assert image.shape == (1, 24, 24)
    assert (image[:, :20, :10] == values).all()
    assert (image[:, :20, 10:20] == values[..., ::-1]).all()


@pytest.mark.parametrize("hole", ["nodata", "alpha", "nan"])
def test_crops_without_data_are_not_drawn(tmp_path, hole):
    values = noise(1, 256, 256).astype(np.float32)
    values[:, :, 40:] = np.nan if hole == "nan" else 0
    if hole == "alpha":
        alpha = np.where(values > 0, 255, 0)
        write(
            tmp_path / "a.tif",
            np.concatenate([np.repeat(values, 3, axis=0), alpha]).astype(np.uint8),
            photometric="rgb",
            alpha="yes",
        )
    else:
        write(tmp_path / "a.tif", values, nodata=0 if hole == "nodata" else None)
    crops = RasterCrops(tmp_path, size=32, limits=None if hole == "alpha" else (0, 255), valid=0.9)
    assert crops[0]["image"].shape[0] == (3 if hole == "alpha" else 1)
    for index in (7, *(Draw(k, 0, 0) for k in range(6))):
        assert (crops[index]["image"] > 0).float().mean() >= 0.9


def test_a_raster_of_which_nothing_is_data_is_an_error_that_names_it(tmp_path):
    write(tmp_path / "a.tif", np.zeros((1, 64, 64), np.uint8), nodata=0)
    with pytest.raises(DatasetError, match=r"a.tif: no crop of 32 px was found that is data to 75%"):
        RasterCrops(tmp_path, size=32)[0]
    write(tmp_path / "b.tif", np.zeros((1, 64, 64), np.uint16), nodata=0)
    with pytest.raises(DatasetError, match=r"b.tif: holds no data"):
        RasterCrops(tmp_path / "b.tif", size=32)


def test_values_of_16_bits_become_bytes_between_percentiles_of_each_band_or_given_limits(tmp_path):
    values = write(
        tmp_path / "a.tif",
        np.stack([noise(64, 64, dtype=np.uint16, high=4000), noise(64, 64, dtype=np.uint16, high=90)]),
    )
    image = RasterCrops(tmp_path, size=64)[0]["image"].numpy().astype(float)
    for band, plane in zip(values, image, strict=True):
        low, high = np.percentile(band, (2, 98))
        assert np.abs(plane - np.clip((band - low) / (high - low) * 255, 0, 255)).max() <= 0.51
    fixed = RasterCrops(tmp_path, size=64, limits=(0, 4000), bands=(2, 1))[0]["image"].numpy()
    assert np.abs(fixed[1] - values[0] * (255 / 4000)).max() <= 0.51


def test_percentiles_of_a_large_raster_are_looked_for_in_patches(tmp_path):
    write(
        tmp_path / "a.tif", noise(1, 2100, 2100, dtype=np.uint16, high=1000), tiled=True, blockxsize=128, blockysize=128
    )
    ((low, high),) = percentiles(Raster(tmp_path / "a.tif"), (1,))
    assert low == pytest.approx(20, abs=2)
    assert high == pytest.approx(980, abs=2)


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20),
    st.floats(-1e4, 1e4, width=32),
    st.floats(1, 1e4, width=32),
)
@settings(max_examples=50)
def test_bytes_rise_with_values_and_stay_in_range(values, low, span):
    ordered = np.sort(np.array([values], np.float32))
    found = to_uint8(ordered, np.array([[low, low + span]])).astype(int)
    assert (np.diff(found) >= 0).all()
    assert (found[ordered <= low] == 0).all()
    assert (found[ordered >= low + span + 1] == 255).all()


def test_pairs_are_the_same_window_before_and_after(tmp_path):
    pre, post = write(tmp_path / "pre.tif", noise(3, 64, 64)), write(tmp_path / "post.tif", 255 - noise(3, 64, 64))
    pairs = RasterPairs(tmp_path / "pre.tif", tmp_path / "post.tif", size=16)
    for index in (3, Draw(3, 1, 1)):
        sample = pairs[index]
        row, column = map(int, sample["key"].rpartition("@")[2].split(","))
        window = (slice(None), slice(row, row + 16), slice(column, column + 16))
        assert (sample["image"].numpy() == np.stack([pre[window], post[window]])).all()


def test_a_pair_is_data_where_both_are(tmp_path):
    half = noise(1, 64, 64)
    for name, hole in (("pre", np.s_[:, :, :32]), ("post", np.s_[:, :32])):
        values = half.copy()
        values[hole] = 0
        write(tmp_path / f"{name}.tif", values, nodata=0)
    pairs = RasterPairs(tmp_path / "pre.tif", tmp_path / "post.tif", size=16, valid=1)
    for epoch in range(4):
        row, column = map(int, pairs[Draw(0, 0, epoch)]["key"].rpartition("@")[2].split(","))
        assert row >= 32
        assert column >= 32


def test_folders_of_pairs_are_joined_by_name(tmp_path):
    for date in ("pre", "post"):
        for name in (f"harvey_1_{date}_disaster", f"ida_{date}"):
            (tmp_path / date).mkdir(exist_ok=True)
            assert cv2.imwrite(str(tmp_path / date / f"{name}.png"), np.full((16, 16, 3), len(name), np.uint8))
    pairs = RasterPairs(tmp_path / "pre", tmp_path / "post", size=16)
    assert [pairs[k]["image"].flatten(1)[:, 0].tolist() for k in range(2)] == [[21, 22], [7, 8]]
    (tmp_path / "post" / "ida_post.png").rename(tmp_path / "post" / "irma_post.png")
    with pytest.raises(DatasetError, match="has no partner in the other folder; found i"):
        RasterPairs(tmp_path / "pre", tmp_path / "post", size=16)
    with pytest.raises(DatasetError, match="no pairs; expected 2 rasters after; found 1"):
        RasterPairs(tmp_path / "pre", [tmp_path / "post" / "irma_post.png"], size=16)
    assert undated("a/premier_pre_1.tif") == "a/premier_1"


def test_rasters_that_are_not_on_one_grid_are_no_pair(tmp_path):
    write(tmp_path / "pre.tif", noise(1, 32, 32))
    for odd in ({"west": 9.0}, {"crs": "EPSG:32632"}):
        write(tmp_path / "post.tif", noise(1, 32, 32), **odd)
        with pytest.raises(DatasetError, match=r"post.tif: not on the grid of the raster before"):
            RasterPairs(tmp_path / "pre.tif", tmp_path / "post.tif", size=16)


def png_of(width, height):
    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


VRT = b'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand dataType="Byte"/></VRTDataset>'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"II*\0",
        b"II*\0" + bytes(60),
        b"MM\0*" + b"\xff" * 60,
        VRT,
        b"\x89PNG",
        png_of(1 << 20, 1 << 20),
        b"\xff\xd8\xff\xe0",
    ],
)
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_file_that_is_no_raster_is_an_error_that_names_it(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=name):
        RasterCrops(tmp_path / name, size=16)[0]


def test_what_is_no_file_and_no_url_is_an_error(tmp_path):
    for odd in (
        "/vsicurl/http://127.0.0.1:9/a.tif",
        "s3://bucket/a.tif",
        str(tmp_path / "none.tif"),
        "GTIFF_DIR:1:a.tif",
    ):
        with pytest.raises(DatasetError, match=r"no such raster|holds no rasters"):
            RasterCrops([odd], size=16)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no rasters"):
        RasterCrops(tmp_path / "empty", size=16)
    with pytest.raises(DatasetError, match="there is no raster"):
        RasterCrops([], size=16)


def test_wrong_arguments_are_errors(tmp_path):
    write(tmp_path / "a.tif", noise(2, 32, 32))
    write(tmp_path / "b.tif", noise(3, 32, 32))
    for arguments, complaint in (
        ({"size": 0}, "cannot have this size"),
        ({"size": 8, "valid": 0}, "no share of a crop"),
        ({"size": 8, "bands": (4,)}, "has no such band; expected 1-2"),
        ({"size": 8, "bands": (1,), "limits": (3, 3)}, "no limits"),
        ({"size": 8}, "differs in bands from the first raster"),
    ):
        with pytest.raises(DatasetError, match=complaint):
            RasterCrops(tmp_path, **arguments)


def test_worker_processes_read_the_same_crops(tmp_path):
    write(tmp_path / "a.tif", noise(3, 128, 128))
    crops = RasterCrops(tmp_path, size=16)
    assert crops[0]["image"].shape == (3, 16, 16)
    order = EpochSampler(len(crops), batch=4, stop=3)
    here = [[crops[index]["key"] for index in batch] for batch in EpochSampler(len(crops), batch=4, stop=3)]
    context = multiprocessing.get_context("fork")
    loader = DataLoader(crops, batch_sampler=order, num_workers=1, multiprocessing_context=context)
    assert [batch["key"] for batch in loader] == here
    assert pickle.loads(pickle.dumps(crops))[5]["key"] == crops[5]["key"]


def test_real_imagery_of_many_kinds_is_read(shared_data):
    folder = shared_data / "unlabelled"
    for name, bands in (
        ("bali_drone.tif", 3),
        ("hls_texas_10band.tif", 10),
        ("spacenet6_rotterdam/pan1.tif", 1),
        ("neon_osbs.tif", 3),
    ):
        image = RasterCrops(folder / name, size=64)[Draw(0, 0, 0)]["image"]
        assert image.shape == (bands, 64, 64)
        assert image.dtype == torch.uint8
        assert image.float().std() > 5
    joplin = [shared_data / "damage" / "joplin" / f"joplin_tornado_{date}_0.6m.tif" for date in ("pre", "post")]
    pairs = RasterPairs(*joplin, size=128)
    assert len(pairs) == (1594 // 128) * (1947 // 128)
    before, after = pairs[90]["image"].float()
    assert np.corrcoef(before.flatten(), after.flatten())[0, 1] > 0
