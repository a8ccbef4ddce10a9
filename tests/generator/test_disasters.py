"""Every bundled disaster from recipe to dataset, on a city of a few houses and tiny pictures."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import shapely
from command_line import TINY, mage, samples_of

from mage.generator.build import build_place
from mage.generator.labels import Truth
from mage.generator.place import Place
from mage.generator.plan import ShardJob, make_plan
from mage.generator.sample import Draft, draw_sample
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.grades import bright, cems, hazus, jds_of_flood, jds_of_structure
from mage.scenes.hazards.flood import prepare_flood
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import Recipe, read_recipe
from mage.scenes.strike import Burn
from mage.scenes.terrain import depth_at

SEVERE = {
    "earthquake": {"kind": "earthquake", "magnitude": [7.8, 8.0], "distance": [0, 1], "depth": [6, 6]},
    "wind": {"kind": "wind", "storm": "tornado", "speed": [85, 95]},
    "fire": {"kind": "fire", "minutes": [200, 200], "ignitions": 4},
}
CHAIN = [SEVERE["earthquake"], SEVERE["fire"], {"kind": "flood"}]


def job_of(hazard: object, **more: object) -> ShardJob:
    tiny = {"city.extent": 160, "output.size": 64, "output.gsd": 1.0, "render.spp": 1, "city.style": "mediterranean"}
    recipe = read_recipe("flood", {**tiny, "hazard": hazard, "count": 2, **more})
    return make_plan(Recipe.model_validate(recipe.model_dump())).jobs[0]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    root = tmp_path_factory.mktemp("chain") / "dataset"
    hazard = f"hazard={json.dumps(CHAIN)}"
    mage("generate", "earthquake-fire", *TINY, "--set", hazard, "--count", "1", "--out", root)
    assert verify_dataset(root).problems == ()
    report = (root / "report.html").read_text()
    assert "An earthquake and then a fire and then a flood" in report
    return samples_of(root)[0]


LONG = pytest.mark.long  # an earthquake and a fire are generated above already, as parts of a chain


@pytest.mark.parametrize("name", [pytest.param("earthquake", marks=LONG), "wind", pytest.param("fire", marks=LONG)])
def test_a_bundled_disaster_is_generated_whole(name: str, tmp_path: Path) -> None:
    root = tmp_path / "dataset"
    mage("generate", name, *TINY, "--count", "1", "--out", root)
    assert verify_dataset(root).problems == ()
    record = samples_of(root)[0].record
    assert record.hazard == name
    assert all(set(b.intensities) == {name} for b in record.buildings)
    assert "flood" not in (root / "report.html").read_text().split("<h2>Recipe")[0].lower().replace("mage-dataset", "")


@cache
def drawn(name: str) -> tuple[ShardJob, Place, Draft]:
    """A disaster's first sample, without benign change."""
    job = job_of(SEVERE[name], between={"changes": [0, 0]})
    place = build_place(job)
    return job, place, draw_sample(job, 0, place, None)


@pytest.mark.parametrize("name", sorted(SEVERE))
def test_a_disaster_has_the_same_labels_every_time_and_others_with_another_seed(name: str) -> None:
    job, place, first = drawn(name)
    again, other = (draw_sample(job, i, place, None) for i in (0, 1))
    assert first.record == again.record
    assert all((first.labels[k] == again.labels[k]).all() for k in first.labels)
    assert any((first.labels[k] != other.labels[k]).any() for k in first.labels)


@pytest.mark.parametrize("name", sorted(SEVERE))
def test_damage_lies_on_buildings_and_what_was_before_is_what_a_flood_finds(name: str) -> None:
    _, place, draft = drawn(name)
    assert ((draft.labels["post_damage"] > 0) == (draft.labels["post_building"] > 0)).all()
    assert any(b.ems98 > 0 for b in draft.record.buildings)
    # a flood of the same place takes its rasters before from the tile alone
    plain = Truth(place, draft.grid).before(draft.vehicles[0])
    assert all((draft.labels[f"pre_{name}"] == raster).all() for name, raster in plain.items())


def test_a_chain_of_three_says_of_each_what_it_did(sample: Sample) -> None:
    record = sample.record
    assert record.hazard == "earthquake-fire-flood"
    assert {"earthquake", "fire"} == set(record.buildings[0].intensities)
    assert any("earthquake" in b.causes for b in record.buildings)
    assert {key.split("_")[0] for key in record.parameters} == {"earthquake", "fire", "flood"}
    assert (sample.labels["post_flood"] > 0).any()


def test_every_closed_road_touches_what_closes_it() -> None:
    """By an independent measure: debris in plan over the carriageway, and water at the image along the line."""
    quake = {**SEVERE["earthquake"], "distance": [0, 0.5]}
    job = job_of(
        [quake, {"kind": "flood", "share": [0.4, 0.5], "recession": [0.2, 0.2]}],
        **{"city.extent": 200, "output.size": 160, "seed": 3},
    )
    place = build_place(job)
    draft = draw_sample(job, 0, place, prepare_flood(place.city, FloodPart()))
    assert draft.struck is not None
    debris = draft.struck.remains.debris
    plans = shapely.polygons(debris.vertices[debris.triangles][..., :2])
    cover = shapely.union_all(plans[shapely.area(plans) > 1e-6], grid_size=1e-3)
    normal = place.water_levels
    reasons = set()
    for road in draft.record.roads:
        edge = place.city.roads.edges[road.edge]
        reasons |= set(road.reason.split(" and ")) - {""}
        if "debris" in road.reason:
            assert edge.line.buffer(edge.width / 2 + 0.5).intersection(cover).area > 0
        if "water" in road.reason:
            points = shapely.get_coordinates(shapely.segmentize(edge.line, 1.0))
            deep = depth_at(place.city.ground, draft.impact.levels, points)
            dry = depth_at(place.city.ground, normal, points) == 0
            assert deep[dry].max() > 0.25
    assert reasons == {"debris", "water"}
    labels = draft.labels
    assert (labels["post_mud"] > 0).any()
    assert not ((labels["post_mud"] > 0) & (labels["post_flood"] > 0)).any()


def test_every_published_scale_follows_from_what_is_stored(sample: Sample) -> None:
    some = [b for b in sample.record.buildings if not b.new]
    visible, ems98 = (np.array([getattr(b, name) for b in some], np.uint8) for name in ("visible", "ems98"))
    water = jds_of_flood(np.array([b.wet_share for b in some]), np.zeros(len(some)))
    burn = np.array([Burn[b.burn.upper()] for b in some], np.uint8)
    least = np.maximum(np.maximum(jds_of_structure(visible), water), np.array([0, 1, 3], np.uint8)[burn])
    assert (np.array([b.jds for b in some]) >= least).all()  # more only where a burning roof is open, or one drowned
    assert ((bright(visible) == 3) == (visible == 5)).all()
    assert [name == "Destroyed" for name in cems(visible)] == (visible == 5).tolist()
    assert [name == "None" for name in hazus(ems98)] == (ems98 == 0).tolist()


def test_closed_roads_have_their_reason_and_only_they(sample: Sample) -> None:
    for road in sample.record.roads:
        assert bool(road.reason) == (not (road.car and road.truck))
        assert road.free_width <= road.width + 1e-6
        if "debris" in road.reason:
            assert road.debris > 0
    closed = {r.id for r in sample.record.roads if not r.car}
    assert set(np.unique(sample.labels["post_road"][sample.labels["post_blocked"] > 0])) <= closed
