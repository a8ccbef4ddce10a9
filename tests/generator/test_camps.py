"""A camp from recipe to picture: tents stand after only, each with its number, where the disaster has not come."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from command_line import TINY, mage, refused, samples_of

from mage.generator.build import build_place
from mage.generator.camps import cleared, draw_camp, struck_by
from mage.generator.labels import Truth
from mage.generator.place import Place
from mage.generator.plan import ShardJob, make_plan
from mage.generator.props import vehicle_prototypes
from mage.generator.sample import Draft, draw_sample
from mage.scenes.dataset.fields import LandClass
from mage.scenes.dataset.invariants import label_problems
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.hazards.chain import chained
from mage.scenes.hazards.earthquake import sample_earthquake
from mage.scenes.hazards.flood import prepare_flood
from mage.scenes.hazards.reached import reached
from mage.scenes.impact import plans_of
from mage.scenes.parts import CampPart, EarthquakePart, FloodPart
from mage.scenes.recipe import read_recipe
from mage.scenes.terrain import depth_at

CAMP = {"kind": "camp", "tents": [25, 40]}
EARTHQUAKE = {"kind": "earthquake", "magnitude": [7.6, 7.8], "distance": [0, 1], "depth": [6, 6]}
FLOOD = {"kind": "flood", "share": [0.2, 0.4]}


def job_of(*hazards: object, **more: object) -> ShardJob:
    hazard = hazards[0] if len(hazards) == 1 else list(hazards)
    tiny = {"city.extent": 200, "output.size": 96, "output.gsd": 1.0, "city.style": "village"}
    return make_plan(read_recipe("flood", {**tiny, "hazard": hazard, "count": 2, **more})).jobs[0]


def problems(draft: Draft) -> list[str]:
    return label_problems(Sample(draft.record, {}, draft.labels))


@pytest.fixture(scope="module")
def job() -> ShardJob:
    return job_of(CAMP, between={"hold": True})


@pytest.fixture(scope="module")
def place(job: ShardJob) -> Place:
    return build_place(job)


@pytest.fixture(scope="module")
def draft(job: ShardJob, place: Place) -> Draft:
    return draw_sample(job, 0, place, None)


def test_a_tile_shows_the_camp_and_breaks_no_rule(draft: Draft) -> None:
    assert problems(draft) == []
    assert draft.record.hazard == "camp"
    assert len(draft.record.tents) >= 10
    assert draft.record.parameters["tents"] >= len(draft.record.tents)


def test_every_tent_has_its_number_at_the_pixels_in_its_plan_and_nowhere_else(draft: Draft) -> None:
    x, y = (a.reshape(draft.grid.shape) for a in draft.grid.points().T)
    tent, camp = draft.labels["post_tent"], draft.between.camp
    assert camp is not None
    plans = camp.tents()
    inner, outer = shapely.union_all(shapely.buffer(plans, -0.3)), shapely.union_all(shapely.buffer(plans, 0.05))
    assert (tent[shapely.contains_xy(inner, x, y)] > 0).all()
    assert (tent[~shapely.contains_xy(outer, x, y)] == 0).all()
    for record in draft.record.tents:
        shape = shapely.union_all([shapely.Polygon(rings[0]) for rings in record.polygons_px]).buffer(0.1)
        row, column = np.nonzero(tent == record.id)
        assert len(row)
        assert shapely.contains_xy(shape, column + 0.5, row + 0.5).all()


def test_tents_are_a_class_of_their_own_of_a_tents_height_and_tracks_are_bare(draft: Draft) -> None:
    labels = draft.labels
    tent, top = labels["post_tent"] > 0, labels["post_class"]
    covered = np.isin(top, (LandClass.TREE, LandClass.VEHICLE))
    assert (top[tent & ~covered] == LandClass.TENT).all()
    assert (top[~tent] != LandClass.TENT).all()
    tall = labels["post_height"][tent & ~covered]
    assert 60 < np.median(tall) < 260
    assert tall.max() < 320
    worn = (labels["pre_class"] == LandClass.GRASS) & (top == LandClass.BARE)
    assert worn.sum() > 20


def test_before_a_camp_and_beside_it_all_is_as_it_was(draft: Draft, place: Place) -> None:
    labels, camp = draft.labels, draft.between.camp
    assert camp is not None
    plain = Truth(place, draft.grid).before(draft.vehicles[0])
    assert all((labels[f"pre_{name}"] == raster).all() for name, raster in plain.items())
    around = shapely.union_all([*shapely.buffer(camp.plans(), 0.5), *(t.buffer(2) for t in camp.tracks)])
    x, y = (a.reshape(draft.grid.shape) for a in draft.grid.points().T)
    beside = ~shapely.contains_xy(around, x, y)
    for name in ("class", "height", "building", "road", "water"):
        assert (labels[f"pre_{name}"] == labels[f"post_{name}"])[beside].all()


def test_a_camp_damages_nothing(draft: Draft) -> None:
    for b in draft.record.buildings:
        assert (b.ems98, b.visible, b.jds, b.loss, b.causes, b.intensities) == (0, 0, 0, 0.0, [], {})
    assert all(road.car and road.truck for road in draft.record.roads)
    for name in ("debris", "burn", "flood", "mud", "blocked"):
        assert not draft.labels[f"post_{name}"].any()


def test_no_car_and_nothing_new_stands_in_a_tent(place: Place) -> None:
    job = job_of(CAMP, between={"changes": [1, 1]})
    for index in range(2):
        draft = draw_sample(job, index, place, None)
        assert problems(draft) == []
        camp, cars = draft.between.camp, draft.vehicles[1]
        assert camp is not None
        kinds = cars.prototype.astype(np.uint8)
        assert len(vehicle_prototypes()) > kinds.max()
        new = [*plans_of(cars.position[:, :2], cars.heading, kinds), *draft.between.change.plans(1)]
        assert not len(shapely.STRtree(new).query(camp.plans(), predicate="intersects")[0])


def test_the_same_camp_every_time_and_another_with_another_sample(job: ShardJob, place: Place, draft: Draft) -> None:
    again, other = draw_sample(job, 0, place, None), draw_sample(job, 1, place, None)
    assert again.record == draft.record
    assert (again.labels["post_tent"] == draft.labels["post_tent"]).all()
    assert other.record.tents != draft.record.tents


def test_a_sample_without_a_camp_has_no_tents(place: Place) -> None:
    draft = draw_sample(job_of(EARTHQUAKE), 0, place, None)
    assert draft.record.tents == []
    assert draft.labels["post_tent"].dtype == np.uint16
    assert not draft.labels["post_tent"].any()


def test_after_an_earthquake_tents_keep_from_debris_and_buildings_keep_their_grades(place: Place) -> None:
    job = job_of(EARTHQUAKE, CAMP)
    draft = draw_sample(job, 0, place, None)
    assert problems(draft) == []
    assert draft.record.hazard == "earthquake-camp"
    assert draft.record.tents
    assert any(b.ems98 >= 2 for b in draft.record.buildings)
    assert {cause for b in draft.record.buildings for cause in b.causes} == {"earthquake"}
    assert all(set(b.intensities) == {"earthquake"} for b in draft.record.buildings)
    assert draft.struck is not None
    lying = shapely.multipoints(draft.struck.remains.mesh.vertices[:, :2])
    camp = draft.between.camp
    assert camp is not None
    assert not shapely.dwithin(camp.plans(), lying, 0.4).any()


@pytest.mark.parametrize("seed", range(3))
def test_a_camp_after_an_earthquake_leaves_every_grade_and_cause_as_it_was(place: Place, seed: int) -> None:
    part = EarthquakePart(magnitude=(7.6, 7.8), distance=(0, 1), depth=(6, 6))
    strike = sample_earthquake(np.random.default_rng(seed), place.city, part)
    camp = draw_camp(job_of(EARTHQUAKE, CAMP, seed=seed), 0, place, [strike], None)
    assert camp is not None
    both = chained([strike, struck_by(camp, place)])
    for name in ("ems98", "p_grade", "loss", "collapse", "covering_lost", "burn", "trees", "severity"):
        assert np.allclose(getattr(both, name), getattr(strike, name), rtol=0, atol=1e-12)
    spoilt = reached(place.city, [strike])
    assert not (place.city.ground.sample(camp.xy, spoilt.astype(float)) > 0.75).any()


def test_after_a_flood_tents_stand_in_the_dry(place: Place) -> None:
    job = job_of(FLOOD, CAMP)
    basis = prepare_flood(place.city, FloodPart(share=(0.2, 0.4)))
    for index in range(2):
        draft = draw_sample(job, index, place, basis)
        assert problems(draft) == []
        assert draft.labels["post_flood"].any()
        camp = draft.between.camp
        assert camp is not None
        corners = shapely.get_coordinates(camp.plans())
        assert (depth_at(place.city.ground, draft.impact.highest, corners) == 0).all()


def test_water_takes_the_tents_that_it_reaches(place: Place, draft: Draft) -> None:
    camp = draft.between.camp
    assert camp is not None
    everywhere = replace(draft.impact, highest=place.city.ground.heights + 1.0)
    assert len(cleared(camp, place, everywhere, None)) == 0
    assert len(cleared(camp, place, draft.impact, None)) == len(camp)


def test_a_city_without_room_after_a_disaster_gets_no_tents(place: Place) -> None:
    job = job_of(EARTHQUAKE, CAMP)
    strike = replace(
        sample_earthquake(np.random.default_rng(0), place.city, EarthquakePart()),
        severity=np.ones(place.city.ground.heights.shape),
    )
    camp = draw_camp(job, 0, place, [strike], None)
    assert camp is not None
    assert len(camp) == 0
    assert len(camp.plans()) == 0


def test_a_camp_is_the_last_of_a_chain() -> None:
    assert job_of(EARTHQUAKE, CAMP).recipe.disaster == "earthquake-camp"
    assert isinstance(job_of(EARTHQUAKE, CAMP).recipe.hazards[1], CampPart)
    with pytest.raises(Exception, match="a camp comes last in a chain"):
        job_of(CAMP, EARTHQUAKE)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("camp") / "dataset"
    more = ("--style", "village", "--set", "between.hold=true", "--set", f"hazard={json.dumps(CAMP)}")
    mage("generate", "camp", *TINY, "--count", "1", *more, "--out", root)
    return root


def test_the_bundled_camp_is_generated_whole_and_counted(generated: Path) -> None:
    assert verify_dataset(generated).problems == ()
    sample = samples_of(generated)[0]
    count = len(sample.record.tents)
    assert count >= 10
    assert json.loads(mage("info", generated, "--json").stdout)["counts"]["tents"] == count
    assert f"{count} tents" in (generated / "report.html").read_text()


def test_white_tents_are_the_brightest_ground_in_the_picture(generated: Path) -> None:
    sample = samples_of(generated)[0]
    white = [t.id for t in sample.record.tents if t.colour == "white"]
    shown = np.isin(sample.labels["post_tent"], white) & (sample.labels["post_class"] == LandClass.TENT)
    assert shown.any()
    grey = {date: image.mean(axis=2) for date, image in sample.images.items()}
    assert np.median(grey["post"][shown]) > np.median(grey["pre"][shown]) + 60
    assert np.median(grey["post"][shown]) > np.percentile(grey["post"][sample.labels["post_tent"] == 0], 90)


OWN = """
from dataclasses import replace
import numpy as np
from mage.scenes.strike import untouched

