"""Water in images without infrared: by a network of one image, on arrays, in strips and in a product."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import rasterio
import shapely
import torch
from struck import GRID, contents, found, pair, reader, request, write_tif
from torch import nn

from mage.learning import bundled_folder
from mage.learning.mapping.findings import Event, Kind
from mage.learning.mapping.flooding import flooded
from mage.learning.mapping.maps import from_bytes, read_map
from mage.learning.mapping.observed import observe
from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.run import make_map
from mage.learning.mapping.water import WaterModel, open_water, write_water
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

HARVEY = Path(__file__).resolve().parents[4] / "shared" / "data" / "damage" / "xbd_harvey"
WHOLE = (slice(0, GRID.rows), slice(0, GRID.columns))
POND, LAKE = (slice(20, 60), slice(30, 90)), (slice(20, 60), slice(30, 50))  # after; the part that was there before


class Blue(nn.Module):
    """Calls blue above 128 water, sure to 1e-3."""

    dates, bands, classes, heads, temperatures = 1, 3, 2, (), None

    def __init__(self):
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(1))
        self.encoder = SimpleNamespace(strides=(1,))  # looks at each pixel alone

    def forward(self, image):
        wet = torch.where(image[:, 2:] > 0.5, 3.5, -3.5)
        return torch.cat([-wet, wet], 1)


def blue(**about):
    return WaterModel(Blue(), (0.25, 1.0), **about)


def scene(*ponds):
    image = np.full((3, *GRID.shape), 60, np.uint8)
    for rows, columns in ponds:
        image[2, rows, columns] = 200
    return image


def files(folder):
    """A pond that has grown, as files."""
    return [write_tif(folder / f"{date}.tif", scene(pond)) for date, pond in (("pre", LAKE), ("post", POND))]


def box(rows, columns):
    corners = GRID.to_map(np.array([(columns.start, rows.start), (columns.stop, rows.stop)], float))
    return shapely.box(*corners.min(axis=0), *corners.max(axis=0))


def alike(first, second):
    return first.intersection(second).area / first.union(second).area


def read(path):
    with rasterio.open(path) as file:
        return from_bytes(file.read(1))


def valley(wet):
    """Woods at 0.5 m, with a brown river of 50 m if it is ``wet``; where the river is."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:256, :256]
    river = np.abs(columns - 128 - 30 * np.sin(rows / 40)) < 50
    crowns = rng.normal(0, 1, (64, 64)).repeat(4, 0).repeat(4, 1) + rng.normal(0, 0.6, (256, 256))
    image = np.reshape((72.0, 86, 58), (3, 1, 1)) + 16 * crowns
    if wet:
        image = np.where(river, np.reshape((142.0, 124, 96), (3, 1, 1)) + rng.normal(0, 2, (3, 256, 256)), image)
    return image.clip(0, 255).astype(np.uint8), river


def test_the_bundled_model_sees_a_brown_river_and_none_where_there_is_none():
    model = open_water("cpu")
    (wet, river), (dry, _) = valley(True), valley(False)
    seen = model.of(wet, 0.5) >= 0.5
    assert (seen & river).sum() / (seen | river).sum() > 0.7
    assert (model.of(dry, 0.5) >= 0.5).mean() < 0.1


@pytest.mark.skipif(not HARVEY.is_dir(), reason="needs ../shared/data")
def test_the_bundled_model_sees_a_real_river_in_flood_and_little_beside_it():
    model = open_water("cpu")
    for date in ("pre", "post"):
        image = cv2.imread(str(HARVEY / f"00000001_{date}.png"))[..., ::-1]
        wet = model.of(np.ascontiguousarray(image.transpose(2, 0, 1)), 0.5) >= 0.5
        assert 0.03 < wet.mean() < 0.08
        assert wet[:, :512].mean() < wet[:, 512:].mean()  # it bends to the east


def test_it_is_small_and_its_card_says_what_it_learned_from():
    folder, model = bundled_folder("water"), open_water("cpu")
    both = sum(path.stat().st_size for name in ("damage", "water") for path in bundled_folder(name).iterdir())
    assert both < 20 * 2**20
    assert model.card.startswith("---\nlicense: apache-2.0\n")
    for words in ("## Trained on", "## Figures", "## Limits", "## Training recipe", "sim2real", "ImageNet"):
        assert words in model.card
    assert (folder / "recipe.yaml").is_file()
    assert json.loads((folder / "scores.json").read_text())["classes"].keys() == {"dry", "water"}
    assert model.facts["licence"] == "apache-2.0"
    assert model.facts["warning"]
    assert 0.1 < model.gsd[0] <= 0.5 <= model.gsd[1] < 3


def test_pixels_finer_than_it_knows_are_averaged_to_those():
    fine = scene(POND).repeat(5, 1).repeat(5, 2)
    fine += np.random.default_rng(0).integers(0, 20, fine.shape).astype(np.uint8)
    said = blue().of(fine, 0.05)
    assert said.shape == fine.shape[1:]
    inside = np.zeros(GRID.shape, bool)
    inside[POND] = True
    assert ((said >= 0.5) == inside.repeat(5, 0).repeat(5, 1)).mean() > 0.99
    chequered = (np.indices((40, 40)).sum(0) % 2 * 200).astype(np.uint8)  # no pixel that it knows is blue
    assert (blue().of(np.stack([chequered] * 3), 0.125) < 0.5).all()


