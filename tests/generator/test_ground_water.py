"""The colour of deep water, with a flood over it and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scenes_in_closed_form import box_city, flat_terrain

from mage.generator.build import build_place
from mage.generator.colour import BLACK, GAIN, to_srgb
from mage.generator.place import Place, prepare_place
from mage.generator.plan import make_plan
from mage.generator.sample import draw_sample
from mage.generator.turbid import RIVERS, Turbidity, draw_sediment, seen_through
from mage.generator.wet_ground import DEEP, deep_water, with_water
from mage.scenes.city import WaterBody
from mage.scenes.errors import RecipeError
from mage.scenes.grid import Grid
from mage.scenes.hazards.flood import prepare_flood
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import read_recipe
from mage.scenes.style import load_style

GRID = Grid.around(0.0, 0.0, 128, 1.0)
EVERYWHERE = np.ones(GRID.shape, bool)
SILTY = Turbidity(600.0)
FLOOD = SILTY.colour


def place_with(kind: str, style: str = "suburb") -> Place:
    """Water west of the middle, land east of it."""
    city = replace(box_city((), flat_terrain(2.0)), water=(WaterBody(shapely.box(-100, -100, 0, 100), 2.5, kind),))
    return prepare_place(city, load_style(style), np.random.default_rng(0))


@pytest.mark.parametrize("kind", ["lake", "sea"])
def test_a_flood_leaves_wide_water_most_of_its_colour_off_the_shore_and_browns_the_land(kind: str) -> None:
    water = deep_water(place_with(kind), GRID, EVERYWHERE, SILTY)
    own, silty = np.array(DEEP[kind]), np.array(FLOOD)
    offshore = (water[64, 20] - own) / (silty - own)
    np.testing.assert_allclose(offshore, 0.15, atol=0.02)
    np.testing.assert_allclose(water[64, 66:], np.broadcast_to(silty, (62, 3)), atol=0.01)
    # silt thins out all the way from the shore on
    assert (np.diff(water[64, 20:64, 0]) >= -1e-6).all()


@pytest.mark.parametrize("kind", ["river", "canal"])
def test_a_flood_browns_running_water(kind: str) -> None:
    np.testing.assert_allclose(
        deep_water(place_with(kind), GRID, EVERYWHERE, SILTY), np.broadcast_to(FLOOD, (128, 128, 3)), atol=1e-6
    )


def test_without_a_flood_the_sea_is_blue() -> None:
    np.testing.assert_allclose(deep_water(place_with("sea"), GRID)[64, 20], DEEP["sea"], atol=1e-6)


def test_a_style_may_have_rivers_of_its_own_colour_and_a_flood_browns_them_too() -> None:
    place = place_with("river", "european")
    red, green, blue = deep_water(place, GRID)[64, 20]
    assert blue > red
    assert green > red
    silty = deep_water(place_with("river"), GRID)[64, 20]
    assert silty[0] > 2 * red
    np.testing.assert_allclose(deep_water(place, GRID, EVERYWHERE, SILTY)[64, 20], FLOOD, atol=1e-6)


def test_a_flood_as_laden_as_harveys_has_its_tan() -> None:
    tan = to_srgb(GAIN * SILTY.colour + BLACK)
    np.testing.assert_allclose(tan, (147, 138, 106), atol=5)


@given(st.floats(1, 4900), st.floats(1.01, 5))
def test_more_sediment_makes_water_brighter_browner_and_more_opaque(load: float, times: float) -> None:
    clear, laden = Turbidity(load), Turbidity(load * times)
    assert (laden.colour > clear.colour).all()
    assert laden.colour[0] / laden.colour[2] > clear.colour[0] / clear.colour[2]
    assert seen_through(np.array(0.3), laden.extinction) <= seen_through(np.array(0.3), clear.extinction)


@given(st.floats(1, 500))
def test_the_ground_fades_with_depth_from_all_of_it_at_the_shore(load: float) -> None:
    share = seen_through(np.array([0.0, 0.05, 0.3, 1.0, 10.0]), Turbidity(load).extinction)
    assert share[0] == 1
    assert (np.diff(share) < 0).all() or share[-1] == 0


def test_shallow_water_shows_the_ground_when_it_is_clear_and_none_when_it_is_laden() -> None:
    ground = np.full((*GRID.shape, 3), 0.4, np.float32)
    depth = np.full(GRID.shape, 0.5)
    red = []
    for turbidity in (Turbidity(5.0), SILTY):
        deep = turbidity.colour.astype(np.float32)
        red.append(float(np.median(with_water(ground, GRID, depth, deep, turbidity).water[..., 0])))
    own = Turbidity(5.0).colour[0]
    assert red[0] > 2 * own
    assert red[1] == pytest.approx(SILTY.colour[0], rel=0.05)


def test_loads_are_drawn_evenly_over_the_logarithm() -> None:
    rng = np.random.default_rng(0)
    loads = np.array([draw_sediment(rng, (10.0, 1000.0)) for _ in range(4000)])
    assert loads.min() >= 10
    assert loads.max() <= 1000
    assert (loads < 100).mean() == pytest.approx(0.5, abs=0.03)


def test_rivers_are_clearer_than_floods() -> None:
    assert RIVERS.extinction < SILTY.extinction


def test_sediment_is_drawn_as_the_recipe_says_and_told_by_the_record() -> None:
    settings = {"output.size": 32, "city.extent": 160, "city.style": "village"}
    drafts = []
    place = None
    for load in ((90.0, 90.0), (700.0, 700.0)):
        job = make_plan(read_recipe("flood", {**settings, "hazard.sediment": load})).jobs[0]
        place = place or build_place(job)
        part = job.recipe.hazards[0]
        assert isinstance(part, FloodPart)
        drafts.append(draw_sample(job, 0, place, prepare_flood(place.city, part)))
    assert [d.record.parameters["sediment"] for d in drafts] == [90.0, 700.0]
    assert [d.turbidity.sediment for d in drafts] == pytest.approx([90.0, 700.0])


def test_sediment_is_asked_for_in_order_and_above_0() -> None:
    for wrong in ((300.0, 100.0), (0.0, 100.0), (10.0, 1e6)):
        with pytest.raises(RecipeError, match="sediment"):
            read_recipe("flood", {"hazard.sediment": wrong})