def landslide(rng, city, parameters):
    grade = np.full(len(city.buildings), parameters["grade"], np.uint8)
    return replace(untouched(city, "x"), ems98=grade, p_grade=np.eye(6)[grade])
"""


def own_recipe(folder: Path) -> Path:
    (folder / "their_hazards.py").write_text(OWN)
    recipe = folder / "slides.yaml"
    hazard = {"kind": "plugin", "function": "their_hazards:landslide", "parameters": {"grade": 3}}
    recipe.write_text(json.dumps({"name": "slides", "hazard": [hazard, CAMP], "city": {"style": "village"}}))
    return recipe


def test_a_hazard_of_ones_own_is_refused_in_one_line_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    recipe, root = own_recipe(tmp_path), tmp_path / "dataset"
    for words in (("generate", recipe, *TINY, "--out", root), ("preview", recipe, "--out", tmp_path / "p.png")):
        said = refused(capsys, *words)
        assert "their_hazards:landslide is code of its own" in said
        assert "--allow-plugins" in said
    assert "their_hazards" not in sys.modules
    assert not root.exists()


@pytest.mark.long
def test_a_hazard_of_ones_own_is_generated_by_other_processes_when_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    recipe, root = own_recipe(tmp_path), tmp_path / "dataset"
    mage("generate", recipe, *TINY, "--count", "2", "--workers", "2", "--out", root, "--allow-plugins")
    assert mage("verify", root).returncode == 0
    record = samples_of(root)[0].record
    assert record.hazard == "landslide-camp"
    assert {b.ems98 for b in record.buildings if not b.new} <= {3}
    assert all(b.causes == ["landslide"] for b in record.buildings if not b.new)
    # the dataset's own recipe names the function, and does not grant that it runs
    assert mage("preview", root / "recipe.yaml", "--out", tmp_path / "p.png", check=False).returncode == 2
    mage("preview", root / "recipe.yaml", "--out", tmp_path / "p.png", "--size", "64", "--spp", "1", "--allow-plugins")
    assert (tmp_path / "p.png").exists()