@pytest.mark.parametrize("image", [np.zeros((3, 8, 8)), np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint8)])
def test_other_arrays_are_one_error(image):
    with pytest.raises(DatasetError, match="no image of red, green and blue"):
        blue().of(image, 0.5)


def test_a_scene_in_strips_is_that_at_once(tmp_path):
    grid = Grid(150, 190, 0, 75, 0.5)
    image = np.random.default_rng(1).integers(0, 255, (3, *grid.shape), np.uint8)
    path = write_water(tmp_path / "w.tif", blue(), ArrayPicture(image, grid), {}, window=64, overlap=8)
    np.testing.assert_allclose(read(path), blue().of(image, 0.5), atol=0.003)
    model, river = open_water("cpu"), ArrayPicture(valley(True)[0], Grid(256, 256, 0, 128, 0.5))
    path = write_water(tmp_path / "river.tif", model, river, {}, window=160, overlap=48)
    assert np.abs(read(path) - model.of(river.image, 0.5)).mean() < 0.02


def test_flood_is_water_now_and_none_before_and_all_water_where_before_is_not_known(tmp_path):
    known = np.ones(GRID.shape, bool)
    known[:, 40:] = False
    pictures = ArrayPicture(scene(LAKE), GRID, known), ArrayPicture(scene(POND), GRID)
    before, after = (
        read_map(write_water(tmp_path / f"{k}.tif", blue(), picture, {}), "water", GRID)
        for k, picture in enumerate(pictures)
    )
    flood = flooded(before, after)(WHOLE)
    wet = np.zeros(GRID.shape, bool)
    wet[POND] = True
    new = wet.copy()
    new[:, :40] &= False
    assert ((flood >= 0.5) == new).all()
    assert ((flooded(None, after)(WHOLE) >= 0.5) == wet).all()


def test_nothing_tells_water_without_infrared_and_without_a_map_of_it(tmp_path):
    post = ArrayPicture(scene(POND), GRID)
    with pytest.raises(DatasetError, match="nothing tells where water is in the image after"):
        observe(Event(Kind.FLOOD), None, post, None, GRID, tmp_path)
    other = Grid(9, 9, 0, 90, 1)
    small = write_water(tmp_path / "small.tif", blue(), ArrayPicture(np.zeros((3, 9, 9), np.uint8), other), {})
    with pytest.raises(DatasetError, match="not of this scene"):
        observe(Event(Kind.FLOOD), None, post, None, GRID, tmp_path, water={"after": small})


def test_a_product_holds_the_water_of_both_images_and_says_who_saw_it(tmp_path):
    pre, post = files(tmp_path)
    asked = request(post, pre, kind=Kind.FLOOD)
    model = blue(facts={"name": "blue"}, card="# Blue\n")
    findings = make_map(asked, tmp_path / "product", reader(), water=model)
    (extent,) = findings.observed.extents
    grown = box(*POND).difference(box(*LAKE))
    assert alike(shapely.union_all(extent.outline), grown) > 0.95
    told = json.loads((tmp_path / "product" / "provenance.json").read_text())
    assert told["water_model"] == {"name": "blue"}
    kept = {"water_before.tif", "water_before.qml", "water_after.tif", "water_model_card.md", "flood.tif"}
    assert kept <= told["files"].keys()
    assert "Where water is" in (tmp_path / "product" / "report.html").read_text()
    first = contents(tmp_path / "product")
    make_map(asked, tmp_path / "product", reader(), water=model)
    assert contents(tmp_path / "product") == first


def test_an_image_after_alone_needs_no_model_of_buildings(tmp_path):
    _, post = files(tmp_path)
    findings = found(request(post, kind=Kind.FLOOD), tmp_path / "product", None, water=blue())
    assert alike(shapely.union_all(findings.observed.extents[0].outline), box(*POND)) > 0.95
    assert set(findings.rasters) == {"water_after"}


def test_a_model_that_knows_floods_goes_first(tmp_path):
    pre, post = pair(tmp_path)
    wet = found(request(post, pre, kind=Kind.FLOOD), tmp_path / "product", reader(heads=("flood",)), water=blue())
    assert not any(name.startswith("water") for name in wet.rasters)
    assert not wet.water
    dry = found(request(post, pre, kind=Kind.WIND), tmp_path / "other", reader(), water=blue())
    assert not dry.water


def test_pixels_coarser_than_it_knows_are_told_of(tmp_path):
    coarse = GRID.moved(0, 0, GRID.crs)
    coarse = Grid(coarse.rows, coarse.columns, coarse.west, coarse.north, 10.0, coarse.crs)
    post, told = write_tif(tmp_path / "post.tif", scene(POND), coarse), []
    found(request(post, kind=Kind.FLOOD), tmp_path / "product", None, water=blue(), tell=told.append)
    assert any("coarser than the model of water knows" in words for words in told)
