"""What the water does to buildings and roads."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from flood_cities import box_building, city_of, river, terrain_of
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.scenes.errors import HazardError
from mage.scenes.grades import Jds
from mage.scenes.hazards.flood import flood
from mage.scenes.hazards.vulnerability import depth_damage, flood_loss


def plain(**parts):
    """40 x 40 m of level ground at 0 m, flooded from its border."""
    return city_of(terrain_of(np.zeros((41, 41))), **parts)


def slope(**parts):
    """40 x 40 m that rise by 0.1 per metre to the east."""
    return city_of(terrain_of(np.tile(np.arange(41) * 0.1, (41, 1))), **parts)


def test_depth_and_wet_share_of_a_house_in_even_water():
    impact = flood(plain(buildings=[box_building(10, 10, 20, 20)]), level=1.5)
    assert impact.intensity == pytest.approx([1.5])
    assert impact.wet_share == pytest.approx([1.0])


def test_the_intensity_is_the_deepest_water_at_the_walls():
    impact = flood(slope(buildings=[box_building(10, 10, 20, 20, ground=1.0)]), level=2.0)
    assert impact.intensity == pytest.approx([2.0 - 0.95], abs=1e-6)  # half a metre outside of the western wall


def test_half_in_water_is_minor_surrounded_is_major_and_a_roof_under_water_destroyed():
    half, whole, under = (
        flood(slope(buildings=[box_building(10, 10, 20, 20, ground=1.0, height=h)]), level=level)
        for level, h in ((1.5, 6.0), (2.4, 6.0), (2.4, 1.2))
    )
    assert [int(i.jds[0]) for i in (half, whole, under)] == [Jds.MINOR, Jds.MAJOR, Jds.DESTROYED]
    assert 0.3 < half.wet_share[0] < 0.6


def test_a_roof_counts_as_covered_only_where_water_stands_above_it():
    low, high = box_building(5, 5, 12, 12, height=1.0), box_building(20, 20, 27, 27, height=1.0, ground=0.6)
    impact = flood(plain(buildings=[low, high]), level=1.5)
    assert list(impact.jds) == [Jds.DESTROYED, Jds.MAJOR]


def test_still_water_raises_no_structural_grade():
    impact = flood(plain(buildings=[box_building(5, 5, 12, 12, height=1.0), box_building(20, 20, 30, 30)]), level=9.0)
    assert not impact.ems98.any()
    assert not impact.visible.any()
    assert impact.p_grade.tolist() == [[1, 0, 0, 0, 0, 0]] * 2


@settings(max_examples=40)
@given(st.floats(-1, 8), st.floats(0, 2))
def test_a_building_is_never_better_off_in_higher_water(level, more):
    houses = [box_building(4, 4, 12, 12, ground=0.4), box_building(20, 20, 31, 26, ground=2.0, height=2.5)]
    low, high = (flood(slope(buildings=houses), level=v) for v in (level, level + more))
    for name in ("intensity", "wet_share", "jds", "loss"):
        assert (getattr(high, name) >= getattr(low, name)).all()


def test_party_walls_do_not_count_as_dry():
    """A terraced house that is wet at both of its free walls is surrounded, whatever its neighbours' rooms say."""
    row = [box_building(5 + 6 * i, 10, 11 + 6 * i, 20, name=f"b{i}") for i in range(3)]
    city = slope(buildings=row)
    impact = flood(city, level=3.5)
    assert impact.wet_share == pytest.approx([1.0, 1.0, 1.0])
    alone = flood(slope(buildings=[row[1]]), level=1.4)
    between = flood(city, level=1.4)
    assert between.wet_share[1] < alone.wet_share[0]  # the wet western wall is the neighbour's now


def test_a_building_wholly_inside_another_takes_all_its_points():
    city = plain(buildings=[box_building(5, 5, 30, 30), box_building(12, 12, 20, 20, name="inner")])
    assert flood(city, level=1.0).intensity == pytest.approx([1.0, 1.0])


def test_a_courtyard_is_part_of_the_outline():
    ring = shapely.box(5, 5, 35, 35).difference(shapely.box(15, 15, 25, 25))
    house = box_building(5, 5, 35, 35)
    heights = np.zeros((41, 41))
    heights[15:26, 15:26] = 3.0  # the yard lies high and stays dry
    city = city_of(terrain_of(heights), buildings=[type(house)(**_fields(house) | {"footprint": ring})])
    assert 0.7 < flood(city, level=1.0).wet_share[0] < 0.85


def _fields(building):
    return {name: getattr(building, name) for name in building.__slots__}


def test_a_house_at_the_water_is_not_flooded_by_the_depth_of_the_canal():
    heights = np.zeros((41, 41))
    heights[:, :10] = -3.0
    house = box_building(9.2, 10, 18, 20)  # its western wall stands in the canal
    city = city_of(terrain_of(heights), water=[river(-1, -1, 9.9, 41, -1.0)], buildings=[house])
    assert flood(city, level=-0.95).intensity[0] <= 0.05
    assert flood(city, level=0.5).intensity[0] <= 1.5
    assert flood(city, level=0.5).wet_share == pytest.approx([1.0])


