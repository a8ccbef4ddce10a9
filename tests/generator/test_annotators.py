"""What annotators draw, against the truth that they draw it from."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scenes_in_closed_form import box_building, box_city, flat_terrain
from scipy import ndimage

from mage.generator.annotators import annotate, grades_by
from mage.generator.build import build_place
from mage.generator.labels import Truth
from mage.generator.place import Place, prepare_place
from mage.generator.plan import make_plan
from mage.generator.props import place_vehicles
from mage.generator.sample import draw_sample
from mage.generator.sight import Sight
from mage.generator.views import View
from mage.scenes.dataset.codec import decode_sample, encode_sample
from mage.scenes.dataset.fields import label_members
from mage.scenes.dataset.invariants import label_problems
from mage.scenes.dataset.schema import Sample
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import flood, prepare_flood
from mage.scenes.impact import Impact, Vehicles
from mage.scenes.recipe import read_recipe
from mage.scenes.style import load_style

GRID = Grid.around(0.0, 0.0, 128, 0.5)
NO_CARS = place_vehicles(Vehicles(), flat_terrain(2.0))
ROW = tuple(box_building(f"r{i}", -24 + 8 * i, 10, -16 + 8 * i, 20, 2.0, 7.0) for i in range(6))
ALONE = box_building("alone", -20, -20, -4, -8, 2.0, 6.0)


def place_of(*buildings: object) -> Place:
    city = box_city(buildings, flat_terrain(2.0))  # type: ignore[arg-type]
    return prepare_place(city, load_style("suburb"), np.random.default_rng(0))


PLACE = place_of(ALONE, *ROW)
DRY = flood(PLACE.city, level=0.0)


def drawn(seed: int = 0, impact: Impact = DRY, policy: str = "xbd", view: View | None = None) -> tuple[dict, list]:
    sight = (view or View()).sight(GRID, PLACE.city.ground)
    return annotate(PLACE, sight, list(range(7)), impact, policy, np.random.default_rng(seed))


def test_an_outline_follows_its_roof_to_a_pixel_or_two() -> None:
    roof = Truth(PLACE, GRID).before(NO_CARS)["building"] == 1
    wide = [ndimage.binary_dilation(roof, ndimage.generate_binary_structure(2, 2), n) for n in (1, 2)]
    sizes = set()
    for seed in range(8):
        rasters, records = drawn(seed)
        mine = next(r.id for r in records if r.buildings == [1])
        outline = rasters["pre_annotated"] == mine
        assert 0.8 < max((outline & shape).sum() / (outline | shape).sum() for shape in (roof, *wide)) < 1.0
        assert not (outline & ~ndimage.binary_dilation(roof, iterations=6)).any()
        sizes.add(int(outline.sum()))
    assert roof.sum() < np.median(list(sizes)) < wide[1].sum()  # rather without than within, by as much as its image's


def test_rows_are_joined_by_choice_and_every_building_is_in_one_outline() -> None:
    counts = set()
    for seed in range(12):
        _, records = drawn(seed)
        assert sorted(i for r in records for i in r.buildings) == list(range(1, 8))
        counts.add(len(records))
        assert all(r.buildings == sorted(r.buildings) for r in records)
    assert len(counts) > 1
    assert max(counts) <= 7
    assert min(counts) >= 2  # the house that stands alone is never joined to the row


def test_most_sheds_beside_houses_are_left_out_and_small_houses_among_small_ones_are_not() -> None:
    houses = [box_building(f"h{i}", -28 + 14 * i, 10, -18 + 14 * i, 24, 2.0, 6.0) for i in range(4)]
    sheds = [box_building(f"s{i}", -28 + 14 * i, -6, -24 + 14 * i, -2, 2.0, 3.0) for i in range(4)]
    place, alone = place_of(*houses, *sheds), place_of(*sheds)
    seen = {False: 0, True: 0}
    for seed in range(10):
        for there in (place, alone):
            dry = flood(there.city, level=0.0)
            _, records = annotate(
                there, Sight(GRID), range(len(there.city.buildings)), dry, "xbd", np.random.default_rng(seed)
            )
            if there is place:
                assert {1, 2, 3, 4} <= {i for r in records for i in r.buildings}
            seen[there is alone] += sum(i > 4 or there is alone for r in records for i in r.buildings)
    assert seen[True] == 40
    assert 1 <= seen[False] <= 16


def test_a_court_is_enclosed() -> None:
    sides = [(-10, -10, 10, -6), (-10, 6, 10, 10), (-10, -6, -6, 6), (6, -6, 10, 6)]
    place = place_of(*(box_building(f"c{i}", *side, 2.0, 8.0) for i, side in enumerate(sides)))
    court = Truth(place, GRID).owner[60:68, 60:68]
    assert (court == -1).all()
    enclosed = [
        (annotate(place, Sight(GRID), range(4), flood(place.city, level=0.0), "xbd", np.random.default_rng(seed)))[0]
        for seed in range(12)
    ]
    assert any((rasters["pre_annotated"][60:68, 60:68] > 0).all() for rasters in enclosed)


def test_outlines_lie_on_the_leaning_roof_of_the_image_before() -> None:
    view = View(np.radians(45), np.pi / 2)  # roofs 6 m high show 12 pixels farther left
    rasters, records = drawn(3, view=view)
    mine = next(r.id for r in records if r.buildings == [1])
    columns = np.flatnonzero((rasters["pre_annotated"] == mine).any(axis=0))
    assert columns[[0, -1]] == pytest.approx(GRID.to_pixel(np.array([(-20, 0), (-4, 0)]))[:, 0] - 12, abs=3)


def test_the_same_stream_draws_the_same_outlines() -> None:
    for one, other in zip(drawn(5), drawn(5), strict=True):
        assert str(one) == str(other)
    assert (drawn(5)[0]["pre_annotated"] != drawn(6)[0]["pre_annotated"]).any()


@pytest.mark.parametrize(
    ("level", "policy", "grade"),
    [(3.0, "xbd", 3), (3.0, "roof", 1), (3.0, "bright", 1), (9.5, "xbd", 4), (9.5, "roof", 4), (9.5, "bright", 3)],
)
def test_water_around_a_house_counts_by_policy_and_over_its_roof_always(level: float, policy: str, grade: int) -> None:
    rasters, records = drawn(1, flood(PLACE.city, level=level), policy)
    assert {r.grade for r in records} == {grade}
    assert set(np.unique(rasters["post_annotated"])) == {0, grade}
    assert ((rasters["post_annotated"] > 0) == (rasters["pre_annotated"] > 0)).all()


def test_of_a_joined_row_the_worst_is_told() -> None:
    jds = np.array([0, 0, 0, 3, 0, 0, 0], np.uint8)
    for seed in range(6):
        _, records = drawn(seed, replace(DRY, jds=jds))
        assert all(r.grade == (4 if 4 in r.buildings else 1) for r in records)


def test_roofs_alone_are_graded_by_what_fire_and_shaking_left_of_them() -> None:
    strike = SimpleNamespace(burn=np.array([0, 1, 2, 0], np.uint8), deck_lost=np.array([0, 0.2, 0, 0]))
    left = SimpleNamespace(visible=np.array([3, 0, 0, 5], np.uint8))
    impact = SimpleNamespace(
        jds=np.array([2, 2, 3, 3], np.uint8),
        hazard="earthquake-fire-flood",
        shock=SimpleNamespace(strike=strike, aftermath=left),
    )
    assert grades_by("roof", impact).tolist() == [2, 3, 4, 4]  # type: ignore[arg-type]
    assert grades_by("bright", impact).tolist() == [2, 2, 3, 3]  # type: ignore[arg-type]
    assert grades_by("xbd", impact).tolist() == [3, 3, 4, 4]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A slanted, displaced and annotated sample, its images black."""
    settings = {
        "output.size": 96,
        "city.extent": 200,
        "city.style": "village",
        "view.off_nadir": [15, 30],
        "view.shift": [4, 9],
        "label_style": "annotator",
    }
    job = make_plan(read_recipe("flood", settings)).jobs[0]
    place = build_place(job)
    draft = draw_sample(job, 0, place, prepare_flood(place.city, job.recipe.hazards[0]))  # type: ignore[arg-type]
    black = np.zeros((96, 96, 3), np.uint8)
    return Sample(draft.record, {"pre": black, "post": black}, draft.labels)


