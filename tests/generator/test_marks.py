"""Lines painted on streets, lots and fields."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from scenes_in_closed_form import box_city, flat_terrain
from shapely.geometry import LineString

from mage.generator.marks import Mark, mark_city
from mage.scenes.bays import bays_of
from mage.scenes.city import City, LandPatch, Railway, RoadEdge, RoadGraph
from mage.scenes.grid import Grid
from mage.scenes.style import load_style

STYLE = load_style("suburb")
EUROPEAN = load_style("european")


def street(kind: str, width: float, **more: object) -> City:
    """One street from west to east that ends in two more at each end."""
    nodes = np.array([(-60.0, 0.0), (60.0, 0.0), (-60.0, 50.0), (-60.0, -50.0), (60.0, 50.0), (60.0, -50.0)])
    sides = [(0, 2), (0, 3), (1, 4), (1, 5)]
    edges = [RoadEdge(0, 1, LineString(nodes[[0, 1]]), width, kind, **more)]  # type: ignore[arg-type]
    edges += [RoadEdge(a, b, LineString(nodes[[a, b]]), 4.0, "service") for a, b in sides]
    return replace(box_city((), flat_terrain(0.0)), roads=RoadGraph(nodes, tuple(edges)))


def paint(city: City, style: object = STYLE) -> list[tuple[shapely.Geometry, float]]:
    marks = mark_city(city, style)  # type: ignore[arg-type]
    chosen = marks.kind == Mark.ROAD_PAINT
    return list(zip(marks.lines[chosen], marks.width[chosen], strict=True))


def offsets(city: City, width: float) -> set[float]:
    """Distances from the axis of lines of one width that run along it."""
    lines = [line for line, w in paint(city) if w == width]
    return {round(abs(shapely.get_coordinates(line)[0, 1]), 2) for line in lines}


def test_a_wide_street_has_a_dashed_centre_line_and_a_narrow_one_none() -> None:
    assert offsets(street("residential", 11.0, lanes=2), 0.12) == {0.0}
    dashes = [line for line, w in paint(street("residential", 11.0, lanes=2)) if w == 0.12]
    assert all(line.length == pytest.approx(3.0) for line in dashes)
    assert paint(street("residential", 6.0)) == []
    for kind in ("track", "pedestrian", "service"):
        assert paint(street(kind, 12.0)) == []
    assert paint(street("primary", 12.0, tunnel=True)) == []


def test_lanes_decide_the_lines_between_them_and_major_roads_have_solid_edges() -> None:
    four = street("primary", 14.0, lanes=4)
    assert offsets(four, 0.12) == {3.5}  # between the lanes of one direction
    assert offsets(four, 0.15) == {0.15, 6.7}  # a double line in the middle, and both edges
    three = street("motorway", 10.8, lanes=3, oneway=True)
    assert offsets(three, 0.12) == {1.8}


def test_junctions_have_zebras_where_there_are_pavements_and_stop_lines_elsewhere() -> None:
    wide = street("tertiary", 11.0, lanes=2)
    stripes = [line for line, w in paint(wide, EUROPEAN) if w == 0.5]
    assert len(stripes) > 15
    assert all(40 < abs(line.centroid.x) < 55 for line in stripes)
    stops = [line for line, w in paint(wide) if w == 0.4]
    assert len(stops) == 2
    # on the right half of the street as one comes to the junction
    assert all(np.sign(line.centroid.y) == -np.sign(line.centroid.x) for line in stops)
    left = [line for line, w in paint(replace(wide, drives_left=True)) if w == 0.4]
    assert all(np.sign(line.centroid.y) == np.sign(line.centroid.x) for line in left)


def test_bays_have_a_line_on_each_side_and_fields_their_outline() -> None:
    lot, field = shapely.box(-40, -40, -10, -20), shapely.box(5, 5, 55, 35)
    land = (LandPatch(lot, "parking"), LandPatch(field, "pitch"))
    marks = mark_city(replace(box_city((), flat_terrain(0.0)), land=land), STYLE)
    in_lot = [line for line in marks.lines if lot.covers(line)]
    bays = bays_of(lot)
    rows = len(np.unique(bays.xy[:, 1].round(2)))
    assert len(in_lot) == len(bays) + rows
    on_field = [line for line in marks.lines if field.covers(line)]
    assert len(on_field) == len(marks) - len(in_lot) == 5


def test_rails_lie_a_gauge_apart_on_sleepers() -> None:
    track = Railway(LineString([(-50, 0), (50, 0)]))
    marks = mark_city(replace(box_city((), flat_terrain(0.0)), railways=(track,)), STYLE)
    rails = marks.lines[marks.kind == Mark.RAIL]
    assert sorted(float(shapely.get_coordinates(r)[0, 1]) for r in rails) == pytest.approx([-0.7175, 0.7175])
    assert (marks.kind == Mark.SLEEPER).sum() == pytest.approx(100 / 0.65, abs=2)


def test_coverage_is_the_share_of_a_pixel_that_a_line_takes() -> None:
    marks = mark_city(street("primary", 14.0, lanes=4), STYLE)
    for gsd in (0.1, 0.3, 0.5):
        grid = Grid.around(0.0, 0.0, int(60 / gsd), gsd)
        share = marks.coverage(grid, Mark.ROAD_PAINT)
        near = marks.lines[marks.index.query(shapely.box(*grid.bounds))]
        view = shapely.box(*grid.bounds)
        area = sum(
            shapely.buffer(line, w / 2, cap_style="flat").intersection(view).area
            for line, w in zip(marks.lines, marks.width, strict=True)
        )
        assert len(near) > 4
        assert share.sum() * gsd**2 == pytest.approx(area, rel=0.3)
    empty = mark_city(box_city((), flat_terrain(0.0)), STYLE)
    assert not empty.coverage(grid, Mark.RAIL).any()
