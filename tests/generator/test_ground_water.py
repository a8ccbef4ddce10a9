"""The colour of deep water, with a flood over it and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from scenes_in_closed_form import box_city, flat_terrain

from mage.generator.ground import DEEP, FLOOD, deep_water
from mage.generator.place import Place, prepare_place
from mage.scenes.city import WaterBody
from mage.scenes.grid import Grid
from mage.scenes.style import load_style

GRID = Grid.around(0.0, 0.0, 128, 1.0)
EVERYWHERE = np.ones(GRID.shape, bool)


def place_with(kind: str, style: str = "suburb") -> Place:
    """Water west of the middle, land east of it."""
    city = replace(box_city((), flat_terrain(2.0)), water=(WaterBody(shapely.box(-100, -100, 0, 100), 2.5, kind),))
    return prepare_place(city, load_style(style), np.random.default_rng(0))


@pytest.mark.parametrize("kind", ["lake", "sea"])
def test_a_flood_leaves_wide_water_most_of_its_colour_off_the_shore_and_browns_the_land(kind: str) -> None:
    water = deep_water(place_with(kind), GRID, EVERYWHERE)
    own, silty = np.array(DEEP[kind]), np.array(FLOOD)
    offshore = (water[64, 20] - own) / (silty - own)
    np.testing.assert_allclose(offshore, 0.15, atol=0.02)
    np.testing.assert_allclose(water[64, 66:], np.broadcast_to(silty, (62, 3)), atol=0.01)
    # silt thins out all the way from the shore on
    assert (np.diff(water[64, 20:64, 0]) >= -1e-6).all()


@pytest.mark.parametrize("kind", ["river", "canal"])
def test_a_flood_browns_running_water(kind: str) -> None:
    np.testing.assert_allclose(
        deep_water(place_with(kind), GRID, EVERYWHERE), np.broadcast_to(FLOOD, (128, 128, 3)), atol=1e-6
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
    np.testing.assert_allclose(deep_water(place, GRID, EVERYWHERE)[64, 20], FLOOD, atol=1e-6)