def test_the_exact_truth_is_kept_beside_what_annotators_draw(sample: Sample) -> None:
    assert label_members("annotator").keys() - label_members().keys() == {"pre_annotated", "post_annotated"}
    assert sample.labels.keys() == label_members("annotator").keys()
    assert label_problems(sample) == []
    assert sample.record.annotations
    assert sample.record.pre.off_nadir_angle >= 15
    assert sample.record.pre.shift_px == (0.0, 0.0)
    assert 4 <= np.hypot(*sample.record.post.shift_px) <= 9.01


def test_a_slanted_annotated_sample_is_read_back_as_it_was(sample: Sample) -> None:
    members = dict(encode_sample(sample))
    back = decode_sample(lambda field: members[f"{sample.record.key}.{field}"])
    assert back.record == sample.record
    assert all((back.labels[name] == raster).all() for name, raster in sample.labels.items())


def test_broken_annotations_are_found(sample: Sample) -> None:
    other = sample.labels | {"post_annotated": np.where(sample.labels["post_annotated"] > 0, 4, 1).astype(np.uint8)}
    assert any("post_annotated" in problem for problem in label_problems(replace(sample, labels=other)))
    some = sample.record.annotations
    assert some is not None
    fewer = sample.record.model_copy(update={"annotations": some[:1]})
    assert any("pre_annotated" in problem for problem in label_problems(replace(sample, record=fewer)))
