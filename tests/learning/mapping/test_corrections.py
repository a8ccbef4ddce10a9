"""An analyst's edits of a product, and what becomes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from edits import add, corrected, drop, row_of, write_product
from found import at, found, nothing_found
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mage.learning.buildings import cems_verdicts
from mage.learning.mapping.corrected_buildings import VERDICTS, certain
from mage.learning.mapping.corrections import apply_corrections, read_corrections
from mage.learning.mapping.maps import from_bytes
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

HAND = "Photo-interpretation"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return found(tmp_path_factory.mktemp("place"))


def applied(tmp_path, findings, edit=None, name="edited.gpkg", **options):
    """What comes of a product's copy, edited."""
    file = write_product(tmp_path / name, findings, edit=edit, **options)
    return apply(findings, file)


def apply(findings, file):
    corrections = read_corrections(file, findings.grid)
    roads = None if findings.access is None else findings.access.roads
    return apply_corrections(corrections, findings.buildings, findings.observed, roads, findings.access)


def assert_same(one, other):
    """Buildings, extents and closures of two corrections are alike."""
    for name in ("identity", "kind", "name", "verdict", "method"):
        assert getattr(one[0], name).tolist() == getattr(other[0], name).tolist(), name
    for name in ("located", "grades", "entropy", "valid"):
        np.testing.assert_array_equal(getattr(one[0], name), getattr(other[0], name), name)
    assert shapely.equals_exact(one[0].outline, other[0].outline, 1e-6, normalize=True).all()
    for mine, theirs in zip(one[1].extents, other[1].extents, strict=True):
        assert shapely.union_all(mine.outline).symmetric_difference(shapely.union_all(theirs.outline)).area < 1e-6
    np.testing.assert_array_equal(one[2].car, other[2].car)
    np.testing.assert_array_equal(one[2].truck, other[2].truck)


def test_a_copy_that_nobody_edited_changes_nothing_and_says_nothing(tmp_path, place):
    buildings, observed, closures, log = applied(tmp_path, place)
    assert log == ()
    assert observed.rasters == place.observed.rasters
    assert_same((buildings, observed, closures), (place.buildings, place.observed, closures))
    assert np.isnan(closures.car).all()
    assert buildings.hot is None, "what depends on corrections is computed anew"


def test_a_grade_that_was_changed_is_certain_and_by_hand(tmp_path, place):
    def edit(tables):
        built = tables["builtUpA"]
        built["damage_gra"][row_of(built, "way/108")] = "destroyed "
        built["damage_gra"][row_of(built, "way/112")] = "Damaged"
        built["editor"] = [None] * 12
        built["editor"][row_of(built, "way/108")] = "Ada"
        built["edited_at"] = ["2026-06-10"] * 12

    buildings, _, _, log = applied(tmp_path, place, edit)
    assert log == (
        "building way/108: Damaged → Destroyed (Ada, 2026-06-10)",
        "building way/112: Not Analysed → Damaged (2026-06-10)",
    )
    assert buildings.verdict[7] == "Destroyed"
    assert buildings.grades[7].tolist() == [0, 0, 0, 1]
    assert buildings.entropy[7] == 0
    assert buildings.method[7] == HAND
    assert buildings.grades[11].tolist() == [0, 0.5, 0.5, 0]
    assert (buildings.method[:7] == "Automatic extraction").all()


def test_who_looks_at_a_building_and_leaves_its_grade_confirms_it(tmp_path, place):
    def edit(tables):
        tables["builtUpA"]["det_method"][0] = HAND

    buildings, _, _, log = applied(tmp_path, place, edit)
    assert log == ("building way/101: No visible damage confirmed",)
    assert buildings.grades[0].tolist() == [1, 0, 0, 0]


def test_buildings_are_added_left_out_and_moved(tmp_path, place):
    there, south = at(shapely.box(27, 40, 34, 46)), at(shapely.box(27, 2, 34, 8))

    def edit(tables):
        built = tables["builtUpA"]
        drop(built, "way/103")
        row = row_of(built, "way/101")
        built["geometry"][row] = shapely.transform(built["geometry"][row], lambda xy: xy + np.array([1.5, 0]))
        add(built, south)
        add(built, there, damage_gra="Destroyed", name="Kapelle", notation="chapel")

    buildings, _, _, log = applied(tmp_path, place, edit)
    assert log == (
        "building way/103: deleted",
        "building way/101: reshaped",
        "building a000001: added, Destroyed",
        "building a000002: added, Not Analysed",
    )
    assert len(buildings) == 13
    assert "way/103" not in buildings.identity
    assert buildings.outline[0].bounds[0] == place.buildings.outline[0].bounds[0] + 1.5
    assert buildings.method[0] == "Semi-automatic extraction"
    np.testing.assert_array_equal(buildings.grades[0], place.buildings.grades[0])
    assert buildings.outline[11].equals(there), "new ones are numbered from north to south"
    assert (buildings.name[11], buildings.kind[11], buildings.kind[12]) == ("Kapelle", "chapel", "")
    assert np.isnan(buildings.grades[12]).all()
    assert buildings.valid[11:].tolist() == [1, 0]


