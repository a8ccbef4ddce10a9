"""The xBD export, read by a reader that knows the format alone."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from export_cases import (
    changed,
    displaced_sample,
    inside,
    samples_by_key,
    slanted_sample,
    write_annotated_dataset,
    write_rich_dataset,
    write_samples,
)
from fake_dataset import fake_sample
from pyproj import Transformer
from xbd_reader import read_split

from mage.generator.export.run import export_dataset
from mage.scenes.errors import DatasetError

JDS = ("no-damage", "minor-damage", "major-damage", "destroyed")


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("xbd")
    write_rich_dataset(folder / "dataset")
    export_dataset(folder / "dataset", folder / "out", "xbd")
    return folder


def names(out):
    lines = [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]
    return {line["key"]: line for line in lines}


def test_every_sample_is_there_with_its_pixels_and_its_grades(rich):
    samples, named = samples_by_key(rich / "dataset"), names(rich / "out")
    pairs = {split: read_split(rich / "out" / split) for split in ("train", "test")}
    assert {split: len(found) for split, found in pairs.items()} == {"train": 3, "test": 2}
    for key, sample in samples.items():
        pair = pairs[sample.record.split][named[key]["name"]]
        for date in ("pre", "post"):
            assert np.array_equal(pair[date]["image"], sample.images[date])
        assert np.array_equal(pair["pre"]["target"], sample.labels["pre_building"] > 0)
        assert np.array_equal(pair["post"]["target"], sample.labels["post_damage"])
        assert [p["damage"] for p in pair["post"]["xy"]] == [JDS[b.jds] for b in sample.record.buildings]


def test_polygons_filled_by_the_centres_of_pixels_are_the_targets_courts_left_out(rich):
    for split in ("train", "test"):
        for pair in read_split(rich / "out" / split).values():
            drawn = np.zeros_like(pair["post"]["target"])
            for polygon in pair["post"]["xy"]:
                drawn[inside(polygon["rings"], len(drawn))] = 1 + JDS.index(polygon["damage"])
            assert np.array_equal(drawn, pair["post"]["target"])
    court = [
        p for p in read_split(rich / "out" / "train")["atown-flood-0_00000000"]["pre"]["xy"] if len(p["rings"]) > 1
    ]
    assert len(court) == 1


def test_a_building_has_one_uid_before_and_after_and_no_other_building_has_it(rich):
    seen = set()
    for split in ("train", "test"):
        for pair in read_split(rich / "out" / split).values():
            before, after = ([p["uid"] for p in pair[date]["xy"]] for date in ("pre", "post"))
            assert before == after
            assert len(set(before)) == len(before)
            assert seen.isdisjoint(before)
            seen |= set(before)


def test_degrees_are_where_the_pixels_lie_on_the_map(rich):
    back = Transformer.from_crs("EPSG:4326", "EPSG:28992", always_xy=True)
    sample = samples_by_key(rich / "dataset")["atown-flood-000002"]
    pair = read_split(rich / "out" / "train")[names(rich / "out")["atown-flood-000002"]["name"]]
    for building, polygon in zip(sample.record.buildings, pair["post"]["lng_lat"], strict=True):
        ring = np.array(polygon["rings"][0])
        on_map = np.column_stack(back.transform(ring[:, 0], ring[:, 1]))
        wanted = np.array(building.polygons_map[0][0])
        near = np.linalg.norm(on_map[:, None] - wanted[None], axis=-1).min(axis=1)
        assert near.max() < 1e-3


def test_a_city_without_a_place_lies_in_the_ocean_and_the_readme_says_so(rich):
    name = names(rich / "out")["btown-flood-000004"]["name"]
    pair = read_split(rich / "out" / "test")[name]
    corners = np.concatenate([p["rings"][0] for p in pair["post"]["lng_lat"]])
    assert np.abs(corners).max() < 0.1
    assert "no place on Earth" in (rich / "out" / "README.md").read_text()
    place, projection = json.loads((rich / "out" / "xview_geotransforms.json").read_text())[f"{name}_pre_disaster.png"]
    assert place == [4000.0, 0.5, 0.0, 32.0, 0.0, -0.5]
    assert "Azimuthal_Equidistant" in projection


def test_a_map_that_is_not_named_does_not_put_a_town_on_land_and_its_tiles_keep_their_distance(tmp_path):
    west = 691_000.0  # as of a UTM zone that a file does not name
    grids = [
        {"rows": 64, "columns": 64, "west": west + 32 * k, "north": 5_334_000.0, "gsd": 0.5, "crs": None}
        for k in (0, 1)
    ]
    write_samples(tmp_path / "d", [changed(fake_sample(k), grid=grid) for k, grid in enumerate(grids)])
    export_dataset(tmp_path / "d", tmp_path / "out", "xbd")
    places = json.loads((tmp_path / "out" / "xview_geotransforms.json").read_text())
    (first, _), _, (second, _), _ = places.values()
    assert first == [-9000.0, 0.5, 0.0, 34_000.0, 0.0, -0.5]
    assert second[0] - first[0] == 32
    for pair in read_split(tmp_path / "out" / "train").values():
        assert np.abs(np.concatenate([p["rings"][0] for p in pair["pre"]["lng_lat"]])).max() < 0.5


def test_metadata_are_those_of_the_record(rich):
    sample = samples_by_key(rich / "dataset")["atown-flood-000001"]
    pair = read_split(rich / "out" / "train")[names(rich / "out")["atown-flood-000001"]["name"]]
    for date, taken in (("pre", sample.record.pre), ("post", sample.record.post)):
        about = pair[date]["metadata"]
        for name in ("sensor", "off_nadir_angle", "sun_azimuth", "sun_elevation", "target_azimuth"):
            assert about[name] == getattr(taken, name)
        assert about["gsd"] == about["pan_resolution"] == 0.5
        assert about["disaster_type"] == "earthquake"  # the first of a chain
    assert pair["pre"]["metadata"]["catalog_id"] != pair["post"]["metadata"]["catalog_id"]


def test_clocks_are_utc_solar_noon_in_the_netherlands_is_a_quarter_of_an_hour_earlier(rich):
    pair = read_split(rich / "out" / "train")["atown-flood-0_00000000"]
    # the drawn town lies at 3.3 degrees east: 13 minutes and a quarter
    assert pair["pre"]["metadata"]["capture_date"] == "2023-06-14T11:46:45.000Z"


def test_a_house_in_a_slanted_image_is_outlined_where_that_image_shows_it(tmp_path):
    write_samples(tmp_path / "d", [slanted_sample()])
    export_dataset(tmp_path / "d", tmp_path / "out", "xbd")
    pair = read_split(tmp_path / "out" / "train")["testville-flood-0_00000000"]
    left_before, left_after = (pair[d]["xy"][0]["rings"][0] for d in ("pre", "post"))
    assert min(x for x, _ in left_after) - min(x for x, _ in left_before) == 2
    assert max(x for x, _ in left_after) - max(x for x, _ in left_before) == 5
    assert all(0 <= v <= 64 for p in pair["post"]["xy"] for ring in p["rings"] for point in ring for v in point)


def test_outlines_go_with_an_image_that_is_displaced(tmp_path):
    write_samples(tmp_path / "d", [displaced_sample(shift=(3, 2))])
    export_dataset(tmp_path / "d", tmp_path / "out", "xbd")
    (pair,) = read_split(tmp_path / "out" / "train").values()
    drawn = np.any([inside(p["rings"], 64) for p in pair["post"]["xy"]], axis=0)
    assert np.array_equal(drawn[2:, 3:], pair["post"]["target"][2:, 3:] > 0)  # what came in at the edges is not known
    assert pair["pre"]["xy"][0]["rings"] != pair["post"]["xy"][0]["rings"]


def test_annotations_are_taken_where_they_are_graded_as_xbd_is_and_are_the_same_on_both_images(tmp_path):
    write_annotated_dataset(tmp_path / "d", "xbd")
    assert export_dataset(tmp_path / "d", tmp_path / "out", "xbd").labels == "annotated (xbd)"
    samples, named = samples_by_key(tmp_path / "d"), names(tmp_path / "out")
    for key, pair in ((k, read_split(tmp_path / "out" / "train")[n["name"]]) for k, n in named.items()):
        assert [p["rings"] for p in pair["pre"]["xy"]] == [p["rings"] for p in pair["post"]["xy"]]
        annotations = samples[key].record.annotations
        assert [p["damage"] for p in pair["post"]["xy"]] == [JDS[a.grade - 1] for a in annotations]
        assert np.array_equal(pair["post"]["target"], samples[key].labels["post_annotated"])
    exact = export_dataset(tmp_path / "d", tmp_path / "exact", "xbd", labels="exact")
    assert exact.labels == "exact"


def test_annotations_on_another_scale_are_left_and_refused_when_asked_for(tmp_path):
    write_annotated_dataset(tmp_path / "d", "bright")
    assert export_dataset(tmp_path / "d", tmp_path / "out", "xbd").labels == "exact"
    with pytest.raises(
        DatasetError, match="no annotations for xbd; expected label_policy roof or xbd; found label_policy bright"
    ):
        export_dataset(tmp_path / "d", tmp_path / "other", "xbd", labels="annotated")


def test_targets_are_of_the_kind_of_real_ones(shared_data, rich):
    """Of real xBD there are images and masks here, and no JSON."""
    folder = shared_data / "damage" / "xbd_harvey"
    if not folder.is_dir():
        pytest.skip("needs damage/xbd_harvey of the real data")
    ours = next(iter(read_split(rich / "out" / "train").values()))["post"]["target"]
    for path in folder.glob("*_post_mask.png"):
        real = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert (real.dtype, real.ndim) == (ours.dtype, ours.ndim)
        assert set(np.unique(real)) <= set(range(5)) >= set(np.unique(ours))
