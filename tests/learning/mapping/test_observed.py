"""What images show of an event: flood and depth, burnt ground, rubble."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely

from mage.learning.mapping.burnt import severity
from mage.learning.mapping.debris import BESIDE, rubble
from mage.learning.mapping.findings import Buildings, Event, Kind
from mage.learning.mapping.flooding import by_infrared
from mage.learning.mapping.likeness import RGB, ROWS
from mage.learning.mapping.maps import UNKNOWN, from_bytes, to_bytes, write_cog
from mage.learning.mapping.observed import observe
from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.water_depth import GROUND, depth_of, water_surface
from mage.scenes.errors import DatasetError, MageError
from mage.scenes.grid import Grid
from mage.scenes.terrain import Terrain

GRID = Grid(80, 120, 500_000, 5_300_000, 1.0, "EPSG:32633")
INFRARED = (*RGB, "nir", "swir")


def picture(image, grid=GRID, valid=None):
    return ArrayPicture(np.asarray(image, np.uint8), grid, valid)


def reflectances(wet=None, burnt=None, grid=GRID):
    """Five bands of a meadow, with water or char."""
    image = np.ones((5, *grid.shape), np.uint8) * np.array([40, 60, 40, 160, 60], np.uint8)[:, None, None]
    if wet is not None:
        image[:, wet] = np.array([60, 70, 50, 20, 8], np.uint8)[:, None]
    if burnt is not None:
        image[:, burnt] = np.array([40, 40, 40, 60, 120], np.uint8)[:, None]
    return image


def valley(grid):
    """Ground that rises by 0.05 m a metre on both sides of the middle column, and the distance from it."""
    x, _ = grid.centres()
    off = np.abs(x - x.mean())[None].repeat(grid.rows, 0)
    return 0.05 * off, off


def written(path, grid, values, dtype="float32"):
    with rasterio.open(
        path, "w", driver="GTiff", width=grid.columns, height=grid.rows, count=1, dtype=dtype, crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
    ) as file:  # fmt: skip
        file.write(values.astype(dtype), 1)
    return path


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def buildings(outlines, grades):
    count = len(outlines)
    words = np.array([""] * count)
    return Buildings(
        np.array([str(k) for k in range(count)]), np.array(outlines, object), words, words, np.ones(count),
        np.array(grades, float).reshape(count, 4), np.zeros(count), np.ones(count), words, words,
    )  # fmt: skip


@pytest.fixture
def flooded_valley():
    """A river of 10 m that has become 40 m wide; the water is 1 m deep in the middle."""
    ground, off = valley(GRID)
    return ground, off < 5, off < 20


def test_a_flood_is_water_that_was_not_there_and_its_depth_is_level_less_ground(tmp_path, flooded_valley):
    ground, before, after = flooded_valley
    terrain = written(tmp_path / "dem.tif", GRID, ground + 100)
    pre, post = picture(reflectances(before)), picture(reflectances(after))
    found = observe(Event(Kind.FLOOD), pre, post, None, GRID, tmp_path, terrain=terrain, bands=INFRARED)
    flood = from_bytes(read(found.rasters["flood"])[0]) >= 0.5
    assert (flood == after & ~before).all()
    depth, error = read(found.rasters["depth"])
    assert depth[flood] == pytest.approx((1 - ground)[flood], abs=0.06)
    assert (depth[~flood] == 0).all()
    assert error[flood] == pytest.approx(GROUND, abs=0.05)
    (extent,) = found.extents
    assert extent.what == "flood"
    assert extent.words.tolist() == ["Riverine flood"] * 2  # the two banks
    assert shapely.area(extent.outline).sum() == pytest.approx(flood.sum(), rel=0.03)
    assert extent.value == pytest.approx(depth[flood].mean(), abs=0.01)


def test_without_an_earlier_image_all_water_is_flood_and_without_a_terrain_no_depth_is_said(tmp_path, flooded_valley):
    _, _, after = flooded_valley
    found = observe(Event(Kind.FLOOD), None, picture(reflectances(after)), None, GRID, tmp_path, bands=INFRARED)
    assert set(found.rasters) == {"flood"}
    (extent,) = found.extents
    assert shapely.area(extent.outline).sum() == pytest.approx(after.sum(), rel=0.03)
    assert np.isnan(extent.value).all()


def test_two_runs_are_equal_to_the_byte_and_strips_do_not_show(tmp_path):
    grid = Grid(ROWS + 90, 40, 0, 900, 1)
    rng = np.random.default_rng(0)
    post = picture(rng.integers(0, 255, (5, *grid.shape)), grid)
    contents = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found = observe(Event(Kind.FLOOD), None, post, None, grid, tmp_path / name, bands=INFRARED)
        contents.append(found.rasters["flood"].read_bytes())
    assert contents[0] == contents[1]
    across = by_infrared(post, INFRARED)((slice(ROWS - 30, ROWS + 30), slice(0, 40)))
    parts = from_bytes(read(found.rasters["flood"])[0])[ROWS - 30 : ROWS + 30]
    np.testing.assert_allclose(across[5:-5], parts[5:-5], atol=0.003)


def test_islands_stay_holes_and_specks_are_dropped(tmp_path):
    wet = np.zeros(GRID.shape, bool)
    wet[10:60, 10:70] = True
    wet[20:40, 30:50] = False  # a hill
    wet[50:53, 15:18] = False  # a roof
    wet[70:74, 100:104] = True  # a puddle
    found = observe(Event(Kind.FLOOD), None, picture(reflectances(wet)), None, GRID, tmp_path, bands=INFRARED)
    (outline,) = found.extents[0].outline
    assert len(outline.interiors) == 1
    assert shapely.Polygon(outline.interiors[0]).area == pytest.approx(400, rel=0.05)
    assert outline.is_valid


def test_what_is_no_data_is_not_known(tmp_path):
    valid = np.ones(GRID.shape, bool)
    valid[:, :30] = False
    post = picture(reflectances(), valid=valid)
    found = observe(Event(Kind.FLOOD), None, post, None, GRID, tmp_path, bands=INFRARED)
    assert (np.isnan(from_bytes(read(found.rasters["flood"])[0])) == ~valid).all()
    nothing = picture(reflectances(), valid=np.zeros(GRID.shape, bool))
    for kind in Kind:
        empty = observe(Event(kind), nothing, nothing, None, GRID, tmp_path, bands=INFRARED)
        assert all(len(extent.outline) == 0 for extent in empty.extents)


def test_severity_follows_the_burn_ratio_of_infrared(tmp_path):
    burnt = np.zeros(GRID.shape, bool)
    burnt[20:60, 20:60] = True
    pre, post = picture(reflectances()), picture(reflectances(burnt=burnt))
    found = observe(Event(Kind.FIRE), pre, post, None, GRID, tmp_path, bands=INFRARED)
    lost = (160 - 60) / 220 - (60 - 120) / 180
    (extent,) = found.extents
    assert extent.value == pytest.approx([min((lost - 0.1) / 0.56, 1)], abs=0.01)
    assert extent.words.tolist() == ["Forest fire"]
    assert extent.outline[0].area == pytest.approx(1600, rel=0.03)


def test_a_fire_among_houses_is_an_urban_one(tmp_path):
    burnt = np.zeros(GRID.shape, bool)
    burnt[20:60, 20:60] = True
    x, y = GRID.west, GRID.north
    house = buildings([shapely.box(x + 30, y - 40, x + 40, y - 30)], [[0, 0, 0, 1]])
    pre, post = picture(reflectances()), picture(reflectances(burnt=burnt))
    found = observe(Event(Kind.FIRE), pre, post, None, GRID, tmp_path, bands=INFRARED, buildings=house)
    assert found.extents[0].words.tolist() == ["Urban fires"]


def test_char_on_a_meadow_is_seen_by_colours_alone():
    rng = np.random.default_rng(0)
    green = np.array([85, 110, 60])[:, None, None] + rng.normal(0, 8, (3, *GRID.shape))
    char = np.array([52, 48, 45])[:, None, None] + rng.normal(0, 8, (3, *GRID.shape))
    window = (slice(0, 80), slice(0, 120))
    burnt, whole = (severity(picture(green), picture(after), window, RGB) for after in (char, green))
    assert burnt.mean() > 0.4
    assert whole.mean() < 0.1


def test_rubble_lies_around_what_is_destroyed_and_not_on_roofs_that_stand():
    grid = Grid(60, 60, 0, 60, 1)
    heap, whole = shapely.box(10, 20, 20, 30), shapely.box(22, 20, 30, 30)
    found = rubble(buildings([heap, whole], [[0, 0, 0, 1], [1, 0, 0, 0]]), grid)
    inside = shapely.contains_xy(whole, grid.points()).reshape(grid.shape)
    assert (found[inside] == 0).all()
    assert found[35, 20] == pytest.approx(BESIDE[3][0], abs=0.05)  # half a metre east of the wall
    assert found[35, 5] < found[35, 8]
    assert found[:15].max() == 0  # more than 12 m away


def test_rubble_is_nowhere_where_all_stands_or_nothing_is_known():
    grid = Grid(40, 40, 0, 40, 1)
    house = shapely.box(10, 10, 20, 20)
    assert rubble(buildings([house], [[1, 0, 0, 0]]), grid).max() == 0
    assert rubble(buildings([house], [[np.nan] * 4]), grid).max() == 0
    assert rubble(buildings([], []), grid).max() == 0


def test_parts_of_a_map_have_the_rubble_of_the_whole():
    grid = Grid(60, 60, 0, 60, 1)
    struck = buildings([shapely.box(10, 20, 20, 33), shapely.box(40, 25, 48, 30)], [[0, 0, 0, 1], [0.2, 0.3, 0.4, 0.1]])
    whole = rubble(struck, grid)
    parts = [rubble(struck, grid.part((slice(k, k + 20), slice(0, 60)))) for k in (0, 20, 40)]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_a_models_own_map_goes_before_colours(tmp_path):
    own = np.zeros((2, *GRID.shape), np.float32)
    own[1, 10:40, 10:40] = 0.9

    def fill(file):
        file.set_band_description(1, "no building")
        file.set_band_description(2, "debris")
        file.write(to_bytes(own))

    write_cog(tmp_path / "p.tif", GRID, 2, "uint8", UNKNOWN, fill)
    post = picture(np.zeros((3, *GRID.shape)))
    found = observe(Event(Kind.EARTHQUAKE), None, post, tmp_path / "p.tif", GRID, tmp_path)
    assert found.extents[0].value == pytest.approx([0.9], abs=0.01)
    assert found.extents[0].words.tolist() == ["Debris"]
    other = Grid(9, 9, 0, 90, 1)
    small = picture(np.zeros((3, 9, 9)), other)
    with pytest.raises(DatasetError, match="not of this scene"):
        observe(Event(Kind.WIND), None, small, tmp_path / "p.tif", other, tmp_path)


def test_without_a_map_or_buildings_rubble_is_not_looked_for(tmp_path):
    assert observe(Event(Kind.WIND), None, picture(np.zeros((3, *GRID.shape))), None, GRID, tmp_path).extents == ()


def test_images_of_other_bands_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="bands are not those named; expected red, green, blue; found 5"):
        observe(Event(Kind.FIRE), None, picture(reflectances()), None, GRID, tmp_path)
    with pytest.raises(DatasetError, match="lacks colours"):
        observe(Event(Kind.FIRE), None, picture(np.zeros((1, *GRID.shape))), None, GRID, tmp_path, bands=("grey",))
    assert not list(tmp_path.iterdir())


def test_a_terrain_elsewhere_or_broken_is_one_error(tmp_path, flooded_valley):
    post = picture(reflectances(flooded_valley[2]))
    far = written(tmp_path / "far.tif", GRID.moved(90_000, 0, GRID.crs), flooded_valley[0])
    (tmp_path / "broken.tif").write_bytes(b"II*\0 and no more")
    for terrain in (far, tmp_path / "broken.tif", tmp_path / "missing.tif"):
        with pytest.raises(MageError, match=terrain.name):
            observe(Event(Kind.FLOOD), None, post, None, GRID, tmp_path, terrain=terrain, bands=INFRARED)
        assert not (tmp_path / "depth.tif").exists()


def test_the_level_withstands_holes_and_specks_in_the_outline():
    """A tilted river with noisy ground; one place in twenty of the outline is wrong."""
    rng = np.random.default_rng(0)
    grid = Grid(200, 200, 0, 200, 1)
    ground, _ = valley(grid)
    fall = 0.002 * np.arange(200)[:, None]
    truth = np.maximum(1 - ground, 0)
    wet = truth > 0
    rough = ground - fall + rng.normal(0, 0.1, grid.shape)
    spots = rng.random(grid.shape) < 0.003
    wrong = np.asarray(
        shapely.distance(shapely.points(grid.points()), shapely.multipoints(grid.points()[spots.ravel()])) < 2.3
    ).reshape(grid.shape)
    assert 0.02 < wrong.mean() < 0.1
    seen = wet ^ wrong
    surface = water_surface(seen, ~seen, rough, grid)
    depth, error = depth_of(surface, Terrain(rough, 0.5, 199.5, 1.0), grid, seen)
    both = seen & wet
    assert np.sqrt(np.mean((depth - truth)[both] ** 2)) < 0.2
    assert np.mean((np.abs(depth - truth) < 2 * error)[both]) > 0.9


def test_water_without_a_shore_has_no_depth():
    grid = Grid(20, 20, 0, 20, 1)
    everywhere, flat = np.ones(grid.shape, bool), np.zeros(grid.shape)
    surface = water_surface(everywhere, ~everywhere, flat, grid)
    depth, _ = depth_of(surface, Terrain(flat, 0.5, 19.5, 1.0), grid, everywhere)
    assert np.isnan(depth).all()


def test_a_hall_in_the_water_is_no_shore(tmp_path):
    """Its roof of 900 m² looks dry; the ground below it is 0.8 m under water."""
    ground, off = valley(GRID)
    terrain = written(tmp_path / "dem.tif", GRID, ground + 100)
    wet = off < 40
    wet[20:50, 61:91] = False
    x, y = GRID.west, GRID.north
    hall = buildings([shapely.box(x + 61, y - 50, x + 91, y - 20)], [[1, 0, 0, 0]])
    post = picture(reflectances(wet))
    found = observe(
        Event(Kind.FLOOD), None, post, None, GRID, tmp_path, terrain=terrain, bands=INFRARED, buildings=hall
    )
    depth, error = read(found.rasters["depth"])
    assert depth[wet] == pytest.approx((2 - ground)[wet], abs=0.06)
    assert error[wet].max() < 2 * GROUND


def test_two_lakes_keep_levels_of_their_own():
    grid = Grid(60, 120, 0, 60, 1)
    x, y = np.meshgrid(*grid.centres())
    pit = np.minimum(np.hypot(x - 30, y - 30) / 10, np.hypot(x - 90, y - 30) / 10 + 5)
    levels = np.where(x < 60, 1.5, 6.5)
    wet = pit < levels
    surface = water_surface(wet, ~wet, pit, grid)
    assert surface.level[wet] == pytest.approx(levels[wet], abs=0.1)