def test_the_halves_of_a_split_building_are_two_buildings(tmp_path, place):
    def edit(tables):
        built = tables["builtUpA"]
        row = row_of(built, "way/106")
        west, south, east, north = built["geometry"][row].bounds
        built["geometry"][row] = shapely.box(west + 5, south, east, north)
        add(built, shapely.box(west, south, west + 5, north), id="way/106", damage_gra="Damaged")

    buildings, _, _, log = applied(tmp_path, place, edit)
    assert "building way/106: No visible damage → Damaged, reshaped" in log, "the larger half keeps the id"
    assert "building a000001: added, No visible damage" in log
    assert len(buildings) == 13


def test_two_grades_of_one_building_are_refused(tmp_path, place):
    def edit(tables):
        built = tables["builtUpA"]
        add(built, built["geometry"][0], id="way/101", damage_gra="Destroyed")

    with pytest.raises(
        DatasetError, match=r"two grades of the building way/101.*found No visible damage and Destroyed"
    ):
        applied(tmp_path, place, edit)


def test_corrections_accumulate_and_twice_is_once(tmp_path, place):
    def first(tables):
        built = tables["builtUpA"]
        built["damage_gra"][1] = "Destroyed"
        add(built, at(shapely.box(27, 40, 34, 46)), damage_gra="Damaged")
        tables["observedEventA"]["geometry"][0] = at(shapely.box(29, 0, 64, 9))
        tables["transportationL"]["passable"][0] = "Closed"

    once = applied(tmp_path, place, first)
    assert_same(once, apply(place, tmp_path / "edited.gpkg"))

    def second(tables):
        tables["builtUpA"]["damage_gra"][3] = "No visible damage"

    # the product of the first round, edited further, beside what the same run finds of itself
    further = write_product(tmp_path / "second.gpkg", corrected(place, once), edit=second)
    twice = apply(place, further)
    assert twice[0].verdict[[1, 3, 12]].tolist() == ["Destroyed", "No visible damage", "Damaged"]
    assert twice[0].identity[12] == "a000001"
    assert twice[1].extents[0].outline[0].area == pytest.approx(35 * 9)
    assert twice[2].car[0] == 1


def test_grades_of_another_run_of_the_model_count_only_by_hand(tmp_path, place):
    """The file is of a model that thought otherwise: what it found is no correction, what an analyst said is."""

    def edit(tables):
        built = tables["builtUpA"]
        built["p_damaged"] = [0.5] * 12
        built["damage_gra"] = ["Possibly damaged"] * 12
        built["damage_gra"][2], built["det_method"][2] = "Damaged", HAND

    buildings, _, _, log = applied(tmp_path, place, edit)
    assert buildings.verdict[2] == "Damaged"
    assert np.delete(buildings.verdict, 2).tolist() == np.delete(place.buildings.verdict, 2).tolist()
    assert log[-1].startswith("11 buildings left alone")


def test_extents_are_as_drawn_and_their_rasters_with_them(tmp_path, place):
    drawn = at(shapely.box(20, 0, 50, 12))

    def edit(tables):
        event = tables["observedEventA"]
        event["geometry"][0] = drawn
        drop(event, "debris/1")

    _, observed, _, log = applied(tmp_path, place, edit)
    assert log == ("flood: 0.01 ha added, 0.02 ha taken away", "debris: 0.00 ha added, 0.00 ha taken away")
    flood, burn, debris = observed.extents
    assert flood.outline[0].equals(drawn)
    assert flood.words.tolist() == ["Riverine flood"]
    assert flood.value[0] == pytest.approx(0.6), "where it was drawn the water is as deep as elsewhere"
    assert len(burn.outline) == len(debris.outline) == 0
    wet = from_bytes(raster(observed, "flood"))
    inside = shapely.contains_xy(drawn, place.grid.points()).reshape(place.grid.shape)
    kept = inside & (place.grid.points()[:, 0].reshape(place.grid.shape) > at(shapely.Point(29, 0)).x)
    assert (wet[inside & ~kept] == 1).all()
    assert np.allclose(wet[kept], 0.95, atol=0.004)
    assert (wet[~inside] == 0).all()
    assert (raster(observed, "depth")[inside] == np.float32(0.6)).all()
    assert (raster(observed, "debris") == 0).all()
    assert observed.rasters["flood"] != place.observed.rasters["flood"], "what was found stays"


