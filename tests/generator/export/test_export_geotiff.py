"""Cloud-optimised GeoTIFFs, read with rasterio and against the layout of their blocks."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import rasterio
from export_cases import samples_by_key, write_rich_dataset
from rasterio.io import MemoryFile

from mage.generator.export.geotiff import Layer, encode_geotiff, levels
from mage.generator.export.run import export_dataset
from mage.scenes.dataset.fields import CLASS_COLOURS, LandClass, label_members
from mage.scenes.dataset.schema import GridRecord
from mage.scenes.errors import DatasetError

GRID = GridRecord(rows=600, columns=600, west=85_000.0, north=447_000.0, gsd=0.5, crs="EPSG:28992")


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("geotiff")
    write_rich_dataset(folder / "dataset")
    export_dataset(folder / "dataset", folder / "out", "geotiff")
    return folder


def directories(data):
    """Offset of each image directory of a TIFF, and of its first block, in the order of the chain."""
    assert data[:4] == b"II*\0"
    found, position = [], struct.unpack_from("<I", data, 4)[0]
    while position:
        count = struct.unpack_from("<H", data, position)[0]
        entries = [struct.unpack_from("<HHI4s", data, position + 2 + 12 * k) for k in range(count)]
        tags = {tag: (kind, n, value) for tag, kind, n, value in entries}
        _, n, value = tags[324]  # TileOffsets
        first = struct.unpack("<I", value)[0]
        found.append((position, struct.unpack_from("<I", data, first)[0] if n > 1 else first))
        position = struct.unpack_from("<I", data, position + 2 + 12 * count)[0]
    return found


def test_every_raster_is_there_pixel_by_pixel_at_its_place(rich):
    for key, sample in samples_by_key(rich / "dataset").items():
        folder = rich / "out" / sample.record.split / key
        for name, raster in (sample.labels | sample.images).items():
            with rasterio.open(folder / f"{name}.tif") as file:
                pixels = file.read()
                wanted = np.moveaxis(raster, -1, 0) if raster.ndim == 3 else raster[None]
                assert np.array_equal(pixels, wanted)
                assert pixels.dtype == raster.dtype
                assert tuple(file.transform)[:6] == (0.5, 0, sample.record.grid.west, 0, -0.5, 32.0)
                crs = sample.record.grid.crs
                assert (file.crs is None) if crs is None else file.crs.to_epsg() == int(crs.partition(":")[2])


def test_what_is_not_known_is_told_apart_and_everything_is_known(rich):
    key = "atown-flood-000000"
    folder, members = rich / "out" / "train" / key, label_members()
    for name, field in members.items():
        with rasterio.open(folder / f"{name}.tif") as file:
            assert file.nodata == (0 if field.name == "class" else {"uint8": 255, "uint16": 65535}[field.dtype])
            assert file.dataset_mask().all()
            assert file.units[0] == field.unit
            assert file.tags()["MAGE_MEANING"] == field.meaning
    with rasterio.open(folder / "pre.tif") as file:
        assert file.nodata is None
        assert file.descriptions == ("red", "green", "blue")
        assert file.tags()["MAGE_KEY"] == key
        assert file.tags()["MAGE_SUN_ELEVATION"] == "60.0"
        assert file.tags()["MAGE_SHIFT_PX"] == "(0.0, 0.0)"


def test_classes_have_their_colours(rich):
    with rasterio.open(rich / "out" / "train" / "atown-flood-000000" / "post_class.tif") as file:
        colours = file.colormap(1)
    assert {k: colours[int(k)][:3] for k in LandClass} == CLASS_COLOURS


def test_bands_of_a_further_sensor_that_share_a_pixel_size_share_a_file(rich):
    sample = samples_by_key(rich / "dataset")["atown-flood-000001"]
    folder = rich / "out" / "train" / "atown-flood-000001"
    for band, gsd in (("red", 1.5), ("red-edge", 3.0)):
        with rasterio.open(folder / f"pre_drawn-2_{gsd:g}m.tif") as file:
            assert file.descriptions == (band,)
            assert np.array_equal(file.read(1), sample.bands[f"pre_drawn-2_{band}"])
            assert (file.transform.a, file.transform.c, file.transform.f) == (gsd, 1000.0, 32.0)
            assert file.nodata == 65535


@pytest.mark.parametrize(("size", "expected"), [(64, []), (256, []), (257, [2]), (600, [2, 4]), (1024, [2, 4])])
def test_large_rasters_are_tiled_with_overviews_down_to_one_block(size, expected):
    raster = np.random.default_rng(0).integers(0, 2, (1, size, size), np.uint8) * 200
    grid = GRID.model_copy(update={"rows": size, "columns": size})
    data = encode_geotiff(raster, grid, Layer(nodata=255, bands=("damage",)))
    with MemoryFile(data) as memory, memory.open() as file:
        assert file.driver == "GTiff"
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"
        assert file.block_shapes == [(256, 256)]
        assert file.overviews(1) == expected
        assert np.array_equal(file.read(), raster)
        if expected:  # of labels no pixel of an overview is a mixture
            seen = file.read(1, out_shape=(size // 2, size // 2))
            assert set(np.unique(seen)) == {0, 200}
    assert levels(size, size) == len(expected)
    chain = directories(data)
    assert [at for at, _ in chain] == sorted(at for at, _ in chain)
    # the whole image's directory comes first, its pixels last: a reader of the head and one overview never seeks back
    assert [block for _, block in chain] == sorted((block for _, block in chain), reverse=True)


def test_a_coordinate_system_that_is_none_is_refused_and_files_are_never_opened_for_it(tmp_path):
    raster = np.zeros((1, 600, 600), np.uint8)
    (tmp_path / "evil.prj").write_text("PROJCS[]")
    for name in (str(tmp_path / "evil.prj"), "EPSG:999999", "+init=epsg:4326", "http://localhost/crs", ""):
        with pytest.raises(DatasetError, match="unknown coordinate system"):
            encode_geotiff(raster, GRID.model_copy(update={"crs": name}), Layer())