def test_a_house_wholly_in_permanent_water_is_not_flooded():
    city = city_of(
        terrain_of(np.full((41, 41), -2.0)), water=[river(-1, -1, 42, 42, 0.0)], buildings=[box_building(9, 9, 15, 15)]
    )
    impact = flood(city, level=1.0)
    assert (impact.intensity[0], impact.wet_share[0], impact.jds[0]) == (0, 0, 0)


def test_a_city_without_buildings_or_roads_has_an_impact_of_nothing():
    impact = flood(plain(), level=1.0)
    assert impact.p_grade.shape == (0, 6)
    assert all(len(v) == 0 for v in (impact.intensity, impact.jds, impact.loss, impact.road_depth, impact.car))


@pytest.mark.parametrize("region", sorted(depth_damage().ratios))
def test_the_loss_equals_the_table_at_its_nodes(region):
    table = depth_damage()
    for occupancy, ratios in table.ratios[region].items():
        found = flood_loss(table.depths, [occupancy] * len(table.depths), region)
        assert np.array_equal(found, ratios)


def test_the_published_figures_are_in_the_table():
    """Three figures of Huizinga et al. (2017), typed again."""
    depth = np.array([0.5, 2.0, 3.0])
    assert flood_loss(depth, ["residential", "industrial", "commercial"], "europe") == pytest.approx([0.25, 0.52, 0.75])
    assert flood_loss(depth[1:], ["residential"] * 2, "asia") == pytest.approx([0.721, 0.87])


def test_every_curve_starts_at_nothing_ends_at_all_and_never_falls():
    table = depth_damage()
    assert table.doi == "10.2760/16510"
    for curves in table.ratios.values():
        for ratios in curves.values():
            assert len(ratios) == len(table.depths)
            assert (ratios[0], ratios[-1]) == (0, 1)
            assert (np.diff(ratios) >= 0).all()


def test_the_loss_is_linear_between_nodes_and_whole_beyond_the_last():
    assert flood_loss(np.array([0.25, 2.5, 40.0]), ["residential"] * 3, "europe") == pytest.approx([0.125, 0.675, 1.0])


def test_an_occupancy_without_a_curve_of_its_own_counts_as_residential():
    depth = np.array([1.0, 1.0])
    assert flood_loss(depth, ["commercial", "industrial"], "africa") == pytest.approx([0.378, 0.378])


def test_a_flood_takes_its_loss_by_region_and_occupancy():
    houses = [box_building(5, 5, 10, 10), box_building(20, 20, 26, 26, occupancy="industrial")]
    impact = flood(plain(buildings=houses), level=1.0)
    assert impact.loss == pytest.approx([0.40, 0.27])
    assert flood(plain(buildings=houses), level=1.0, region="oceania").loss == pytest.approx([0.64, 0.64])


def test_an_unknown_region_is_named_with_those_that_are_known():
    with pytest.raises(HazardError, match=r"expected .*europe.*found atlantis"):
        flood(plain(), level=1.0, region="atlantis")


@pytest.mark.parametrize(
    ("level", "car", "truck"),
    [(0.0, True, True), (0.25, True, True), (0.3, False, True), (0.49, False, True), (0.5, False, False)],
)
def test_a_car_stops_at_0_3_m_and_an_emergency_vehicle_at_0_5_m(level, car, truck):
    impact = flood(plain(lines=[shapely.LineString([(5, 5), (30, 22)])]), level=level)
    assert impact.road_depth == pytest.approx([level])
    assert (impact.car[0], impact.truck[0]) == (car, truck)


def test_the_deepest_place_of_a_road_decides():
    dip = np.zeros((41, 41))
    dip[18:23, 18:23] = -1.0
    city = city_of(
        terrain_of(dip), lines=[shapely.LineString([(1, 20), (39, 20)]), shapely.LineString([(1, 2), (39, 2)])]
    )
    assert flood(city, level=0.2).road_depth == pytest.approx([1.2, 0.2])


def test_a_bridge_is_not_blocked_by_the_river_that_it_crosses():
    x = np.arange(61)
    heights = np.tile(np.maximum(np.minimum(0.3 * (np.abs(x - 30) - 5), 1.0), -2.0), (41, 1))
    lines = [shapely.LineString([(2, 20), (58, 20)]), shapely.LineString([(2, 5), (23, 5)])]
    city = city_of(terrain_of(heights), water=[river(25, -1, 35, 41, 0.0)], lines=lines)
    risen = flood(city, level=0.8)
    assert risen.road_depth[0] == 0  # over the river and its banks
    assert risen.road_depth[1] == pytest.approx(0.2)  # ends on the bank without crossing
    assert flood(city, level=1.4).road_depth == pytest.approx([0.4, 0.8])