def raster(observed, name):
    with rasterio.open(observed.rasters[name]) as file:
        return file.read(1)


def test_water_drawn_where_none_was_found_stops_everyone(tmp_path):
    place = found(tmp_path)
    dry = np.zeros((1, *place.grid.shape), np.float32)
    with rasterio.open(place.observed.rasters["depth"], "r+") as file:
        file.write(dry)

    def edit(tables):
        add(tables["observedEventA"], at(shapely.box(0, 20, 9, 30)), obj_desc="flooded cellar")

    _, observed, _, _ = applied(tmp_path, place, edit)
    assert np.unique(raster(observed, "depth")).tolist() == [0, 0.5]


def test_an_extent_of_what_was_not_looked_for_is_left_alone(tmp_path, place):
    def edit(tables):
        add(tables["observedEventA"], at(shapely.box(0, 20, 9, 30)), obj_desc="Landslide")

    only_flood = replace(place, observed=replace(place.observed, extents=place.observed.extents[:2]))
    _, observed, _, log = applied(tmp_path, place, edit)
    assert log == ("extent without id: left alone, neither notation nor obj_desc tells what it is of",)
    assert observed.extents == place.observed.extents
    file = write_product(tmp_path / "all.gpkg", place)
    assert apply(only_flood, file)[3] == ("extent debris/1: left alone, debris was not looked for",)


def test_roads_are_closed_and_opened_by_word_by_number_and_by_hand(tmp_path, place):
    def edit(tables):
        road = tables["transportationL"]
        road["passable"][0] = "truck only"
        road["p_block_car"][1] = road["p_block_truck"][1] = 0.0
        road["det_method"][3] = HAND
        road["geometry"][4] = shapely.transform(road["geometry"][4], lambda xy: xy + 0.3)
        road["passable"][4] = "Open"

    _, _, closures, log = applied(tmp_path, place, edit)
    np.testing.assert_array_equal(closures.car, [1, 0, np.nan, 0.95, 0])
    np.testing.assert_array_equal(closures.truck, [0, 0, np.nan, 0.8, 0])
    assert log == (
        "road 0 Hauptstraße: Open → Truck only",
        "road 1 Hauptstraße: P(closed) 0.00 for cars, 0.00 for trucks",
        "road 3 Quergasse: P(closed) 0.95 for cars, 0.80 for trucks",
        "road 4: Not Analysed → Open",
    )
    car, _ = closures.over(np.full(5, 0.3), np.full(5, 0.3))
    assert car.tolist() == [1, 0, 0.3, 0.95, 0]


def test_a_street_of_elsewhere_is_left_alone(tmp_path, place):
    def edit(tables):
        add(tables["transportationL"], shapely.LineString([(0, 0), (9, 9)]), passable="Closed")

    _, _, closures, log = applied(tmp_path, place, edit)
    assert log == ("road without id: left alone, there is none of this run where it is",)
    assert np.isnan(closures.car).all()


def test_the_part_of_a_street_that_lies_in_the_area_is_that_street(tmp_path, place):
    def edit(tables):
        road = tables["transportationL"]
        road["geometry"][0] = shapely.intersection(road["geometry"][0], place.area)
        road["passable"][0] = "Closed"

    assert applied(tmp_path, place, edit)[2].car[0] == 1


def test_a_delineation_has_no_grades_to_take_over(tmp_path, place):
    def edit(tables):
        tables["builtUpA"]["damage_gra"] = ["Not Analysed"] * 12
        drop(tables["builtUpA"], "way/101")

    buildings, _, _, log = applied(tmp_path, place, edit, prefix="EMSR123_AOI02_DEL_PRODUCT")
    assert log == ("building way/101: deleted",)
    assert buildings.verdict.tolist() == place.buildings.verdict[1:].tolist()


def test_a_layer_that_is_not_there_changes_nothing(tmp_path, place):
    def edit(tables):
        for name in ("builtUpA", "observedEventA"):
            del tables[name]

    buildings, observed, _, log = applied(tmp_path, place, edit)
    assert log == ("no layer builtUpA in the corrections: buildings stay as they were found",)
    assert buildings is place.buildings
    assert observed is place.observed


def test_a_place_without_anything_can_be_corrected(tmp_path):
    place = nothing_found(tmp_path)

    def edit(tables):
        add(tables["builtUpA"], at(shapely.box(1, 1, 9, 9)), damage_gra="Damaged")

    buildings, _, closures, log = applied(tmp_path, place, edit)
    assert log == ("building a000001: added, Damaged",)
    assert buildings.verdict.tolist() == ["Damaged"]
    assert len(closures.car) == 0


