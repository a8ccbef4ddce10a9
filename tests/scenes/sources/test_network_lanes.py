"""Street networks that are cut, gridded or grown, and graphs out of lines that cross."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString

from mage.scenes.sources.procedural.layout.lanes import (
    blocks,
    grid_streets,
    noded,
    region,
    village_streets,
    winding_streets,
)
from mage.scenes.sources.procedural.network import component_labels
from mage.scenes.style import load_style

GROUND = shapely.box(-200, -200, 200, 200)


def test_lines_that_cross_and_touch_are_cut_there_and_keep_their_widths() -> None:
    lines = [LineString([(-50, 0), (50, 0)]), LineString([(0, -30), (0, 40)]), LineString([(20, 0), (20.0, 35.0)])]
    roads = noded(lines, [9.0, 5.0, 4.0])
    assert len(roads.edges) == 6
    assert sorted(e.width for e in roads.edges) == [4.0, 5.0, 5.0, 9.0, 9.0, 9.0]
    assert component_labels(roads).max() == 0
    assert roads.length == pytest.approx(100 + 70 + 35, abs=0.1)


def test_an_end_that_misses_a_street_by_a_millimetre_still_meets_it() -> None:
    roads = noded([LineString([(-50, 0), (50, 3.3)]), LineString([(7.0, 1.8804), (9, 60)])], [6.0, 4.0])
    assert component_labels(roads).max() == 0
    assert len(roads.edges) == 3


@pytest.mark.parametrize("seed", range(4))
def test_lanes_are_one_network_whose_blocks_are_about_as_large_as_asked_for(seed: int) -> None:
    streets = load_style("european-old-town").streets
    roads = winding_streets(np.random.default_rng(seed), streets, GROUND, 0.2)
    assert component_labels(roads).max() == 0
    area = np.array([b.area for b in blocks(roads, GROUND, 1.0)])
    wanted = streets.block[0] * streets.block[1]
    assert 0.4 * wanted < np.median(area) < 1.3 * wanted


@pytest.mark.parametrize("seed", range(4))
def test_a_grid_runs_at_right_angles(seed: int) -> None:
    roads = grid_streets(np.random.default_rng(seed), load_style("downtown").streets, GROUND)
    assert component_labels(roads).max() == 0
    inner = [e for e in roads.edges if e.line.distance(GROUND.exterior) > 1]
    steps = np.array([np.subtract(e.line.coords[-1], e.line.coords[0]) for e in inner])
    turn = np.arctan2(steps[:, 1], steps[:, 0]) % (np.pi / 2)
    assert np.abs(np.angle(np.exp(4j * (turn - turn[0])))).max() < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_village_hangs_together_on_its_main_street(seed: int) -> None:
    roads = village_streets(np.random.default_rng(seed), load_style("village").streets, GROUND, 150.0)
    assert component_labels(roads).max() == 0
    assert roads.length > 600


def test_the_served_ground_keeps_off_closed_ground_and_is_one_piece() -> None:
    closed = LineString([(-300, 60), (300, 100)]).buffer(40)
    ground = region(GROUND, closed)
    assert ground.geom_type == "Polygon"
    assert ground.intersection(closed).area < 0.01 * ground.area
    assert ground.area > 0.4 * GROUND.area
    assert ground.centroid.y < 0
