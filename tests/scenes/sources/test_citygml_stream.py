"""CityGML of any size: what is not wanted is dropped on the way and leaves nothing behind."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bigcity
import numpy as np
import pytest
from cityfiles import X, Y, bounded, box, city_model, citygml, implicit, linked_solid, relative

from mage.scenes.sources.citygml.read import read_citygml
from mage.scenes.sources.raw import RawCity

NEAR, FAR = box(X, Y, 8, 6, 0, 5), box(X + 1000, Y, 8, 6, 0, 5)


def near(crs: Sequence[str], points: np.ndarray) -> bool:
    return bool(points[:, 0].min() < X + 500)


def read(text: str, within: Any = near) -> RawCity:
    return read_citygml(io.BytesIO(text.encode()), within)


class TestWithin:
    def test_it_is_asked_once_for_each_object_with_all_its_points(self) -> None:
        asked: list[tuple[tuple[str, ...], int]] = []

        def within(crs: Sequence[str], points: np.ndarray) -> bool:
            assert points.dtype == np.float64
            asked.append((tuple(crs), len(points)))
            return True

        part = f"<bldg:BuildingPart>{bounded(FAR)}</bldg:BuildingPart>"
        body = bounded(NEAR) + f"<bldg:consistsOfBuildingPart>{part}</bldg:consistsOfBuildingPart>"
        city = read(citygml({"a": body, "b": bounded(FAR)}), within)
        assert asked == [(("EPSG:28992",), 48), (("EPSG:28992",), 24)]
        assert len(city.buildings) == 2

    def test_what_lies_outside_is_counted_and_its_notes_are_not(self) -> None:
        city = read(citygml({"a": bounded(NEAR), "b": bounded(FAR, closed=False)}))
        assert [b.id for b in city.buildings] == ["a"]
        assert city.notes == {"outside the bounds": 1}

    def test_points_that_are_nowhere_are_not_asked_about(self) -> None:
        odd = bounded(NEAR).replace(f"{X:.9f}", "NaN", 1)
        assert len(read(citygml({"a": odd})).buildings) == 1

    def test_objects_without_any_point_are_dropped(self) -> None:
        assert read(citygml({"a": "", "b": "<bldg:lod2Solid/>"})).notes == {"outside the bounds": 2}

    def test_a_tree_lies_where_it_is_placed_and_not_where_its_library_object_is_drawn(self) -> None:
        geometry = relative(f"<gml:Point><gml:pos>{X + 9000} 0 0</gml:pos></gml:Point>")
        trees = [
            f"<veg:SolitaryVegetationObject><veg:lod1ImplicitRepresentation>{implicit(geometry, (x, Y, 0))}"
            "</veg:lod1ImplicitRepresentation></veg:SolitaryVegetationObject>"
            for x in (X, X + 1000)
        ]
        city = read(city_model(trees))
        assert [f.points.tolist() for f in city.features] == [[[X, Y, 0]]]

    def test_links_into_what_was_dropped_are_counted(self) -> None:
        first, last = bounded(FAR, "p"), bounded(NEAR, "q")
        body = bounded(NEAR[:-1]) + linked_solid(["p5", "q5"])
        city = read(citygml({"a": first, "b": body, "c": last}))
        assert city.notes == {"outside the bounds": 1, "links to geometry that is not there": 1}
        (shell,) = city.buildings[0].objects[0].shells[2.0]
        assert len(shell) == len(NEAR)  # the link to a later building that was kept is followed

    def test_an_object_that_only_links_is_kept_until_its_links_are_known(self) -> None:
        city = read(citygml({"a": linked_solid(["q5"]), "b": bounded(NEAR, "q")}))
        assert [len(b.finest()[1]) for b in city.buildings] == [1, 1]

    def test_without_a_bound_everything_is_kept(self) -> None:
        assert len(read(citygml({"a": bounded(NEAR), "b": bounded(FAR)}), None).buildings) == 2


def _read_apart(path: Path, size: int) -> dict[str, Any]:
    """What a process of its own met in a file of that size, and by how many bytes it grew."""
    bigcity.write(path, size)
    run = subprocess.run([sys.executable, bigcity.__file__, path], capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(run.stdout)
    assert facts["buildings"] == [f"house-{k}" for k in range(2, 7)]
    assert facts["features"] == [f"{kind}-{k}" for kind in ("tree", "road") for k in range(2, 7)]
    assert list(facts["notes"]) == ["outside the bounds"]
    return facts


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")


@pytest.mark.long
@needs_proc
def test_memory_does_not_grow_with_a_file_of_30_megabytes(tmp_path: Path) -> None:
    """5 MB of it are one relief: its points alone are held until it is known to lie elsewhere."""
    assert _read_apart(tmp_path / "city.gml", 30_000_000)["grown"] < 20_000_000


@needs_proc
@pytest.mark.long
def test_a_gigabyte_is_read_in_less_than_600_megabytes(tmp_path: Path) -> None:
    facts = _read_apart(tmp_path / "city.gml", 1_000_000_000)
    assert facts["grown"] < 600_000_000
    assert facts["speed"] > 1  # megabytes a second of processor time: no step of it is quadratic
