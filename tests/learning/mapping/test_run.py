"""From two images to a product: what is found, what is said where nothing can be, and the same bytes however often."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace

import cv2
import numpy as np
import pytest
import rasterio
import shapely
from struck import (
    CORNERS,
    GRID,
    STRUCK,
    contents,
    footprints,
    images,
    pair,
    reader,
    request,
    ring,
    streets,
    write_geojson,
    write_tif,
)
from struck import found as find_in

from mage.learning import SiameseDamageNet
from mage.learning.mapping import run
from mage.learning.mapping.findings import Kind
from mage.learning.mapping.grader import Grader
from mage.learning.mapping.inputs import moment
from mage.learning.mapping.product.check import check_layers
from mage.learning.mapping.run import make_map
from mage.learning.mapping.scene import open_scene
from mage.scenes.errors import DatasetError, MageError, ModelError
from mage.scenes.grid import Grid


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """A product of both images with footprints and streets, its drawings left out, and its folder."""
    folder = tmp_path_factory.mktemp("mapped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "write_sheet", lambda findings, place: [])
        return make_map(asked(folder), folder / "product", reader()), folder


def asked(folder):
    """The request of that product."""
    pre, post = pair(folder)
    files = {"buildings": footprints(folder / "houses.geojson"), "roads": streets(folder / "streets.geojson")}
    return request(post, pre, **files)


def test_houses_of_a_file_are_graded_by_what_the_images_show(mapped):
    buildings = mapped[0].buildings
    assert len(buildings) == len(CORNERS)
    bad = {f"No. {k}" for k in STRUCK}
    assert {str(n) for n in buildings.name[buildings.verdict == "Destroyed"]} == bad
    assert {str(n) for n in buildings.name[buildings.verdict == "No visible damage"]} == set(
        buildings.name.tolist()
    ) - bad
    np.testing.assert_allclose(buildings.grades.sum(1), 1, atol=0.01)
    assert buildings.valid.min() == 1
    assert buildings.hot.z.shape == buildings.reached.shape == (len(CORNERS),)


def test_a_product_says_what_it_was_made_of(mapped):
    findings, folder = mapped
    told = json.loads((folder / "product" / "provenance.json").read_text())
    assert {source["role"] for source in told["sources"]} == {"pre", "post", "buildings", "roads"}
    assert str(folder) not in json.dumps(told)
    assert set(told["files"]) >= {"probabilities.tif", "classes.tif", "report.html"}
    assert not [name for name in contents(folder / "product") if name.endswith((".bin", ".partial"))]
    assert findings.areas[0].damaged == pytest.approx(len(STRUCK), abs=0.2)


def test_the_map_of_classes_holds_background_grades_and_what_is_not_known(mapped):
    with rasterio.open(mapped[1] / "product" / "classes.tif") as file:
        values = file.read(1)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    expected = np.zeros(GRID.shape, np.uint8)
    for k, (row, column) in enumerate(CORNERS):
        expected[row : row + 16, column : column + 16] = 4 if k in STRUCK else 1
    assert (values == expected).mean() > 0.999


def test_without_a_file_the_model_draws_the_houses_and_numbers_them_from_the_north(tmp_path):
    pre, post = pair(tmp_path)
    found = find_in(request(post, pre), tmp_path / "product", reader()).buildings
    assert len(found) == len(CORNERS)
    assert found.identity.tolist() == sorted(found.identity.tolist())
    north = shapely.bounds(found.outline)[:, 3]
    assert (np.diff(north) <= 0).all()
    assert (found.verdict == "Destroyed").sum() == len(STRUCK)


class StoppedError(Exception):
    pass


class Stopping(Grader):
    """Stops after some windows."""

    def forward(self, images):
        Stopping.left -= 1
        if Stopping.left < 0:
            raise StoppedError
        return super().forward(images)


def stopping(after):
    Stopping.left = after
    return Stopping(reader().network, facts=reader().facts)


def test_an_interrupted_map_goes_on_and_ends_in_the_same_bytes(tmp_path):
    pre, post = pair(tmp_path)
    small = request(post, pre, window=32)  # 20 windows in 4 strips
    find_in(small, tmp_path / "whole", reader())
    with pytest.raises(StoppedError):
        find_in(small, tmp_path / "halved", stopping(after=16))
    assert list((tmp_path / "halved" / "probabilities.tif.parts").glob("*.bin"))
    find_in(small, tmp_path / "halved", stopping(after=19))  # not all windows are looked at again
    assert contents(tmp_path / "halved") == contents(tmp_path / "whole")


def test_a_second_run_looks_at_nothing_again_and_changes_no_byte(mapped, monkeypatch):
    _, folder = mapped
    monkeypatch.setattr(run, "write_sheet", lambda findings, place: [])
    before = contents(folder / "product")
    make_map(asked(folder), folder / "product", stopping(after=0))
    assert contents(folder / "product") == before


@pytest.mark.long
def test_two_whole_products_are_equal_to_the_byte_and_pass_the_checks_of_layers(tmp_path):
    first, second = ({}, {})
    for k, files in enumerate((first, second)):
        folder = tmp_path / str(k)
        folder.mkdir()
        make_map(asked(folder), folder / "product", reader())
        files |= contents(folder / "product")
    assert first == second
    assert {"map.pdf", "map.png", "report.html"} <= set(first)
    package = next((tmp_path / "0" / "product").glob("*.gpkg"))
    assert check_layers(package) == []


def test_an_edited_copy_of_the_product_is_taken_over_and_the_model_learns_from_it(mapped, tmp_path, monkeypatch):
    findings, folder = mapped
    monkeypatch.setattr(run, "write_sheet", lambda findings, place: [])
    monkeypatch.setattr(run, "finetune", lambda *given, **how: learned.append((given, how)))
    learned = []
    product, edited = next((folder / "product").glob("*.gpkg")), tmp_path / "edited.gpkg"
    edited.write_bytes(product.read_bytes())
    with sqlite3.connect(edited) as file:
        (layer,) = file.execute("select table_name from gpkg_contents where table_name like '%builtUpA%'").fetchone()
        for (name,) in file.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            file.execute(f'drop trigger "{name}"')  # they call functions that GDAL has and sqlite has not
        file.execute(f"update \"{layer}\" set damage_gra = 'Destroyed' where id = 'house 0'")
    file.close()
    files = {"buildings": folder / "houses.geojson", "roads": folder / "streets.geojson", "corrections": edited}
    again = request(folder / "post.tif", folder / "pre.tif", finetune=tmp_path / "run", **files)
    found = make_map(again, tmp_path / "product", reader())
    changed = found.buildings.verdict != findings.buildings.verdict
    assert found.buildings.identity[changed].tolist() == ["house 0"]
    assert found.buildings.method[changed].tolist() == ["Photo-interpretation"]
    assert any("house 0" in line for line in found.corrections)
    ((given, how),) = learned
    assert given[3].verdict.tolist() == findings.buildings.verdict.tolist()
    assert given[4] is found.buildings
    assert how["resume"] is False


def test_a_later_image_makes_a_numbered_update_of_a_product(mapped, tmp_path):
    findings, folder = mapped
    files = {"buildings": folder / "houses.geojson", "before": folder / "product"}
    calm = find_in(request(folder / "pre.tif", folder / "pre.tif", **files), tmp_path / "product", reader())
    assert calm.event.monitoring == 1
    assert calm.buildings.previous.tolist() == findings.buildings.verdict.tolist()


def test_another_image_is_looked_at_anew(tmp_path):
    pre, post = pair(tmp_path)
    find_in(request(post, pre), tmp_path / "product", reader())
    write_tif(post, images()[0])
    again = find_in(request(post, pre), tmp_path / "product", reader())
    assert not (again.buildings.verdict == "Destroyed").any()


def test_images_of_different_grids_and_projections_meet_on_one(tmp_path):
    _, post = pair(tmp_path)
    pre = images()[0]
    coarse = Grid(64, 84, GRID.west - 5, GRID.north + 5, 1.0, GRID.crs)
    big = np.full((3, *coarse.shape), 60, np.uint8)
    big[:, 5:53, 5:69] = pre[:, ::2, ::2]
    found = find_in(request(post, write_tif(tmp_path / "pre.tif", big, coarse)), tmp_path / "product", reader())
    assert found.grid == GRID
    assert (found.buildings.verdict == "Destroyed").sum() == len(STRUCK)


def test_a_shift_of_the_image_after_is_measured_and_undone(tmp_path):
    pre, post = images()
    moved = np.roll(post, (3, -4), (1, 2))
    texture = np.random.default_rng(5).integers(0, 120, GRID.shape)
    texture = (texture + np.roll(texture, 1, 0) + np.roll(texture, 1, 1)) // 3
    pre[2], moved[2] = texture, np.roll(texture, (3, -4), (0, 1))
    paths = [write_tif(tmp_path / f"{k}.tif", image) for k, image in enumerate((pre, moved))]
    found = find_in(request(paths[1], paths[0], register=True), tmp_path / "product", reader())
    assert found.registration is not None
    np.testing.assert_allclose(found.registration.shift, (-4, 3), atol=0.3)
    inner = [k for k in STRUCK if CORNERS[k][1] < 100]  # others lost a part at the border
    assert (found.buildings.verdict == "Destroyed").sum() >= len(inner)


def test_what_is_nodata_is_not_analysed(tmp_path):
    pre, post = images()
    post[:, :, :64] = 0
    paths = write_tif(tmp_path / "pre.tif", pre), write_tif(tmp_path / "post.tif", post, nodata=0)
    houses = footprints(tmp_path / "houses.geojson")
    found = find_in(request(paths[1], paths[0], buildings=houses), tmp_path / "product", reader())
    west = shapely.get_x(shapely.centroid(found.buildings.outline)) < GRID.west + 32
    assert set(found.buildings.verdict[west]) == {"Not Analysed"}
    assert np.isnan(found.buildings.grades[west]).all()
    assert "Not Analysed" not in found.buildings.verdict[~west]
    assert found.seen.area == pytest.approx(found.area.area / 2, rel=0.1)


def test_a_place_where_all_is_nodata_has_a_product_of_nothing_analysed(tmp_path):
    pre, post = images()
    paths = write_tif(tmp_path / "pre.tif", pre), write_tif(tmp_path / "post.tif", post * 0, nodata=0)
    houses = footprints(tmp_path / "houses.geojson")
    found = find_in(request(paths[1], paths[0], buildings=houses), tmp_path / "product", reader())
    assert set(found.buildings.verdict) == {"Not Analysed"}
    assert found.seen.is_empty
    with pytest.raises(DatasetError, match="do not overlap"):
        find_in(request(paths[1], paths[0], register=True), tmp_path / "other", reader())


def test_a_place_without_a_building_has_an_empty_product(tmp_path):
    bare = write_tif(tmp_path / "bare.tif", np.full((3, *GRID.shape), 60, np.uint8))
    for files in ({}, {"buildings": write_geojson(tmp_path / "none.geojson", [])}):
        found = find_in(request(bare, bare, **files), tmp_path / f"product {len(files)}", reader())
        assert len(found.buildings) == 0
        assert found.areas == ()
        assert not found.density.any()


def test_the_area_of_interest_bounds_what_is_mapped(tmp_path):
    pre, post = pair(tmp_path)
    aoi = write_geojson(tmp_path / "aoi.geojson", [{"type": "Polygon", "coordinates": [ring(0, 0, 60, 60)]}])
    found = find_in(request(post, pre, aoi=aoi), tmp_path / "product", reader())
    assert found.grid.shape == (60, 60)
    assert len(found.buildings) == 4
    assert found.area.area == pytest.approx(30 * 30, rel=1e-3)
    for role in ("pre", "post"):
        assert shapely.symmetric_difference(found.footprints[role], shapely.box(*GRID.bounds)).area < 1


def test_broken_outlines_are_mended(tmp_path):
    pre, post = pair(tmp_path)
    a, b, c, d, _ = ring(*CORNERS[2])
    bow = write_geojson(tmp_path / "bow.geojson", [{"type": "Polygon", "coordinates": [[a, c, b, d, a]]}])
    found = find_in(request(post, pre, buildings=bow), tmp_path / "product", reader())
    assert found.buildings.verdict.tolist() == ["Destroyed"]
    assert shapely.is_valid(found.buildings.outline).all()


def test_images_that_say_nowhere_where_they_lie_are_mapped_in_a_frame_of_their_own(tmp_path):
    pre, post = pair(tmp_path, replace(GRID, crs=None))
    found = find_in(request(post, pre, gsd=0.5), tmp_path / "product", reader())
    assert found.grid == Grid(96, 128, 0, 48, 0.5)
    assert not found.footprints
    assert (found.buildings.verdict == "Destroyed").sum() == len(STRUCK)
    assert [source.gsd for source in found.sources if source.role in ("pre", "post")] == [0.5, 0.5]


def test_pictures_are_mapped_once_somebody_says_how_large_their_pixels_are(tmp_path):
    for name, image in zip(("pre", "post"), images(), strict=True):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image[::-1].transpose(1, 2, 0))
    post, pre = tmp_path / "post.png", tmp_path / "pre.png"
    with pytest.raises(DatasetError, match=r"post\.png: .*how large its pixels are.*--gsd"):
        find_in(request(post, pre), tmp_path / "product", reader())
    assert not (tmp_path / "product").exists()
    found = find_in(request(post, pre, gsd=0.5), tmp_path / "product", reader())
    assert (found.buildings.verdict == "Destroyed").sum() == len(STRUCK)
    assert found.area.area == 64 * 48


def test_after_a_flood_water_at_the_walls_makes_a_sound_house_doubtful(tmp_path, monkeypatch):
    from mage.learning.mapping.assessment import beside_water
    from mage.learning.mapping.findings import Event, Extent, Observed

    pre, post = pair(tmp_path)
    found = find_in(request(post, pre), tmp_path / "product", reader())
    west, _, _, north = GRID.bounds
    pond = np.array([shapely.box(west, north - 12.5, west + 30, north)], object)
    seen = Observed((Extent("flood", pond, np.array([0.5]), np.array(["Riverine flood"])),))
    wet = beside_water(found.buildings, seen, Event(Kind.FLOOD), GRID)
    changed = wet.verdict != found.buildings.verdict
    assert changed.sum() == 2
    assert set(wet.verdict[changed]) == {"Possibly damaged"}
    assert beside_water(found.buildings, seen, Event(Kind.WIND), GRID) is found.buildings


def test_post_alone_is_refused_by_a_model_of_two_dates(tmp_path):
    _, post = pair(tmp_path)
    with pytest.raises(ModelError, match="there is only one after"):
        find_in(request(post), tmp_path / "product", Grader(SiameseDamageNet(width=2)))
    assert not (tmp_path / "product").exists()


def test_without_a_model_an_event_has_an_extent_and_no_grade(tmp_path):
    _, post = pair(tmp_path)
    houses = footprints(tmp_path / "houses.geojson")
    found = find_in(request(post, buildings=houses), tmp_path / "product", None)
    assert set(found.buildings.verdict) == {"Not Analysed"}
    assert found.rasters == {}


def elsewhere(tmp_path):
    return {"pre": write_tif(tmp_path / "far.tif", images()[0], replace(GRID, west=GRID.west + 5000))}


def broken(tmp_path):
    path = write_tif(tmp_path / "cut.tif", images()[0])
    path.write_bytes(path.read_bytes()[:300])
    return {"pre": path}


def of_words(tmp_path):
    path = tmp_path / "words.tif"
    path.write_text("not a raster")
    return {"pre": path}


def other_size(tmp_path):
    return {"pre": write_tif(tmp_path / "bare.tif", images()[0][:, :50], replace(GRID, crs=None, rows=50))}


def far_aoi(tmp_path):
    return {"aoi": write_geojson(tmp_path / "a.geojson", [{"type": "Polygon", "coordinates": [ring(900, 900)]}])}


def no_vectors(tmp_path):
    path = tmp_path / "b.geojson"
    path.write_text("{}")
    return {"buildings": path}


def missing(tmp_path):
    return {"roads": tmp_path / "missing.gpkg"}


def folder_as_file(tmp_path):
    return {"terrain": tmp_path}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (elsewhere, "far.tif: the two images do not overlap"),
        (broken, "cut.tif"),
        (of_words, "words.tif: not a raster"),
        (other_size, "must have the pixels of the other"),
        (far_aoi, "a.geojson"),
        (no_vectors, "b.geojson"),
        (missing, "missing.gpkg"),
        (folder_as_file, "found a folder"),
    ],
)
def test_a_wrong_file_is_one_sentence_that_names_it_and_leaves_no_product(tmp_path, wrong, words):
    pre, post = pair(tmp_path)
    mistaken = request(post, **({"pre": pre} | wrong(tmp_path)))
    with pytest.raises(MageError, match=words):
        make_map(mistaken, tmp_path / "product", reader())
    assert not (tmp_path / "product").exists()


def test_dates_the_wrong_way_round_are_a_mistake(tmp_path):
    pre, post = pair(tmp_path)
    taken = {"pre": moment("2021-09-10"), "post": moment("2021-08-20")}
    with pytest.raises(DatasetError, match=r"before was taken after the one after.*2021-09-10 and 2021-08-20"):
        make_map(replace(request(post, pre), taken=taken), tmp_path / "product", reader())


def test_footprints_elsewhere_and_pixels_that_the_model_does_not_know_are_told(tmp_path):
    pre, post = pair(tmp_path)
    far = write_geojson(tmp_path / "far.geojson", [{"type": "Polygon", "coordinates": [ring(9000, 9000)]}])
    told = []
    knowing = replace(reader(), gsd=(0.3 * GRID.gsd, 0.5 * GRID.gsd))
    found = make_map(request(post, pre, buildings=far), tmp_path / "product", knowing, tell=told.append)
    assert len(found.buildings) == 0
    assert any("the file has no building on the map" in words for words in told)
    assert any("it errs more" in words for words in told)


def test_a_folder_of_other_things_is_left_as_it_is(tmp_path):
    pre, post = pair(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(DatasetError, match="other files are in the folder"):
        find_in(request(post, pre), tmp_path / "full", reader())
    with pytest.raises(DatasetError, match="cannot be used for a product"):
        find_in(request(post, pre), post, reader())
    assert contents(tmp_path / "full") == {"letter.txt": b"dear"}


def test_a_damaged_record_of_steps_is_made_anew(tmp_path):
    pre, post = pair(tmp_path)
    find_in(request(post, pre), tmp_path / "product", reader())
    whole = contents(tmp_path / "product")
    for name, content in (("steps.json", b"{"), ("probabilities.tif", b"")):
        (tmp_path / "product" / name).write_bytes(content)
        find_in(request(post, pre), tmp_path / "product", reader())
        assert contents(tmp_path / "product") == whole


def test_bands_that_a_model_wants_are_read_in_its_order(tmp_path):
    pre, post = (image[::-1] for image in images())  # blue, green, red
    paths = [write_tif(tmp_path / f"{k}.tif", np.ascontiguousarray(image)) for k, image in enumerate((pre, post))]
    found = find_in(request(paths[1], paths[0], bands=(3, 2, 1)), tmp_path / "product", reader())
    assert (found.buildings.verdict == "Destroyed").sum() == len(STRUCK)
    with pytest.raises(ModelError, match="another number of bands"):
        find_in(request(paths[1], paths[0], bands=(1, 2)), tmp_path / "two", reader())
    with pytest.raises(DatasetError, match="no such band"):
        find_in(request(paths[1], paths[0], bands=(3, 2, 9)), tmp_path / "nine", reader())


def test_an_image_finer_than_the_model_knows_is_looked_at_in_pixels_that_it_does(tmp_path):
    pre, post = pair(tmp_path)
    said = []
    knowing = replace(reader(), gsd=(1.0, 2.0))
    found = find_in(request(post, pre), tmp_path / "product", knowing, tell=said.append)
    assert found.grid.gsd == 1.0
    assert any("looked at in 1 m" in line for line in said)
    find_in(request(post, pre), tmp_path / "coarse", replace(reader(), gsd=(0.1, 0.2)), tell=said.append)
    assert any("it errs more" in line for line in said)


def test_a_model_of_more_bands_than_three_sees_them_and_people_see_colours(tmp_path):
    four = [write_tif(tmp_path / f"{k}.tif", np.concatenate([image, image[:1]])) for k, image in enumerate(images())]
    scene = open_scene(request(four[1], four[0]), Grader(SiameseDamageNet(width=2, bands=4)), lambda _: None)
    assert [picture.bands for picture in scene.shown(2)] == [4, 4]
    assert scene.pre.bands == scene.post.bands == 3
