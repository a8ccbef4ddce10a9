"""Streets that no source holds."""

from __future__ import annotations

import numpy as np
import shapely
from towns import blocks, box_building, one_row

from mage.scenes.city import Building, RoadGraph
from mage.scenes.sources.living.streets import infer_streets
from mage.scenes.style import load_style

STREETS = load_style("european").streets


def streets(buildings: tuple[Building, ...]) -> RoadGraph:
    walls = [b.footprint for b in buildings]
    domain = shapely.box(*shapely.total_bounds(walls)).buffer(140, join_style="mitre")
    return infer_streets(walls, (), domain, STREETS)


def test_no_street_hooks_round_a_house_that_stands_alone_beside_a_town() -> None:
    town = blocks().buildings
    east = max(b.footprint.bounds[2] for b in town)
    for gap in (30, 45):
        lone = box_building("lone", east + gap, 80, 9, 8, 5.0, 6.0)
        graph = streets((*town, lone))
        behind = shapely.box(east + gap + 10, 70, east + gap + 40, 100)
        beside = lone.footprint.buffer(9.0)
        assert not any(e.line.intersects(behind.intersection(beside.buffer(12))) for e in graph.edges)
        # and the town has the streets that it has without that house, but for those that lead out of it
        assert abs(graph.length / streets(town).length - 1) < 0.3


def test_a_hamlet_of_houses_that_all_stand_alone_still_has_streets() -> None:
    houses = tuple(box_building(f"b{i}", 60 * i, 0, 10, 9, 5.0, 6.0) for i in range(4))
    assert streets(houses).edges


def test_streets_keep_their_distance_from_every_wall() -> None:
    for buildings in (blocks().buildings, one_row().buildings):
        walls = shapely.union_all([b.footprint for b in buildings])
        for edge in streets(buildings).edges:
            assert shapely.distance(edge.line, walls) - edge.width / 2 > 0.3
            assert np.isfinite(edge.width)
