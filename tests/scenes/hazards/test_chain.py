"""Several hazards as one disaster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import LineString
from struck_cities import assert_whole, box_city

from mage.scenes.aftermath import Aftermath
from mage.scenes.city import RoadEdge, RoadGraph
from mage.scenes.hazards.chain import chained, combined, sample_strike, told
from mage.scenes.hazards.earthquake import sample_earthquake
from mage.scenes.hazards.flood import flood
from mage.scenes.mesh import empty_mesh
from mage.scenes.modifiers import aftermath
from mage.scenes.parts import EarthquakePart, FirePart, WindPart
from mage.scenes.strike import Burn, Collapse, Stand, untouched

CITY = box_city(9, trees=30)
PARTS = [EarthquakePart(), WindPart(), FirePart(), WindPart(storm="tornado")]


def drawn(seed, kinds):
    return [sample_strike(np.random.default_rng([seed, k]), CITY, PARTS[k]) for k in kinds]


def bytes_of(*values):
    return np.array(values, np.uint8)


def nothing_left():
    n = len(CITY.buildings)
    return Aftermath({}, empty_mesh(), np.zeros(0, np.int32), np.zeros(n), np.zeros(n, np.uint8), np.zeros(n))


def test_a_part_is_drawn_by_its_own_sampler():
    ours = sample_strike(np.random.default_rng(3), CITY, PARTS[0])
    theirs = sample_earthquake(np.random.default_rng(3), CITY, PARTS[0])
    assert (ours.ems98 == theirs.ems98).all()
    assert [s.hazard for s in drawn(0, [0, 1, 2])] == ["earthquake", "wind", "fire"]


def test_one_strike_is_a_chain_of_itself_and_none_is_no_chain():
    strike = drawn(0, [1])[0]
    assert chained([strike]) is strike
    with pytest.raises(ValueError, match="needs a strike"):
        chained([])


@given(st.integers(0, 40), st.lists(st.integers(0, 3), min_size=2, max_size=3))
def test_a_building_keeps_the_worst_of_everything(seed, kinds):
    strikes = drawn(seed, kinds)
    result = chained(strikes)
    assert_whole(result, CITY)
    for name in ("ems98", "burn", "covering_lost", "deck_lost", "swept", "severity", "front"):
        assert (getattr(result, name) == np.max([getattr(s, name) for s in strikes], axis=0)).all(), name
    assert all((result.loss >= s.loss - 1e-12).all() for s in strikes)
    worst = np.argmax([s.ems98 for s in strikes], axis=0)
    assert all((result.p_grade[i] == strikes[k].p_grade[i]).all() for i, k in enumerate(worst))
    assert ((result.collapse > 0) == np.any([s.collapse > 0 for s in strikes], axis=0)).all()


def test_the_way_of_failing_and_where_to_are_those_of_the_worse_hazard():
    base = untouched(CITY, "earthquake")
    first, then = base.collapse.copy(), base.collapse.copy()
    first[:2], then[:2] = Collapse.CORNER, Collapse.HEAP
    one = replace(base, collapse=first, ems98=first * 0 + 4, direction=np.full(9, 1.0))
    grades = one.ems98.copy()
    grades[0] = 5
    two = replace(base, hazard="wind", collapse=then, ems98=grades, direction=np.full(9, 2.0))
    result = chained([one, two])
    assert result.collapse[:3].tolist() == [Collapse.HEAP, Collapse.CORNER, Collapse.NONE]
    assert result.direction[:3].tolist() == [2.0, 1.0, 2.0]
    assert result.hazard == "earthquake-wind"


def test_a_felled_tree_stays_felled_unless_it_burns():
    base = untouched(CITY, "wind")
    states = np.resize(bytes_of(Stand.FELLED, Stand.FELLED, Stand.STRIPPED, Stand.STANDING), 30)
    later = np.resize(bytes_of(Stand.SCORCHED, Stand.BURNT, Stand.SCORCHED, Stand.STANDING), 30)
    wind = replace(base, trees=states, tree_heading=np.full(30, 2.5))
    fire = replace(base, hazard="fire", trees=later)
    result = chained([wind, fire])
    assert result.trees[:4].tolist() == [Stand.FELLED, Stand.BURNT, Stand.SCORCHED, Stand.STANDING]
    assert (result.tree_heading == 2.5).all()


def test_causes_are_those_that_did_harm_in_their_order():
    base = untouched(CITY, "earthquake")
    quake = replace(base, ems98=bytes_of(1, 0, 0, 2, 0, 0, 0, 0, 0))
    fire = replace(base, hazard="fire", burn=bytes_of(2, 1, 0, 0, 0, 0, 0, 0, 0), intensity=np.full(9, np.inf))
    impact = combined(CITY, [quake, fire], chained([quake, fire]), nothing_left())
    assert impact.causes[:4] == (("earthquake", "fire"), ("fire",), (), ("earthquake",))
    assert set(impact.shock.intensities) == {"earthquake", "fire"}


def test_damage_is_the_worst_that_is_seen_of_collapse_fire_and_water():
    n = len(CITY.buildings)
    base = untouched(CITY, "earthquake")
    fire = replace(
        base,
        hazard="fire",
        burn=bytes_of(Burn.BURNT, Burn.BURNING, Burn.BURNING, *[0] * (n - 3)),
        deck_lost=np.array([1.0, 0.0, 0.3, *[0] * (n - 3)]),
    )
    seen = replace(nothing_left(), visible=bytes_of(0, 4, 0, 5, 3, 2, 0, 0, 0))
    both = combined(CITY, [base, fire], chained([base, fire]), seen)
    assert both.jds.tolist() == [3, 2, 2, 3, 1, 0, 0, 0, 0]
    assert combined(CITY, [fire], fire, seen).jds.tolist() == [3, 1, 2, 0, 0, 0, 0, 0, 0]
    water = flood(CITY, level=0.6)
    wet = combined(CITY, [base], base, nothing_left(), water)
    assert (wet.jds == water.jds).all()
    assert (wet.jds > 0).all()
    assert all("flood" in causes for causes in wet.causes)
    np.testing.assert_allclose(wet.loss, water.loss)


def test_a_closed_road_says_why():
    lines = [LineString([(-4, -20), (-4, 100)]), LineString([(80, -20), (80, 100)])]
    edges = tuple(RoadEdge(2 * i, 2 * i + 1, line, 5.0) for i, line in enumerate(lines))
    nodes = np.array([xy for line in lines for xy in line.coords])
    city = replace(CITY, roads=RoadGraph(nodes, edges))
    n = len(city.buildings)
    strike = replace(
        untouched(city, "earthquake"),
        ems98=np.full(n, 5, np.uint8),
        collapse=np.full(n, Collapse.HEAP, np.uint8),
        direction=np.full(n, np.pi),
    )
    left = aftermath(city, strike, 1)
    dry = combined(city, [strike], strike, left)
    assert dry.reasons[1] == ""
    assert dry.car[1]
    assert dry.shock.debris[0] > 0
    wet = combined(city, [strike], strike, left, flood(city, level=0.6))
    for impact in (dry, wet, told(flood(city, level=0.6))):
        assert [bool(reason) for reason in impact.reasons] == (~(impact.car & impact.truck)).tolist()
    assert wet.reasons[1] == "water"
    assert ("debris" in wet.reasons[0]) == ("debris" in dry.reasons[0])
    assert wet.hazard == "earthquake-flood"
