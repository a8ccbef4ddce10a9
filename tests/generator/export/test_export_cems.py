"""The vector layers of Copernicus EMS, read as plain GeoJSON."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from export_cases import displaced_sample, samples_by_key, shaken_sample, write_rich_dataset, write_samples
from fake_dataset import fake_sample
from pyproj import Transformer
from shapely import unary_union
from shapely.geometry import box, shape

from mage.generator.export.run import export_dataset
from mage.scenes.dataset.schema import Sample

NAME = re.compile(r"EMSR[0-9]{3}_AOI[0-9]{2,}_(REF|FEP|DEL|GRA)_(PRODUCT|MONIT[0-9]{2})_[a-zA-Z]+_r[0-9]+_v[0-9]+")
GRADES = {"Destroyed", "Damaged", "Possibly damaged", "No visible damage", "Not Analysed"}
LAYERS = (
    "source",
    "areaOfInterestA",
    "imageFootprintA",
    "observedEventA",
    "builtUpA",
    "builtUpP",
    "transportationL",
)


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cems")
    write_rich_dataset(folder / "dataset")
    export_dataset(folder / "dataset", folder / "out", "cems")
    return folder


def packages(out):
    """Layers of each sample by its key: features with their geometry as shapely has it."""
    found = {}
    for line in (out / "samples.jsonl").read_text().splitlines():
        entry = json.loads(line)
        folder, layers = out / entry["split"] / entry["name"], {}
        for path in folder.iterdir():
            content = json.loads(path.read_text())
            assert NAME.fullmatch(path.stem)
            assert content["name"] == path.stem
            assert content["type"] == "FeatureCollection"
            layers[path.stem.split("_")[4]] = content["features"]
        found[entry["key"]] = layers
    return found


def all_geometries(layers):
    return [shape(f["geometry"]) for features in layers.values() for f in features if f["geometry"]]


def test_each_sample_has_all_layers_and_all_geometries_are_valid_degrees(rich):
    found = packages(rich / "out")
    assert set(found) == set(samples_by_key(rich / "dataset"))
    for layers in found.values():
        assert set(layers) == set(LAYERS)
        for geometry in all_geometries(layers):
            assert geometry.is_valid
            assert not geometry.is_empty
            west, south, east, north = geometry.bounds
            assert -180 <= west <= east <= 180
            assert -90 <= south <= north <= 90
            for part in getattr(geometry, "geoms", [geometry]):
                assert part.geom_type != "Polygon" or part.exterior.is_ccw


def test_footprints_come_back_to_the_map_within_a_ten_millionth_of_a_degree(rich):
    there = Transformer.from_crs("EPSG:28992", "EPSG:4326", always_xy=True)
    for key, sample in samples_by_key(rich / "dataset").items():
        if sample.record.grid.crs is None:
            continue
        features = packages(rich / "out")[key]["builtUpA"]
        for building, feature in zip(sample.record.buildings, features, strict=True):
            corners = np.concatenate([np.array(ring) for ring in building.polygons_map[0]])
            wanted = np.column_stack(there.transform(corners[:, 0], corners[:, 1]))
            polygon = shape(feature["geometry"])
            found = np.concatenate([np.array(r.coords) for r in (polygon.exterior, *polygon.interiors)])
            assert len(found) == len(wanted)
            assert np.abs(found[:, None] - wanted[None]).max(axis=-1).min(axis=1).max() < 1e-7


def test_points_lie_in_their_footprints_with_the_same_attributes(rich):
    for layers in packages(rich / "out").values():
        for area, point in zip(layers["builtUpA"], layers["builtUpP"], strict=True):
            assert shape(area["geometry"]).covers(shape(point["geometry"]))
            assert area["properties"] == point["properties"]
            assert {"obj_type", "name", "info", "damage_gra", "det_method", "notation"} <= set(area["properties"])
            assert area["properties"]["damage_gra"] in GRADES


def test_a_whole_roof_in_water_is_possibly_damaged_and_a_dry_one_is_not(rich):
    sample = samples_by_key(rich / "dataset")["atown-flood-000002"]
    grades = [f["properties"]["damage_gra"] for f in packages(rich / "out")["atown-flood-000002"]["builtUpP"]]
    expected = {0: "No visible damage", 1: "Possibly damaged", 2: "Possibly damaged", 3: "Destroyed"}
    assert grades == [expected[b.jds] for b in sample.record.buildings]


def test_what_shaking_did_to_roofs_is_graded_as_it_is_seen(tmp_path):
    sample = shaken_sample()
    told = sample.record.buildings
    write_samples(tmp_path / "d", [sample])
    export_dataset(tmp_path / "d", tmp_path / "out", "cems")
    features = packages(tmp_path / "out")["testville-flood-000000"]["builtUpP"]
    seen = {b.visible: f["properties"]["damage_gra"] for b, f in zip(told, features, strict=True) if b.visible > 2}
    assert seen == {3: "Damaged", 4: "Damaged", 5: "Destroyed"}


def test_a_house_under_cloud_is_not_analysed(tmp_path):
    sample = fake_sample(0)
    labels = sample.labels | {"post_cloud": np.where(sample.labels["post_building"] == 1, 90, 0).astype(np.uint8)}
    write_samples(tmp_path / "d", [Sample(sample.record, sample.images, labels)])
    export_dataset(tmp_path / "d", tmp_path / "out", "cems")
    grades = [f["properties"]["damage_gra"] for f in packages(tmp_path / "out")["testville-flood-000000"]["builtUpA"]]
    assert grades[0] == "Not Analysed"
    assert "Not Analysed" not in grades[1:]


def test_flood_water_is_the_observed_event_pixel_by_pixel(rich):
    sample = samples_by_key(rich / "dataset")["atown-flood-000002"]
    back = Transformer.from_crs("EPSG:4326", "EPSG:28992", always_xy=True)
    area = 0.0
    for feature in packages(rich / "out")["atown-flood-000002"]["observedEventA"]:
        assert feature["properties"]["event_type"] == "5 - Flood"
        assert feature["properties"]["notation"] == "Flooded area"
        polygon = shape(feature["geometry"])
        for sign, ring in [(1, polygon.exterior), *((-1, r) for r in polygon.interiors)]:
            xy = np.column_stack(back.transform(*np.array(ring.coords).T))
            x, y = (xy - xy[0]).T
            area += sign * abs(float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))) / 2
    assert area == pytest.approx(0.25 * sample.labels["post_flood"].sum(), rel=1e-4)


def test_water_lies_on_the_ground_however_the_image_that_shows_it_is_displaced(tmp_path):
    places = []
    for name, shift in (("as-it-is", (0, 0)), ("displaced", (4, 2))):
        write_samples(tmp_path / name, [displaced_sample(shift=shift)])
        export_dataset(tmp_path / name, tmp_path / f"{name}-out", "cems")
        (layers,) = packages(tmp_path / f"{name}-out").values()
        places.append(unary_union([shape(f["geometry"]) for f in layers["observedEventA"]]))
    west, south, east, north = shape(layers["areaOfInterestA"][0]["geometry"]).bounds
    x, y = (east - west) / 8, (north - south) / 8  # what came in at the edges of the displaced one is not known
    left, moved = (place.intersection(box(west + x, south + y, east - x, north - y)) for place in places)
    assert left.area > 0
    assert left.symmetric_difference(moved).area < 1e-3 * left.area


def test_roads_say_what_closes_them(rich):
    sample = samples_by_key(rich / "dataset")["atown-flood-000002"]
    features = packages(rich / "out")["atown-flood-000002"]["transportationL"]
    for road, feature in zip(sample.record.roads, features, strict=True):
        wet = "water" in road.reason
        assert feature["properties"]["damage_gra"] == ("Possibly damaged" if wet else "No visible damage")
        assert ("water on it" in feature["properties"]["info"]) == wet


def test_the_source_table_holds_both_images(rich):
    before, after = (f["properties"] for f in packages(rich / "out")["atown-flood-000000"]["source"])
    assert (before["eventphase"], after["eventphase"]) == ("Pre-event", "Post-event")
    assert before["src_date"] == "14/06/2023"
    assert before["source_tm"] == "T11:46:45Z"
    assert before["sensor_gsd"] == "0.5 m"
