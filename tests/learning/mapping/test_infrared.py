"""Infrared in a map: which bands are which, on one scale, and what they tell that colours do not."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely
from struck import GRID, found, pair, reader, request, write_tif

from mage.learning.mapping.bands import FULL, named_bands, reflectance_limits
from mage.learning.mapping.findings import Kind
from mage.learning.rasters import Raster
from mage.scenes.errors import DatasetError, ModelError

POND = (slice(20, 60), slice(30, 90))  # rows and columns
DRY, WET = 3000, 300  # near infrared of ground and of water, as of a reflectance of 1 at 10000
COLOURS = (900, 800, 700)  # red, green and blue of both, so that only infrared tells them apart


def scene(path, wet=True, *, names=("blue", "green", "red", "nir"), scale=1e-4, dtype="uint16"):
    """A plain with a pond of muddy water; bands in the order of their names."""
    values = {**dict(zip(("red", "green", "blue"), COLOURS, strict=True)), "nir": DRY, "swir": 1000}
    image = np.stack([np.full(GRID.shape, values.get(name, 500), dtype) for name in names])
    if wet:
        image[names.index("nir")][POND] = WET
    write_tif(path, image)
    with rasterio.open(path, "r+") as file:
        file.descriptions = names
        if scale is not None:
            file.scales = [scale] * len(names)
    return path


def flooded(folder, *, pre=None, post, told=None, **options):
    """The flood's outlines as one geometry."""
    how = {} if told is None else {"tell": told.append}
    asked = request(post, pre, kind=Kind.FLOOD, **options)
    (extent,) = found(asked, folder / "product", None, **how).observed.extents
    return shapely.union_all(extent.outline)


def pond():
    rows, columns = POND
    corners = GRID.to_map(np.array([(columns.start, rows.start), (columns.stop, rows.stop)], float))
    return shapely.box(*corners.min(axis=0), *corners.max(axis=0))


def alike(first, second):
    return first.intersection(second).area / first.union(second).area


def test_water_that_colours_do_not_tell_is_told_by_infrared_that_the_files_name(tmp_path):
    pre, post = scene(tmp_path / "pre.tif", wet=False), scene(tmp_path / "post.tif")
    assert alike(flooded(tmp_path, pre=pre, post=post), pond()) > 0.98
    assert alike(flooded(tmp_path / "alone", post=post), pond()) > 0.98


def test_water_that_was_there_before_is_no_flood_by_infrared(tmp_path):
    both = scene(tmp_path / "pre.tif"), scene(tmp_path / "post.tif")
    assert flooded(tmp_path, pre=both[0], post=both[1]).is_empty


def test_bands_without_names_or_scales_are_stated(tmp_path):
    plain = {"names": ("a", "b", "c", "nir"), "scale": None}
    pre, post = scene(tmp_path / "pre.tif", wet=False, **plain), scene(tmp_path / "post.tif", **plain)
    for path in (pre, post):
        with rasterio.open(path, "r+") as file:
            values = file.read()
            values[1] = COLOURS[1]
            file.write(values)
            file.descriptions = ("", "", "", "")
    named = {"red": 3, "green": 2, "blue": 1, "nir": 4}
    covered = flooded(tmp_path, pre=pre, post=post, named=named, reflectance=10000.0)
    assert alike(covered, pond()) > 0.98


def test_infrared_that_nobody_scales_is_told_of_where_the_file_names_it_and_refused_where_the_user_does(tmp_path):
    pre, post = (scene(tmp_path / f"{date}.tif", wet=date == "post", scale=None) for date in ("pre", "post"))
    told: list[str] = []
    flooded(tmp_path, pre=pre, post=post, told=told)
    assert any("reflectance of 1" in words for words in told)
    with pytest.raises(DatasetError, match="reflectance of 1"):
        flooded(tmp_path, pre=pre, post=post, named={"green": 2, "nir": 4})


def test_an_image_before_without_infrared_leaves_it_to_colours_and_says_so(tmp_path):
    pre, _ = pair(tmp_path)
    told: list[str] = []
    flooded(tmp_path, pre=pre, post=scene(tmp_path / "four.tif"), told=told, named={"green": 2, "nir": 4})
    assert any("has not the infrared bands" in words for words in told)


