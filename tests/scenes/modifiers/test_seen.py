"""What may be seen of damage: never more than there is, but for what others let fall."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.city import City
from mage.scenes.hazards import earthquake, sample_fire, sample_wind
from mage.scenes.hazards.chain import chained
from mage.scenes.modifiers import aftermath
from mage.scenes.modifiers.raster import top_faces
from mage.scenes.modifiers.seen import GONE, Signs
from mage.scenes.parts import FirePart, WindPart
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.strike import Strike
from mage.scenes.style import load_style

ASKED = 14  # buildings of each city that are looked at


def shaken(city: City, rng: np.random.Generator) -> Strike:
    return earthquake(city, np.full(len(city.buildings), 0.5), rng, explicit=False)


def burnt(city: City, rng: np.random.Generator) -> Strike:
    return sample_fire(rng, city, FirePart(minutes=(150, 150), resistant=(0.3, 0.3)))


def blown(city: City, rng: np.random.Generator) -> Strike:
    return sample_wind(rng, city, WindPart(storm="tornado"))


def grazed(city: City, rng: np.random.Generator) -> Strike:
    return sample_wind(rng, city, WindPart(storm="hurricane"))


def shaken_and_burnt(city: City, rng: np.random.Generator) -> Strike:
    return chained([shaken(city, rng), burnt(city, rng)])


CASES = [
    ("mediterranean", shaken, 1),
    ("mediterranean", shaken, 2),
    ("european", shaken, 1),
    ("informal", shaken, 3),
    ("european-old-town", shaken_and_burnt, 1),
    ("suburb", shaken_and_burnt, 2),
    ("suburb", blown, 1),
    ("european", blown, 2),
    ("suburb", burnt, 3),
    ("european-old-town", grazed, 1),
]


@pytest.mark.parametrize(("style", "hazard", "seed"), CASES)
def test_no_building_looks_worse_than_it_is_unless_anothers_debris_lies_on_its_roof(style, hazard, seed):
    rng = np.random.default_rng(seed)
    city = build_city(load_style(style), 90.0, rng)
    strike = hazard(city, rng)
    asked = rng.permutation(len(city.buildings))[:ASKED]
    after = aftermath(city, strike, seed, asked)
    assert (strike.ems98[asked] > 0).any()
    worse = after.visible > strike.ems98
    assert (after.buried[worse] >= GONE[0]).all()
    assert (after.visible <= strike.ems98)[after.buried == 0].all()


def test_where_a_building_looks_worse_than_it_is_the_debris_of_a_neighbour_lies_on_it():
    rng = np.random.default_rng(4)
    city = build_city(load_style("european-old-town"), 110.0, rng)
    whole = shaken(city, rng)
    fallen = np.arange(len(city.buildings)) % 2 == 0
    grades, heap = np.where(fallen, 5, 0).astype(np.uint8), np.where(fallen, 13, 0).astype(np.uint8)
    strike = replace(whole, ems98=grades, collapse=heap, covering_lost=np.zeros(len(grades)))
    after = aftermath(city, strike, 4)
    worse = np.flatnonzero(after.visible > strike.ems98)
    assert len(worse) > 0
    for i in worse:
        foreign = after.debris.faces(after.debris_owner != i)
        west, south, east, north = city.buildings[i].footprint.bounds
        shape = (int((north - south) / 0.25) + 1, int((east - west) / 0.25) + 1)
        over = np.isfinite(top_faces(foreign, west, south, 0.25, shape)[0])
        row, column = np.nonzero(over)
        xy = np.stack([west + (column + 0.5) * 0.25, south + (row + 0.5) * 0.25], axis=1)
        assert shapely.contains_xy(city.buildings[i].footprint, xy).any()


SHARE = st.floats(0, 1)


@given(SHARE, SHARE, st.floats(0, 0.5), SHARE, st.integers(0, 5), SHARE)
def test_only_what_is_buried_lifts_a_visible_grade_over_the_physical_one(gone, bare, tilt, litter, ems98, buried):
    seen = Signs(gone, gone, bare, tilt, litter, 0.0)
    assert seen.grade(ems98) <= ems98
    assert replace(seen, buried=buried).grade(ems98) <= max(ems98, replace(seen, buried=buried).grade(0))
    assert replace(seen, buried=GONE[-1]).grade(0) == 5
