"""Car parks, sports fields, pools and borders of gardens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from shapely import STRtree
from towns import bare_city, box_building, fingerprint

from mage.scenes.bays import bays_of
from mage.scenes.city import Barrier, City, LandPatch, RoadEdge, RoadGraph, Source, Trees, WaterBody
from mage.scenes.sources.living.furnish import furnish
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.style import Style, load_style
from mage.scenes.terrain import Terrain
from mage.scenes.ways import WITH_PAVEMENT

LIVELY = {"pools": 0.5, "fences": 0.4, "walls": 0.2, "hedges": 0.3, "pitches": 25.0, "lots": 1.0, "beds": 0.5}


def lively(**details: float) -> Style:
    style = load_style("suburb")
    return style.model_copy(update={"details": style.details.model_copy(update=LIVELY | details)})


@pytest.fixture(scope="module", params=[3, 11])
def bare(request: pytest.FixtureRequest) -> City:
    plain = lively(**dict.fromkeys(LIVELY, 0.0))
    return build_city(plain, 320.0, np.random.default_rng(request.param))


@pytest.fixture(scope="module")
def city(bare: City) -> City:
    return furnish(bare, lively(), np.random.default_rng(5))


def outlines(city: City, cover: str) -> list[shapely.Geometry]:
    return [p.outline for p in city.land if p.cover == cover]


def met(shapes: list[shapely.Geometry], others: list[shapely.Geometry], margin: float = 0.0) -> int:
    return len(STRtree(others).query(np.array(shapes, dtype=object), predicate="dwithin", distance=margin)[0])


def streets(city: City) -> list[shapely.Geometry]:
    return [e.line.buffer(e.width / 2) for e in city.roads.edges]


def test_a_bare_suburb_gets_pools_fields_beds_and_borders_and_says_so(bare: City, city: City) -> None:
    assert len(outlines(city, "pool")) > 5
    assert {b.kind for b in city.barriers} == {"fence", "wall", "hedge"}
    assert {"furnishing", "barriers"} <= set(city.inferred)
    assert all(p.inferred for p in city.land if p.cover in ("pool", "pitch", "parking"))
    assert all(b.inferred for b in city.barriers)
    assert city.buildings == bare.buildings
    assert city.roads == bare.roads


def test_nothing_new_lies_on_a_building_a_street_or_water(city: City) -> None:
    houses, water = [b.footprint for b in city.buildings], [w.outline for w in city.water]
    new = [p.outline for p in city.land if p.inferred and p.cover in ("pool", "pitch", "scrub")]
    assert new
    assert met([shapely.buffer(n, -0.15) for n in new], houses) == 0
    assert met(new, streets(city)) == 0
    assert met(new, water) == 0


def test_barriers_cross_no_street_house_water_drive_pool_or_field(city: City) -> None:
    lines = [b.line.buffer(b.width / 2) for b in city.barriers]
    assert met(lines, streets(city)) == 0
    assert met(lines, [b.footprint for b in city.buildings], 0.2) == 0
    for cover in ("pool", "pitch", "parking", "paved"):
        assert met(lines, outlines(city, cover)) == 0, cover
    assert met(lines, [w.outline for w in city.water]) == 0


def test_pools_lie_apart_from_each_other_from_crowns_and_from_the_street(city: City) -> None:
    pools = outlines(city, "pool")
    pairs = STRtree(pools).query(pools, predicate="dwithin", distance=1.0).T
    assert (pairs[:, 0] == pairs[:, 1]).all()
    crowns = list(shapely.buffer(shapely.points(city.trees.xy), city.trees.radius * 0.9))
    assert met(pools, crowns) == 0
    assert met(pools, streets(city), 4.0) == 0


def test_no_tree_stands_in_a_field_a_lot_or_a_pool(bare: City, city: City) -> None:
    trunks = list(shapely.points(city.trees.xy))
    for cover in ("pool", "pitch", "parking"):
        new = [p.outline for p in city.land if p.cover == cover and p.inferred]
        assert met(new, trunks) == 0, cover
    assert 0.8 * len(bare.trees) < len(city.trees) < len(bare.trees)


def test_the_style_decides_how_much_there_is(bare: City) -> None:
    none = dict.fromkeys(LIVELY, 0.0)
    plain = furnish(bare, lively(**none), np.random.default_rng(5))
    assert not outlines(plain, "pool")
    assert not outlines(plain, "pitch")
    assert not plain.barriers
    few, many = (
        len(outlines(furnish(bare, lively(**none | {"pools": share}), np.random.default_rng(1)), "pool"))
        for share in (0.1, 0.5)
    )
    assert 0 < few < many


def test_one_seed_furnishes_alike_and_another_differs(bare: City) -> None:
    one, two, other = (furnish(bare, lively(), np.random.default_rng(s)) for s in (2, 2, 3))
    lines = [b"".join(shapely.to_wkb(b.line) for b in c.barriers) for c in (one, two, other)]
    assert fingerprint(one) == fingerprint(two)
    assert lines[0] == lines[1]
    assert fingerprint(one) != fingerprint(other)
    assert lines[0] != lines[2]


def test_what_the_source_holds_stays_and_its_trees_are_built_around(bare: City) -> None:
    west, south, east, north = bare.bounds
    hedge = Barrier(shapely.LineString([(west, south), (west + 5, south)]), "hedge", 1.0, 0.5)
    own = LandPatch(shapely.box(east - 6, north - 6, east, north), "pool")
    held = replace(bare, barriers=(hedge,), land=(*bare.land, own), sources=(Source("map", "OpenStreetMap"),))
    made = furnish(held, lively(pitches=40.0), np.random.default_rng(5))
    assert made.barriers == (hedge,)
    assert outlines(made, "pool") == [own.outline]
    assert len(made.trees) == len(bare.trees)
    fields = [p.outline for p in made.land if p.cover == "pitch"]
    assert met(fields, list(shapely.points(made.trees.xy))) == 0


def hall(trees: int = 0) -> City:
    """A hall of 60 by 30 m on a meadow beside a street."""
    building = replace(box_building("hall", 0, 0, 60, 30, 2.0, 8.0), occupancy="commercial")
    line = shapely.LineString([(-100, -40), (160, -40)])
    roads = RoadGraph(np.array([(-100.0, -40.0), (160.0, -40.0)]), (RoadEdge(0, 1, line, 7.0),))
    ground = Terrain(np.full((151, 181), 2.0), -150.0, 150.0, 2.0)
    at = np.random.default_rng(0).uniform(-30, 90, (trees, 2))
    green = Trees(at, np.full(trees, 6.0), np.full(trees, 2.0), np.zeros(trees, np.uint8))
    source = (Source("procedural", "test"),)
    lake = WaterBody(shapely.box(-100, 60, 160, 110), 1.0, "lake")
    return replace(bare_city([building]), roads=roads, terrain=ground, trees=green, sources=source, water=(lake,))


def test_a_large_building_at_a_street_gets_a_car_park_with_bays_beside_it() -> None:
    city = furnish(hall(), lively(pitches=0.0), np.random.default_rng(0))
    (lot,) = outlines(city, "parking")
    assert len(bays_of(lot)) >= 8
    assert lot.distance(city.buildings[0].footprint) == pytest.approx(2.0, abs=1e-6)
    assert lot.distance(city.roads.edges[0].line) > 3.5
    assert "residential" in WITH_PAVEMENT


def test_a_paved_lot_that_reaches_a_street_becomes_a_car_park() -> None:
    town = hall()
    lot, drive = shapely.box(0, -36.4, 40, -3), shapely.box(-20, -36.4, -17, -20)
    town = replace(town, land=(LandPatch(lot, "paved"), LandPatch(drive, "paved")))
    made = furnish(town, lively(lots=0.0, pitches=0.0), np.random.default_rng(0))
    assert outlines(made, "parking") == [lot]
    assert outlines(made, "paved") == [drive]


def test_a_city_of_one_house_without_streets_is_furnished_without_an_error() -> None:
    lone = replace(hall(), roads=RoadGraph(), water=(), buildings=(box_building("b", 0, 0, 9, 9, 2.0, 5.0),))
    made = furnish(lone, lively(pools=1.0), np.random.default_rng(1))
    assert not made.barriers
    assert len(outlines(made, "pool")) == 1