def test_a_file_in_degrees_is_moved_to_the_map(tmp_path, place):
    from pyproj import Transformer

    to = Transformer.from_crs(place.grid.crs, "EPSG:4326", always_xy=True)
    degrees = replace(place, grid=replace(place.grid, crs="EPSG:4326"), access=None)

    def edit(tables):
        for table in tables.values():
            table["geometry"] = [
                shapely.transform(s, lambda xy: np.column_stack(to.transform(*xy.T))) for s in table["geometry"]
            ]
        tables["builtUpA"]["damage_gra"][0] = "Destroyed"

    file = write_product(tmp_path / "degrees.gpkg", degrees, edit=edit)
    assert apply(place, file)[3] == ("building way/101: No visible damage → Destroyed",)


def wrong_word(tables):
    tables["builtUpA"]["damage_gra"][0] = "Collapsed"


def wrong_state(tables):
    tables["transportationL"]["passable"][0] = "maybe"


def wrong_number(tables):
    tables["transportationL"]["p_block_car"][0] = 7.0


def elsewhere(tables):
    built = tables["builtUpA"]
    built["geometry"] = [shapely.transform(shape, lambda xy: xy + 500) for shape in built["geometry"]]


def other_ids(tables):
    tables["builtUpA"]["id"] = [f"b{k}" for k in range(12)]


def selection(tables):
    for k in range(102, 113):
        drop(tables["builtUpA"], f"way/{k}")


def no_layers(tables):
    for name in list(tables):
        if name != "imageFootprintA":
            del tables[name]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (wrong_word, "no such damage_gra; expected one of Destroyed.*found Collapsed"),
        (wrong_state, "no such word of passable; expected Open, .*found maybe"),
        (wrong_number, "no probability that a road is closed; expected 0 to 1; found 7"),
        (elsewhere, "of another product"),
        (other_ids, "of another product"),
        (selection, "save the whole layer, not a selection"),
        (no_layers, "no layer of a product is in the file"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(tmp_path, place, edit, said):
    with pytest.raises(DatasetError, match=said):
        applied(tmp_path, place, edit)


def test_two_products_in_one_file_are_refused(tmp_path, place):
    file = write_product(tmp_path / "one.gpkg", place)
    other = write_product(tmp_path / "two.gpkg", place, prefix="EMSR123_AOI02_GRA_MONIT01")
    with rasterio.Env():
        import pyogrio

        layer = "EMSR123_AOI02_GRA_MONIT01_builtUpA_r1_v1"
        meta, _, geometry, fields = pyogrio.raw.read(other, layer=layer)
        options = {"layer": layer, "driver": "GPKG", "geometry_type": "MultiPolygon", "crs": meta["crs"]}
        pyogrio.raw.write(file, geometry, fields, meta["fields"], append=True, **options)
    with pytest.raises(DatasetError, match="two layers are called builtUpA"):
        read_corrections(file, place.grid)


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0" + b"\0" * 100, b"PK\3\4", b'{"type": "FeatureCollection"']
)
def test_files_that_are_no_product_are_one_clear_error(tmp_path, content):
    file = tmp_path / "x.gpkg"
    file.write_bytes(content)
    with pytest.raises(DatasetError):
        read_corrections(file, Grid(4, 4, 0, 4, 1, "EPSG:32633"))


@settings(max_examples=25)
@given(
    st.integers(2, 6).flatmap(lambda count: arrays(float, (5, count), elements=st.floats(0, 1))),
)
def test_probabilities_of_a_verdict_lead_back_to_it(raw):
    """What a certain building is called by its probabilities is what somebody called it."""
    p = raw + 1e-3
    p /= p.sum(axis=1, keepdims=True)
    given_ = list(VERDICTS)
    sure = certain(p, given_)
    assert np.isnan(sure[4]).all()
    np.testing.assert_allclose(sure[:4].sum(axis=1), 1)
    expected = given_[:4]
    if p.shape[1] == 2:
        expected[1] = "Destroyed"  # of two grades the second is both
    assert cems_verdicts(sure[:4]) == expected
    np.testing.assert_allclose(certain(sure, given_), sure, atol=1e-12)


def test_verdicts_without_a_model_s_opinion_share_alike():
    nothing = np.full((3, 4), np.nan)
    sure = certain(nothing, ["Damaged", "Possibly damaged", "No visible damage"])
    np.testing.assert_allclose(sure, [[0, 0.5, 0.5, 0], [0.5, *[1 / 6] * 3], [1, 0, 0, 0]])
