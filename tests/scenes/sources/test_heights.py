"""Missing heights and roofs: plain numbers at first, then the style's own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.city import Building, City, Volume
from mage.scenes.sources.buildings import heights as heights
from mage.scenes.sources.buildings.heights import draw_heights, raised, settled, span
from mage.scenes.style import load_style

SUBURB, TOWN = load_style("suburb"), load_style("european")
SQUARE = shapely.box(0, 0, 12, 8)


def building(volume: Volume, *more: Volume, x: float = 0.0, y: float = 0.0, occupancy: str = "residential") -> Building:
    """A building of volumes, moved to a place."""
    volumes = tuple(replace(v, outline=shapely.affinity.translate(v.outline, x, y)) for v in (volume, *more))
    found = raised([settled(v) for v in volumes], Counter())
    assert found is not None
    return Building(
        id=f"{x}/{y}",
        footprint=shapely.union_all([v.outline for v in volumes]),
        ground=0.0,
        height=found.height,
        eave=found.eave,
        mesh=found.mesh,
        lod=1,
        occupancy=occupancy,
        roof=found.roof,
        inferred=("ground", "height", "roof"),
        volumes=volumes,
    )


def city(*buildings: Building) -> City:
    return City("town", "EPSG:32632", (0.0, 0.0), 48.0, 9.0, (-500.0, -500.0, 500.0, 500.0), buildings)


def many(volume: Volume, count: int = 300, **more: str) -> City:
    """Many of the same building, all apart."""
    return city(*(building(volume, x=40.0 * (i % 20), y=40.0 * (i // 20), **more) for i in range(count)))


def test_the_span_is_the_shorter_side_however_it_is_turned() -> None:
    assert span(shapely.affinity.rotate(SQUARE, 33)) == pytest.approx(8)


@pytest.mark.parametrize(
    ("volume", "height", "rise", "base"),
    [
        (Volume(SQUARE), 6.0, 0.0, 0.0),
        (Volume(SQUARE, levels=4), 12.0, 0.0, 0.0),
        (Volume(SQUARE, height=7.5, levels=4), 7.5, 0.0, 0.0),
        (Volume(SQUARE, levels=2, roof="gabled", roof_height=3.0), 9.0, 3.0, 0.0),
        (Volume(SQUARE, height=9.0, roof="gabled", roof_height=3.0), 9.0, 3.0, 0.0),
        (Volume(SQUARE, levels=2, roof="gabled", roof_levels=2), 11.0, 5.0, 0.0),
        (Volume(SQUARE, height=9.0, base=3.0), 9.0, 0.0, 3.0),
        (Volume(SQUARE, levels=5, base_levels=2), 15.0, 0.0, 6.0),
        (Volume(SQUARE, base_levels=4), 15.0, 0.0, 12.0),
    ],
)
def test_a_volume_is_settled_by_what_it_states(volume: Volume, height: float, rise: float, base: float) -> None:
    found = settled(volume)
    assert (found.height, found.roof_height, found.base) == pytest.approx((height, rise, base))


@given(
    st.builds(
        Volume,
        st.just(SQUARE),
        base=st.floats(0, 60),
        height=st.none() | st.floats(0.1, 60),
        levels=st.none() | st.floats(0, 20),
        base_levels=st.floats(0, 20),
        roof=st.sampled_from(["", "flat", "gabled", "dome", "onion", "skillion"]),
        roof_height=st.none() | st.floats(0, 80),
        roof_levels=st.none() | st.floats(0, 5),
    )
)
def test_a_settled_volume_always_has_walls_and_a_top_above_its_foot(volume: Volume) -> None:
    found = settled(volume)
    assert found.height is not None
    assert found.roof_height is not None
    assert found.roof
    assert 0 <= found.base < found.height
    assert 0 <= found.roof_height < found.height - found.base
    if volume.height is not None and volume.height >= 2 * heights.LEAST_WALL:
        assert found.height == volume.height


def test_storeys_follow_the_styles_weights() -> None:
    drawn = draw_heights(many(Volume(SQUARE, roof="flat"), 300), TOWN, np.random.default_rng(1))
    low, high = TOWN.houses.storey_height
    tops = np.array([b.height for b in drawn.buildings])
    for storeys, weight in enumerate(TOWN.houses.storeys, start=1):
        if storeys < 4:  # beyond that the ranges of heights meet
            share = ((tops >= storeys * low - 1e-6) & (tops <= storeys * high + 1e-6)).mean()
            assert share == pytest.approx(weight, abs=0.08)


def test_roofs_follow_the_styles_shares() -> None:
    drawn = draw_heights(many(Volume(SQUARE), 300), TOWN, np.random.default_rng(1))
    shapes = Counter(b.volumes[0].roof for b in drawn.buildings)
    assert shapes["flat"] / 300 == pytest.approx(TOWN.houses.flat, abs=0.08)
    assert shapes["hipped"] / 300 == pytest.approx(TOWN.houses.hipped, abs=0.08)
    assert shapes["gabled"] > 0


def test_what_is_stated_is_kept() -> None:
    stated = building(Volume(SQUARE, height=10.0, roof="gabled", roof_height=4.0))
    levels = building(Volume(SQUARE, levels=3, roof="flat"), x=100)
    tall = building(Volume(SQUARE, height=21.0), x=200)
    drawn = draw_heights(city(stated, levels, tall), SUBURB, np.random.default_rng(3)).buildings
    assert drawn[0] is stated
    low, high = SUBURB.houses.storey_height
    assert 3 * low <= drawn[1].height <= 3 * high
    assert drawn[2].height == pytest.approx(21.0)
    assert all(b.inferred == ("ground", "height", "roof") for b in drawn)
    assert drawn[1].volumes[0].height == pytest.approx(drawn[1].height)


def test_the_mesh_is_as_high_as_the_building_says() -> None:
    for b in draw_heights(many(Volume(SQUARE), 40), TOWN, np.random.default_rng(5)).buildings:
        low, high = b.mesh.bounds
        assert low[2] == pytest.approx(0.0)
        assert high[2] == pytest.approx(b.height)
        assert 0 < b.eave <= b.height


def test_large_buildings_have_flat_roofs_and_small_ones_one_storey() -> None:
    hall = many(Volume(shapely.box(0, 0, 36, 36)), 60)
    assert {b.volumes[0].roof for b in draw_heights(hall, TOWN, np.random.default_rng(1)).buildings} == {"flat"}
    sheds = draw_heights(many(Volume(shapely.box(0, 0, 3, 3)), 60), TOWN, np.random.default_rng(1)).buildings
    assert max(b.eave for b in sheds) == pytest.approx(heights.SHED_HEIGHT)
    assert {b.volumes[0].roof for b in sheds} > {"flat"}


def test_large_industrial_buildings_have_one_tall_storey() -> None:
    halls = draw_heights(
        many(Volume(shapely.box(0, 0, 36, 36)), 60, occupancy="industrial"), TOWN, np.random.default_rng(1)
    )
    tops = [b.height for b in halls.buildings]
    assert heights.HALL_STOREY[0] <= min(tops) < max(tops) <= heights.HALL_STOREY[1]


def test_neighbours_that_touch_are_much_alike() -> None:
    volume = Volume(shapely.box(0, 0, 6, 10), roof="flat")
    row = city(*(building(volume, x=6.0 * i, y=40.0 * j) for j in range(20) for i in range(8)))
    apart = many(volume, 160)

    def spread(town: City) -> float:
        tops = np.array([b.height for b in draw_heights(town, TOWN, np.random.default_rng(2)).buildings])
        return float(tops.reshape(20, 8).std(axis=1).mean())

    assert spread(row) < 0.75 * spread(apart)


def test_the_same_seed_gives_the_same_city() -> None:
    town = many(Volume(SQUARE), 30)
    one, two = (draw_heights(town, TOWN, np.random.default_rng(7)).buildings for _ in range(2))
    assert all((a.mesh.vertices == b.mesh.vertices).all() for a, b in zip(one, two, strict=True))
    other = draw_heights(town, TOWN, np.random.default_rng(8)).buildings
    assert [b.height for b in one] != [b.height for b in other]


def test_drawing_twice_changes_nothing_more() -> None:
    once = draw_heights(many(Volume(SQUARE), 10), TOWN, np.random.default_rng(7))
    twice = draw_heights(once, TOWN, np.random.default_rng(9))
    assert all(a is b for a, b in zip(once.buildings, twice.buildings, strict=True))


def test_parts_of_one_building_get_flat_roofs_and_one_storey_height() -> None:
    tower = building(Volume(SQUARE, levels=6), Volume(shapely.box(12, 0, 30, 8), levels=2))
    (drawn,) = draw_heights(city(tower), TOWN, np.random.default_rng(1)).buildings
    assert {v.roof for v in drawn.volumes} == {"flat"}
    assert (drawn.volumes[0].height or 0) == pytest.approx(3 * (drawn.volumes[1].height or 0))


def test_a_city_without_volumes_stays_as_it_is() -> None:
    bare = replace(building(Volume(SQUARE)), volumes=())
    assert draw_heights(city(bare), TOWN, np.random.default_rng(1)).buildings == (bare,)
    assert draw_heights(city(), TOWN, np.random.default_rng(1)).buildings == ()
