"""Camps stand on open ground, and every tent has its own."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import shapely
from flood_cities import box_building, city_of, river, terrain_of
from pydantic import ValidationError

from mage.scenes.city import LandPatch, Trees
from mage.scenes.errors import HazardError
from mage.scenes.hazards.camp import COLOURS, LATRINE, TANK, TRACK, camp, sample_camp
from mage.scenes.parts import CampPart
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.style import load_style
from mage.scenes.ways import on_view


def field(side=120.0, cover="grass", **parts):
    """A square of open ground with its terrain."""
    city = city_of(terrain_of(np.zeros((int(side / 4) + 1,) * 2), 4.0), **parts)
    return replace(city, land=(LandPatch(shapely.box(0, 0, side, side), cover),))


@pytest.fixture(scope="module", params=["suburb", "industrial", "informal"])
def town(request):
    return build_city(load_style(request.param), 260.0, np.random.default_rng(6))


def standing(city):
    """What stands in a city, by its own numbers."""
    crowns = [shapely.Point(xy).buffer(r) for xy, r in zip(city.trees.xy, city.trees.radius, strict=True)]
    roads = [e.line.buffer(e.width / 2) for e in city.roads.edges if on_view(e)]
    return [b.footprint for b in city.buildings] + [w.outline for w in city.water] + roads + crowns


def everything(found):
    """Tents, facilities and tracks of a camp as shapes; tracks may cross one another."""
    tracks = [track.buffer(TRACK / 2, cap_style="flat") for track in found.tracks]
    return [*found.tents(), *found.facilities()], tracks


def overlaps(shapes, others):
    tree = shapely.STRtree(others)
    a, b = tree.query(shapes, predicate="intersects")
    return float(shapely.area(shapely.intersection(np.array(shapes)[a], np.array(others)[b])).sum())


@pytest.mark.parametrize("layout", ["rows", "clusters"])
@pytest.mark.parametrize("seed", range(4))
def test_nothing_of_a_camp_overlaps_another_thing_or_what_stands(town, layout, seed):
    found = camp(town, 80, np.random.default_rng(seed), layout=layout)
    assert len(found) > 0
    shapes, tracks = everything(found)
    pairs = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    assert (pairs[0] == pairs[1]).all()
    assert overlaps(shapes, standing(town)) == 0
    if tracks:
        assert overlaps(tracks, shapes) == 0
        assert overlaps(tracks, standing(town)) == 0
    view = shapely.box(*town.bounds).buffer(5)
    assert shapely.within(found.tents(), view).all()


@pytest.mark.parametrize("layout", ["rows", "clusters"])
def test_open_ground_holds_as_many_tents_as_are_asked_for(layout):
    found = camp(field(200.0), 130, np.random.default_rng(1), layout=layout)
    assert len(found) == found.wanted == 130
    assert found.xy.shape == found.size.shape == (130, 2)
    assert found.heading.shape == found.colour.shape == (130,)
    assert found.tracks
    assert (found.size[:, 0] >= 4).all()
    assert (found.size[:, 0] <= 8).all()
    assert (found.size[:, 1] >= 4).all()
    assert (found.size[:, 1] <= 5).all()
    assert found.colour.max() < len(COLOURS)
    assert (found.facility_kind == LATRINE).sum() >= 4
    assert (found.facility_kind == TANK).sum() >= 2


def test_rows_are_straight_and_clusters_look_at_their_courts():
    straight = camp(field(200.0), 100, np.random.default_rng(2), layout="rows")
    turned = camp(field(200.0), 100, np.random.default_rng(2), layout="clusters")
    spread = [np.abs(np.exp(2j * c.heading).mean()) for c in (straight, turned)]
    assert spread[0] > 0.95
    assert spread[1] < 0.3


def test_a_camp_keeps_to_open_ground():
    """Half of the square is a wood, over which a car park is laid later."""
    city = field(120.0)
    patches = (
        *city.land,
        LandPatch(shapely.box(0, 0, 60, 120), "forest"),
        LandPatch(shapely.box(0, 0, 30, 40), "parking"),
    )
    found = camp(replace(city, land=patches), 200, np.random.default_rng(0))
    wood = shapely.box(0, 0, 60, 120).difference(shapely.box(0, 0, 30, 40))
    assert 0 < len(found) < 200
    assert not shapely.contains(wood, shapely.points(found.xy)).any()


def test_a_house_a_river_and_a_tree_are_left_alone():
    trees = Trees(np.array([[60.0, 60.0]]), np.array([9.0]), np.array([5.0]), np.zeros(1, np.uint8))
    city = replace(
        field(120.0, buildings=[box_building(20, 20, 40, 40)], water=[river(80, 0, 100, 120, 0.0)]), trees=trees
    )
    found = camp(city, 300, np.random.default_rng(3))
    shapes, _ = everything(found)
    assert min(shapely.distance(s, city.buildings[0].footprint) for s in shapes) >= 1.5
    assert min(shapely.distance(s, city.water[0].outline) for s in shapes) >= 1.5
    assert min(shapely.distance(s, shapely.Point(60, 60)) for s in shapes) >= 5.0


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_camp(town):
    first, again, other = (sample_camp(np.random.default_rng(s), town, CampPart(tents=(20, 60))) for s in (7, 7, 8))
    for name in (f.name for f in fields(first)):
        a, b = getattr(first, name), getattr(again, name)
        assert a.tobytes() == b.tobytes() if isinstance(a, np.ndarray) else a == b
    assert 20 <= first.wanted <= 60
    assert first.xy.tobytes() != other.xy.tobytes()


def test_without_room_or_without_tents_there_is_a_clear_error():
    with pytest.raises(HazardError, match="no open ground"):
        camp(field(cover="forest"), 10, np.random.default_rng(0))
    with pytest.raises(HazardError, match="at least 1"):
        camp(field(), 0, np.random.default_rng(0))
    with pytest.raises(ValidationError):
        CampPart(tents=(50, 10))


def test_a_single_tent_is_a_camp():
    found = camp(field(60.0), 1, np.random.default_rng(0))
    assert len(found) == 1
    assert found.wanted == 1
