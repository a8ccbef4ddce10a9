"""A product's layers: names and attributes of Copernicus EMS, files that GIS programs read, hostile input."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import warnings
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyogrio
import pytest
import shapely
from found import found, nothing_found
from pyogrio import raw
from shapely.geometry import shape

from mage.learning.mapping.findings import Extent, Kind, Observed, Product
from mage.learning.mapping.product import names
from mage.learning.mapping.product.assets import transportation
from mage.learning.mapping.product.check import check_layers
from mage.learning.mapping.product.layers import hot_spots, layers
from mage.learning.mapping.product.names import built_type, event_words, layer_name, product_name, road_type
from mage.learning.mapping.product.styles import CLASSED, style
from mage.learning.mapping.product.write import moment, write_layers
from mage.learning.mapping.vectors import read_features
from mage.scenes.errors import DatasetError, ModelError

PREFIX = "EMSR123_AOI02_GRA_PRODUCT_"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return found(tmp_path_factory.mktemp("found"))


@pytest.fixture(scope="module")
def product(full, tmp_path_factory):
    """The files of a product, by what follows its name."""
    folder = tmp_path_factory.mktemp("product")
    return {str(path.relative_to(folder)).replace(PREFIX, ""): path for path in write_layers(full, folder)}


def package(product) -> Path:
    return product["r1_v1.gpkg"]


def table(path: Path, suffix: str) -> dict[str, list]:
    """A layer of a GeoPackage as GDAL reads it, by column; ``geometry`` as shapes."""
    layer = next(name for name, _ in pyogrio.list_layers(path) if f"_{suffix}_r" in name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a table has no geometries
        meta, _, geometry, fields = raw.read(path, layer=layer)
    found = {name: list(values) for name, values in zip(meta["fields"], fields, strict=True)}
    return found if geometry is None else {**found, "geometry": list(shapely.from_wkb(geometry)), "crs": meta["crs"]}


def test_a_product_holds_the_layers_of_its_kind_in_order(full):
    def suffixes(product):
        return [layer.suffix for layer in layers(replace(full, event=replace(full.event, product=product)))]

    first = ["source", "areaOfInterestA", "imageFootprintA", "notAnalysedA", "observedEventA"]
    crisis, assets = ["ancillaryCrisisInfoA", "ancillaryCrisisInfoL"], ["builtUpA", "builtUpP", "facilitiesP"]
    whole = [*first, *crisis, *assets, "transportationL", "summaryTable", "provenance"]
    assert suffixes(Product.FIRST_ESTIMATE) == [*first, *crisis, "provenance"]
    assert suffixes(Product.DELINEATION) == suffixes(Product.GRADING) == whole


def test_what_was_not_looked_for_has_no_layer_and_what_was_not_found_an_empty_one(tmp_path):
    there = {layer.suffix: len(layer) for layer in layers(nothing_found(tmp_path))}
    assert "transportationL" not in there
    assert "facilitiesP" not in there
    assert there["builtUpA"] == there["observedEventA"] == there["ancillaryCrisisInfoA"] == 0


def test_every_name_is_that_of_the_service(product):
    pattern = r"EMSR\d{3}_AOI\d{2}_(REF|FEP|DEL|GRA)_(PRODUCT|MONIT\d{2})_[a-zA-Z]+[APL]?_r\d+_v\d+"
    found = [name for name, _ in pyogrio.list_layers(package(product)) if name != "layer_styles"]
    assert len(found) == 13
    assert all(re.fullmatch(pattern, name) for name in found)


def test_streets_that_somebody_stated_say_so(full):
    stated = np.arange(len(full.access.roads)) == 1
    (layer,) = transportation(replace(full, access=replace(full.access, stated=stated)))
    assert np.flatnonzero(layer.columns["det_method"] == "Photo-interpretation").tolist() == [1]
    (layer,) = transportation(full)
    assert set(layer.columns["det_method"]) == {"Automatic extraction"}


def test_monitoring_updates_releases_and_versions_are_in_the_name(full):
    event = replace(full.event, product=Product.DELINEATION, monitoring=3, revision=2, version=4, aoi=12)
    assert layer_name(event, "builtUpA") == "EMSR123_AOI12_DEL_MONIT03_builtUpA_r2_v4"
    assert names.NAME.fullmatch(layer_name(event, "source"))["feature"] == "source"


@pytest.mark.parametrize("code", ["", "a/b", "x" * 41, 'EMSR"1', "EMSR 1", "ÉMSR1", "../up", "a_b"])
def test_codes_that_are_no_part_of_a_name_are_refused(full, code):
    with pytest.raises(ModelError, match="no code of an activation"):
        product_name(replace(full.event, activation=code))


def test_numbers_below_the_first_are_refused(full):
    with pytest.raises(ModelError, match="counted from 1"):
        product_name(replace(full.event, aoi=0))


def test_buildings_carry_what_was_found_under_the_attributes_of_the_service(full, product):
    built, buildings = table(package(product), "builtUpA"), full.buildings
    assert built["id"] == buildings.identity.tolist()
    assert built["damage_gra"] == buildings.verdict.tolist()
    assert built["det_method"] == ["Automatic extraction"] * 12
    assert built["obj_type"][8:] == [
        "11-Residential Buildings",
        "12-Non-residential Buildings",
        "999-Unknown",
        "12-Non-residential Buildings",
    ]
    assert built["info"][9].startswith("1263-School")
    assert built["name"][9:] == ["Volksschule", "Unknown", "Säge „Traun“"]
    assert set(built["or_src_id"]) == {3}
    assert set(built["dmg_src_id"]) == {2}
    np.testing.assert_allclose(built["p_damaged"], buildings.damaged, atol=1e-6)
    four = np.transpose([built[name] for name in ("p_no_damage", "p_minor", "p_major", "p_destroyed")])
    np.testing.assert_allclose(four, buildings.grades, atol=1e-6)
    np.testing.assert_allclose(built["z_gi"], buildings.hot.z, atol=1e-6)
    np.testing.assert_allclose(built["p_reach"], buildings.reached, atol=1e-6)
    assert np.isnan(built["minutes"][3])  # cut off
    assert built["minutes"][0] == pytest.approx(buildings.seconds[0] / 60, abs=1e-6)
    # the two in the south-east stand in the water
    assert [k for k, wet in enumerate(built["in_event"]) if wet] == [10, 11]
    outlines = [shapely.multipolygons([outline]) for outline in buildings.outline]
    assert all(a.equals(b) for a, b in zip(built["geometry"], outlines, strict=True))
    points = table(package(product), "builtUpP")
    assert all(a.contains(b) for a, b in zip(buildings.outline, points["geometry"], strict=True))


def test_roads_say_what_closes_them_and_who_gets_through(product):
    roads = table(package(product), "transportationL")
    assert roads["id"] == ["0", "1", "2", "3", "4"]
    assert roads["passable"] == ["Open", "Closed", "Open", "Closed", "Not Analysed"]
    # rubble on the second is damage; under water the fourth's state is not seen
    grades = ["No visible damage", "Damaged", "No visible damage", "Possibly damaged", "Not Analysed"]
    assert roads["damage_gra"] == grades
    np.testing.assert_allclose(roads["p_block_car"], [0, 0.7, 0, 0.95, np.nan])
    np.testing.assert_allclose(roads["length_m"], [40, 18, 14, 24, 24])
    assert set(roads["info"]) == {"21140-Local Road"}
    assert roads["minutes"][0] == 0
    assert roads["minutes"][3] == pytest.approx(40 / (30 / 3.6) / 60, abs=1e-6)


def test_what_was_observed_is_told_in_the_words_of_the_service(product):
    seen = table(package(product), "observedEventA")
    assert seen["id"] == ["flood/1", "debris/1"]
    assert seen["event_type"] == ["5 - Flood", "5 - Flood"]
    assert seen["notation"] == ["Flooded area", "Debris"]
    np.testing.assert_allclose(seen["area"], [0.042, 0.0036])  # hectares
    np.testing.assert_allclose(seen["depth_m"], [0.6, np.nan])
    np.testing.assert_allclose(seen["p_debris"], [np.nan, 0.7])


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("what", ["flood", "burn", "debris"])
@pytest.mark.parametrize("word", ["", "Debris", "Flash flood", "Forest fire", "Tsunami"])
def test_words_for_the_event_stay_within_the_domain(kind, what, word):
    event, description, _ = event_words(kind, what, word)
    assert description in (*names.EVENTS[event], "Unknown")
    assert word not in names.EVENTS[event] or description == word


def test_hot_spots_most_affected_areas_what_is_cut_off_and_the_route_are_there(full, product):
    crisis = table(package(product), "ancillaryCrisisInfoA")
    assert crisis["obj_desc"] == ["Hot spot of damage", *["Most affected area"] * 6, "Isolated area"]
    assert crisis["name"][1:7] == [area.name for area in full.areas]
    np.testing.assert_allclose(crisis["rank"], [np.nan, *range(1, 7), np.nan])
    np.testing.assert_allclose(crisis["damaged_high"][1:7], [area.high for area in full.areas])
    hot = full.buildings.outline[full.buildings.hot.hot]
    assert all(crisis["geometry"][0].contains(outline) for outline in hot)
    route = table(package(product), "ancillaryCrisisInfoL")
    assert route["length_m"] == [64]
    assert route["geometry"][0].equals(full.access.route.line)


def test_hot_spots_end_at_the_border_of_the_area(full):
    west, south, _, north = full.area.bounds
    narrow = replace(full, area=shapely.box(west, south, west + 30, north))
    spots, whole = hot_spots(narrow), hot_spots(full)
    assert len(spots) > 0
    assert shapely.union_all(spots).equals(shapely.union_all(whole).intersection(narrow.area))
    assert shapely.union_all(whole).area > shapely.union_all(spots).area


def test_sources_have_dates_sizes_and_phases_as_the_service_writes_them(product):
    sources = table(package(product), "source")
    assert sources["src_date"][:3] == ["04/05/2026", "09/06/2026", "Not Applicable"]
    assert sources["source_tm"][1] == "T09:58:07Z"
    assert sources["sensor_gsd"][0] == "0.5 m"
    assert sources["eventphase"] == ["Pre-event", "Post-event", *["Not applicable"] * 4]
    assert sources["src_id"] == [1, 2, 3, 4, 5, 6]


def test_what_no_image_shows_is_not_analysed(full):
    west = shapely.box(*full.area.bounds[:2], full.area.bounds[0] + 32, full.area.bounds[3])
    hidden = {layer.suffix: layer for layer in layers(replace(full, seen=west))}["notAnalysedA"]
    assert hidden.geometry[0].equals(full.area.difference(west))
    assert hidden.columns["area"].tolist() == [0.1536]


def test_a_delineation_has_no_grades(full):
    event = replace(full.event, product=Product.DELINEATION)
    built = {layer.suffix: layer for layer in layers(replace(full, event=event))}["builtUpA"].columns
    assert set(built["damage_gra"]) == {"Not Analysed"}
    assert not {"p_damaged", "p_destroyed", "entropy", "z_gi", "hot"} & set(built)
    assert built["in_event"].sum() == 2


def test_models_of_other_grades_have_numbered_probabilities(full):
    two = replace(full.buildings, grades=np.repeat([[0.25, 0.75]], 12, axis=0))
    built = {layer.suffix: layer for layer in layers(replace(full, buildings=two))}["builtUpA"].columns
    assert built["p_grade_0"].tolist() == [0.25] * 12
    assert "p_minor" not in built


def test_the_check_finds_nothing_wrong_with_what_is_written(product):
    assert check_layers(package(product)) == []


@pytest.mark.parametrize("crs", ["EPSG:32633", None, "EPSG:28992"])
def test_products_of_nothing_and_of_nowhere_are_sound(tmp_path, crs):
    written = write_layers(nothing_found(tmp_path, crs), tmp_path / "product")
    assert check_layers(written[0]) == []
    assert any(path.suffix == ".json" for path in written) == (crs is not None)


def test_a_frame_that_is_nowhere_on_earth_is_the_standards_undefined_cartesian_one(tmp_path):
    path = write_layers(found(tmp_path, None), tmp_path / "product")[0]
    with closing(sqlite3.connect(path)) as file:
        assert set(file.execute("SELECT srs_id FROM gpkg_geometry_columns")) == {(-1,)}
    assert check_layers(path) == []
    built = read_features(path, None, 2, layer=f"{PREFIX}builtUpA_r1_v1")
    assert len(built) == 12


def test_two_runs_write_the_same_bytes(full, product, tmp_path):
    again = write_layers(full, tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in product.values()]


def test_files_carry_the_time_of_the_image_after_and_never_that_of_now(full, product):
    with closing(sqlite3.connect(package(product))) as file:
        assert set(file.execute("SELECT last_change FROM gpkg_contents")) == {("2026-06-09T09:58:07.000Z",)}
    assert moment(replace(full, sources=())) == "1970-01-01T00:00:00.000Z"
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None  # and GDAL's clock goes on after it


def test_geojson_is_that_of_rfc_7946(full, product):
    for name in ("builtUpA", "observedEventA", "transportationL", "ancillaryCrisisInfoA"):
        content = json.loads(product[f"geojson/{name}_r1_v1.json"].read_text())
        assert "crs" not in content
        assert content["features"]
        for feature in content["features"]:
            geometry = shape(feature["geometry"])
            assert shapely.get_coordinates(geometry).tolist() == shapely.get_coordinates(geometry).round(7).tolist()
            assert 15 - 1e-3 < geometry.centroid.x < 15 + 1e-3
            for part in shapely.get_parts(geometry):
                assert part.geom_type != "Polygon" or part.exterior.is_ccw
    grades = [
        f["properties"]["damage_gra"]
        for f in json.loads(product["geojson/builtUpA_r1_v1.json"].read_text())["features"]
    ]
    assert grades == full.buildings.verdict.tolist()


def test_geojson_and_geoparquet_lie_where_the_geopackage_does(product):
    path = package(product)
    there = read_features(path, "EPSG:32633", 2, layer=f"{PREFIX}builtUpA_r1_v1")
    for name in ("geojson/builtUpA_r1_v1.json", "geoparquet/builtUpA_r1_v1.parquet"):
        here = read_features(product[name], "EPSG:32633", 2)
        assert list(here.attributes["id"]) == list(there.attributes["id"])
        assert list(here.attributes) == list(there.attributes)
        assert max(shapely.hausdorff_distance(here.geometry, there.geometry)) < 0.02  # 7 decimals are 1 cm


def test_unknown_numbers_are_null_in_every_format(product):
    import pyarrow.parquet as pq

    column = pq.read_table(product["geoparquet/builtUpA_r1_v1.parquet"])["p_damaged"]
    assert column.null_count == 1
    features = json.loads(product["geojson/builtUpA_r1_v1.json"].read_text())["features"]
    assert features[11]["properties"]["p_damaged"] is None
    with closing(sqlite3.connect(package(product))) as file:
        query = f'SELECT COUNT(*) FROM "{PREFIX}builtUpA_r1_v1" WHERE p_damaged IS NULL'
        assert file.execute(query).fetchone() == (1,)


def test_geopandas_reads_every_file(product):
    geopandas = pytest.importorskip("geopandas")
    for name, path in product.items():
        if name.startswith("geoparquet/"):
            frame = geopandas.read_parquet(path)
            assert frame.crs.to_epsg() == 32633
            assert frame.is_valid.all()


def test_styles_tell_the_classes_that_layers_hold_apart(full, product):
    for layer in layers(full):
        if layer.geometry is None:
            continue
        document = product[f"styles/{layer.suffix}_r1_v1.qml"].read_text()
        assert document == style(layer)
        renderer = ElementTree.fromstring(document).find("renderer-v2")
        symbols = {symbol.get("name"): symbol.get("type") for symbol in renderer.iter("symbol")}
        assert set(symbols.values()) == {{"A": "fill", "P": "marker", "L": "line"}[layer.suffix[-1]]}
        if layer.feature in CLASSED:
            categories = {c.get("value"): c.get("symbol") for c in renderer.iter("category")}
            assert set(layer.columns[renderer.get("attr")]) <= set(categories)
            assert set(categories.values()) == set(symbols)


def test_qgis_finds_a_default_style_for_each_layer(product):
    with closing(sqlite3.connect(package(product))) as file:
        styled = dict(file.execute("SELECT f_table_name, styleQML FROM layer_styles WHERE useAsDefault = 1"))
        drawn = {row[0] for row in file.execute("SELECT table_name FROM gpkg_geometry_columns")}
        times = {row[0] for row in file.execute("SELECT update_time FROM layer_styles")}
    assert set(styled) == drawn
    assert times == {"2026-06-09T09:58:07Z"}
    assert styled[f"{PREFIX}builtUpA_r1_v1"] == product["styles/builtUpA_r1_v1.qml"].read_text()


def test_tables_are_csv_that_no_spreadsheet_takes_for_formulas(full, tmp_path):
    source = replace(full.sources[0], name='=HYPERLINK("x"),"', licence="CC BY 4.0, eigen")
    written = write_layers(replace(full, sources=(source, *full.sources[1:])), tmp_path)
    path = next(path for path in written if path.name.endswith("source_r1_v1.csv"))
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["source_nam"] == '\'=HYPERLINK("x"),"'
    assert rows[0]["licence"] == "CC BY 4.0, eigen"
    assert rows[1]["src_id"] == "2"


ODD = [
    "O'Brien's \"House\"",
    "Ünïcödé 東京 🏚",
    "x" * 5000,
    "a\x00b\x1f\r\n",
    "half \ud83d",
    "]]>&<tag>",
    "'; DROP TABLE x; --",
]


def test_odd_names_come_through_whole_or_without_what_files_cannot_hold(full, tmp_path):
    name = full.buildings.name.astype("<U5000").copy()
    name[: len(ODD)] = ODD
    odd = replace(
        full,
        buildings=replace(full.buildings, name=name),
        event=replace(full.event, name=ODD[0]),
        areas=tuple(replace(area, name=ODD[k]) for k, area in enumerate(full.areas)),
        corrections=tuple(ODD),
    )
    written = write_layers(odd, tmp_path)
    assert check_layers(written[0]) == []
    built = table(written[0], "builtUpA")["name"]
    assert built[:3] == ODD[:3]
    assert built[3] == "a b   "
    assert built[4] == "half ?"
    assert built[5:7] == ODD[5:]
    features = json.loads(next(p for p in written if p.name.endswith("builtUpA_r1_v1.json")).read_text())["features"]
    assert [feature["properties"]["name"] for feature in features] == built


def test_broken_and_compound_outlines_become_valid_polygons(full):
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    mixed = shapely.GeometryCollection([shapely.box(0, 0, 1, 1), shapely.LineString([(5, 5), (6, 6)])])
    nested = shapely.GeometryCollection([shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)])])
    high = shapely.Polygon([(0, 0, 7), (1, 0, 7), (1, 1, 7)])
    outlines = np.array([bow, mixed, nested, high], dtype=object)
    extent = Extent("flood", outlines, np.full(4, np.nan), np.full(4, "Riverine flood"))
    seen = {layer.suffix: layer for layer in layers(replace(full, observed=Observed((extent,))))}["observedEventA"]
    assert all(shapely.is_valid(seen.geometry))
    assert not any(shapely.has_z(seen.geometry))
    assert shapely.area(seen.geometry).tolist() == [50, 1, 2, 0.5]
    assert {part.geom_type for part in seen.geometry} == {"MultiPolygon"}


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(full, tmp_path):
    (tmp_path / "product").write_text("a file")
    with pytest.raises(DatasetError):
        write_layers(full, tmp_path / "product")
    assert (tmp_path / "product").read_text() == "a file"


def test_uses_and_roads_are_classed_as_eurostat_does():
    assert built_type("Hospital ") == ("12-Non-residential Buildings", "1264-Hospital or institutional care buildings")
    assert built_type("fire_station")[1].startswith("1274")
    assert road_type("motorway", lifted=False)[1] == "21110-Motorway"
    assert road_type("track", lifted=True) == (
        "214-Bridges, Elevated Highways, Tunnels and Subways",
        "21150-Cart Track",
    )


def broken(product, tmp_path, *statements: str) -> list[str]:
    """What the check says of a product after some SQL."""
    path = tmp_path / "edited.gpkg"
    path.write_bytes(package(product).read_bytes())
    with closing(sqlite3.connect(path)) as file:
        file.create_function("ST_IsEmpty", 1, lambda _: 0)  # which triggers of the R-tree call
        for bound in ("MinX", "MaxX", "MinY", "MaxY"):
            file.create_function(f"ST_{bound}", 1, lambda _: 0.0)
        for statement in statements:
            file.execute(statement.replace("@", PREFIX))
        file.commit()
    return check_layers(path)


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE \"@builtUpA_r1_v1\" SET damage_gra = 'Ruined' WHERE fid = 1", "damage_gra is 'Ruined'"),
        ('UPDATE "@builtUpA_r1_v1" SET det_method = NULL WHERE fid = 1', "det_method is None"),
        ("UPDATE \"@builtUpA_r1_v1\" SET id = 'way/102' WHERE fid = 1", "'way/102' is not given once"),
        ('UPDATE "@builtUpA_r1_v1" SET dmg_src_id = 77 WHERE fid = 1', "77 is no source"),
        ('UPDATE "@builtUpA_r1_v1" SET p_damaged = 1.5 WHERE fid = 1', "1.5, beyond 0 to 1"),
        ('UPDATE "@builtUpA_r1_v1" SET geom = NULL WHERE fid = 1', "no geometry that can be read"),
        ('DROP TABLE "rtree_@builtUpA_r1_v1_geom"', "has no R-tree"),
        ('DELETE FROM "rtree_@builtUpA_r1_v1_geom" WHERE id = 3', "does not hold all"),
        ("DELETE FROM layer_styles WHERE f_table_name LIKE '%builtUpA%'", "0 default styles"),
        ("UPDATE layer_styles SET styleQML = '<qgis>' WHERE id = 1", "is no XML"),
        ("UPDATE layer_styles SET styleQML = replace(styleQML, 'damage_gra', 'gone')", "does not draw it"),
        ("UPDATE layer_styles SET styleQML = '<!DOCTYPE a [<!ENTITY b \"c\">]><qgis/>'", "not one that is read"),
        ("DROP TABLE layer_styles", "no table 'layer_styles'"),
        ('ALTER TABLE "@builtUpA_r1_v1" DROP COLUMN info', "no attribute 'info'"),
        ("PRAGMA application_id = 0", "not marked as a GeoPackage"),
        ("UPDATE gpkg_geometry_columns SET geometry_type_name = 'POINT' WHERE table_name LIKE '%builtUpA%'", "POINT"),
        ("UPDATE gpkg_geometry_columns SET srs_id = 4326 WHERE table_name LIKE '%builtUpA%'", "layers of one frame"),
        ("DELETE FROM gpkg_spatial_ref_sys WHERE srs_id = -1", "srs_id -1 is not there"),
        ("DELETE FROM gpkg_contents WHERE table_name LIKE '%builtUpP%'", "no layer 'builtUpP'"),
    ],
)
def test_the_check_finds_what_an_edit_broke(product, tmp_path, statement, problem):
    found = broken(product, tmp_path, statement)
    assert any(problem in line for line in found), found


def test_the_check_finds_invalid_geometries(full, product, tmp_path):
    path = tmp_path / "edited.gpkg"
    path.write_bytes(package(product).read_bytes())
    bow = shapely.MultiPolygon([shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])])
    head = b"GP\x00\x01" + (32633).to_bytes(4, "little")
    with closing(sqlite3.connect(path)) as file:
        name = f"{PREFIX}observedEventA_r1_v1"
        for trigger in file.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (name,)
        ).fetchall():
            file.execute(f'DROP TRIGGER "{trigger[0]}"')
        file.execute(f'UPDATE "{name}" SET geom = ? WHERE fid = 1', (head + bow.wkb,))
        file.execute(
            f'UPDATE "{name}" SET geom = ? WHERE fid = 2', (b"GP\x00\x01\x00\x00\x00\x00" + shapely.Point(0, 0).wkb,)
        )
        file.commit()
    found = check_layers(path)
    assert any("Self-intersection" in line for line in found)
    assert any("feature 2: a Point" in line for line in found)
    assert any("in another frame" in line for line in found)


@pytest.mark.parametrize("content", [b"", b"no database at all", b"SQLite format 3\x00" + bytes(84)])
def test_files_that_are_no_geopackage_are_said_to_be_none(tmp_path, content):
    path = tmp_path / "not?#.gpkg"
    path.write_bytes(content)
    assert check_layers(path)
    assert check_layers(tmp_path / "missing.gpkg")


@pytest.mark.parametrize("cut", [1000, 50_000, 100_000])
def test_a_cut_geopackage_is_a_list_of_problems(product, tmp_path, cut):
    path = tmp_path / "cut.gpkg"
    path.write_bytes(package(product).read_bytes()[:cut])
    assert check_layers(path)