def test_the_severity_of_a_fire_is_that_of_the_burn_ratios_of_both_images(tmp_path):
    names = ("red", "green", "blue", "nir", "swir")
    pre = scene(tmp_path / "pre.tif", wet=False, names=names)
    post = scene(tmp_path / "post.tif", wet=True, names=names)  # near infrared 3000 → 300 beside 1000: dNBR 1.04
    seen = found(request(post, pre, kind=Kind.FIRE), tmp_path / "product", None).observed
    (extent,) = seen.extents
    assert alike(shapely.union_all(extent.outline), pond()) > 0.98
    np.testing.assert_allclose(extent.value, 1.0, atol=0.02)


def test_named_colours_are_what_a_model_is_shown(tmp_path):
    pre, post = pair(tmp_path)
    usual = found(request(post, pre), tmp_path / "usual", reader()).buildings
    for name, path in (("a", pre), ("b", post)):
        with rasterio.open(path) as file:
            write_tif(tmp_path / f"{name}.tif", file.read()[::-1])
    swapped = request(tmp_path / "b.tif", tmp_path / "a.tif", named={"red": 3, "green": 2, "blue": 1})
    assert found(swapped, tmp_path / "swapped", reader()).buildings.verdict.tolist() == usual.verdict.tolist()


def test_a_model_of_other_bands_than_are_named_is_refused(tmp_path):
    pre, post = scene(tmp_path / "pre.tif"), scene(tmp_path / "post.tif")
    model = reader()
    model.network.bands = 5
    with pytest.raises(ModelError, match="another number of bands"):
        found(request(post, pre, named={"red": 3, "green": 2, "blue": 1, "nir": 4}), tmp_path / "p", model)


def test_descriptions_go_before_a_colour_interpretation_that_software_sets_by_itself(tmp_path):
    write_tif(tmp_path / "a.tif", np.zeros((4, *GRID.shape), np.uint8), photometric="RGB")
    assert named_bands(Raster(tmp_path / "a.tif"), {}) == {"red": 1, "green": 2, "blue": 3}
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.descriptions = ("Blue", "Green", "Red", "Near-Infrared")
    assert named_bands(Raster(tmp_path / "a.tif"), {}) == {"blue": 1, "green": 2, "red": 3, "nir": 4}
    assert named_bands(Raster(tmp_path / "a.tif"), {"nir": 1})["nir"] == 1


def test_bytes_are_taken_as_they_are_and_offsets_of_files_count(tmp_path):
    write_tif(tmp_path / "bytes.tif", np.zeros((4, *GRID.shape), np.uint8))
    assert reflectance_limits(Raster(tmp_path / "bytes.tif"), [2, 4], None) is None
    path = scene(tmp_path / "words.tif")
    np.testing.assert_allclose(reflectance_limits(Raster(path), [2, 4], None), [[0, FULL * 1e4]] * 2)
    with rasterio.open(path, "r+") as file:
        file.offsets = [-0.1] * 4
    np.testing.assert_allclose(reflectance_limits(Raster(path), [2], None), [[1000, 6000]])
    np.testing.assert_allclose(reflectance_limits(Raster(path), [2], 255.0), [[0, FULL * 255]])


@pytest.mark.long
def test_water_of_a_real_flood_is_told_by_sentinels_infrared(shared_data, tmp_path):
    place, label = (shared_data / "flood" / f"sen1floods11_spain_{kind}.tif" for kind in ("s2", "label"))
    named = {"red": 4, "green": 3, "blue": 2, "nir": 8}
    seen = found(request(place, kind=Kind.FLOOD, named=named, reflectance=1e4), tmp_path / "product", None)
    (extent,) = seen.observed.extents
    with rasterio.open(label) as file:
        truth = Raster(label).read((slice(0, file.height), slice(0, file.width)), (1,))[0][0] == 1
        share = file.width * file.height
    covered = shapely.union_all(extent.outline).area / seen.area.area
    assert 0.5 < covered / (truth.sum() / share) < 1.5
