"""Benign change on a procedural village."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon

from mage.scenes.change import APART, HAZARD, POST, PRE, Change, sample_change
from mage.scenes.city import City
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.style import load_style

BOUNDS = (-120.0, -120.0, 120.0, 120.0)
NOWHERE = np.zeros((0, 2))


@pytest.fixture(scope="module")
def village() -> City:
    return build_city(load_style("village"), 300.0, np.random.default_rng(4))


def drawn(city: City, seed: int, amount: float, spoilt: np.ndarray = NOWHERE) -> Change:
    return sample_change(np.random.default_rng(seed), city, BOUNDS, amount, spoilt)


def told(change: Change) -> list[object]:
    return [
        *((p.kind, p.date, p.outline.wkb) for p in change.patches),
        *((t.kind, t.date, t.xy, t.heading, t.size) for t in change.things),
        *((s.id, s.footprint.wkb, s.mesh.vertices.tobytes()) for s in change.sheds),
    ]


def test_two_draws_are_equal_and_another_seed_differs(village: City) -> None:
    assert told(drawn(village, 1, 1.0)) == told(drawn(village, 1, 1.0))
    assert told(drawn(village, 1, 1.0)) != told(drawn(village, 2, 1.0))


def test_a_footprint_whose_mitred_buffer_crosses_itself_is_no_error(village: City) -> None:
    ring = [
        (-121.62323495212468, -85.31497048936373),
        (-116.04026397111348, -74.76389317282714),
        (-105.29007366179768, -80.45222231085671),
        (-106.53137832030062, -82.79812406635345),
        (-103.42275388900835, -84.443013916944),
        (-102.18144923050541, -82.09711216144726),
        (-93.00513438430639, -86.95264472575303),
        (-98.5881053653176, -97.50372204228962),
        (-107.76442021151662, -92.64818947798385),
        (-106.52311555301368, -90.30228772248711),
        (-109.63173998430594, -88.65739787189656),
        (-110.87304464280888, -91.0032996273933),
    ]
    house = Polygon(ring)
    shapes = [
        house,
        *(shapely.box(x, y, x + 10, y + 8) for x, y in ((-100, -111), (-118, -119), (-84, -53), (-102, -69))),
    ]
    city = replace(village, buildings=tuple(replace(village.buildings[0], footprint=s) for s in shapes))
    assert told(drawn(city, 1, 1.0)) == told(drawn(city, 1, 1.0))


def test_an_amount_of_none_changes_nothing_and_more_changes_more(village: City) -> None:
    assert told(drawn(village, 1, 0.0)) == []
    little, much = (sum(len(told(drawn(village, seed, a))) for seed in range(4)) for a in (0.2, 1.0))
    assert 0 < little < much / 2


@settings(max_examples=6)
@given(st.integers(0, 2**32))
def test_what_is_new_stands_in_the_tile_clear_of_all_that_stood_there(village: City, seed: int) -> None:
    change = drawn(village, seed, 1.0)
    view = shapely.box(*BOUNDS)
    solid = shapely.union_all([b.footprint for b in village.buildings] + [w.outline for w in village.water])
    streets = shapely.union_all([e.line.buffer(e.width / 2) for e in village.roads.edges])
    for plan in change.plans(PRE) + change.plans(POST):
        assert view.contains(plan)
        assert plan.distance(solid) >= APART - 1e-6
        assert plan.distance(streets) > 0.5
    for shed in change.sheds:
        mesh = shed.mesh
        a, b, c = (mesh.vertices[mesh.triangles[:, k]] for k in range(3))
        volume = float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)
        ground = village.ground.sample(np.array(shed.footprint.exterior.coords))
        assert volume > shed.footprint.area * shed.eave
        assert mesh.vertices[:, 2].min() < ground.min()


def test_nothing_new_stands_where_the_hazard_came(village: City) -> None:
    x, y = np.meshgrid(np.arange(-120, 0, 2.0), np.arange(-120, 120, 2.0))
    flooded = np.stack([x.ravel(), y.ravel()], axis=1)
    for seed in range(4):
        plans = [p for date in (PRE, POST) for p in drawn(village, seed, 1.0, flooded).plans(date)]
        assert plans
        assert all(plan.bounds[0] > -2.0 + HAZARD for plan in plans)
