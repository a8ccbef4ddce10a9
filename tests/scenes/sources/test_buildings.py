"""Buildings of every level of detail out of what the readers hand over."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from cityfiles import Face, box, gabled

from mage.scenes.city import Building
from mage.scenes.mesh import Surface
from mage.scenes.sources.buildings.build import build
from mage.scenes.sources.buildings.closing import is_closed
from mage.scenes.sources.buildings.surfaces import volume
from mage.scenes.sources.crs import Frame
from mage.scenes.sources.raw import SEMANTICS, Polygons, RawBuilding, RawObject

FRAME = Frame(None, np.asarray)


def shell(faces: list[Face], surface: Surface | None = None) -> Polygons:
    rings = [[np.array(ring, float) for ring in rings] for _, rings in faces]
    return Polygons.of(rings, [SEMANTICS[kind] if surface is None else surface for kind, _ in faces])


def outline(x: float, y: float, w: float, d: float, z: float, surface: Surface = Surface.GROUND) -> Polygons:
    ring = np.array([(x, y, z), (x + w, y, z), (x + w, y + d, z), (x, y + d, z)], float)
    return Polygons.of([[ring]], [surface])


def built(*objects: RawObject) -> tuple[Building, dict[str, int]]:
    notes: Counter[str] = Counter()
    building = build(RawBuilding("a", objects), FRAME, (0.0, 0.0), notes)
    assert building is not None
    return building, dict(+notes)


class TestOutlines:
    def test_an_outline_rises_to_its_measured_height(self) -> None:
        building, notes = built(
            RawObject({"measuredHeight": "9.5", "roofType": "1000"}, {0.0: [outline(0, 0, 10, 8, 3)]})
        )
        assert (building.lod, building.height, building.ground) == (0, pytest.approx(9.5), 0.0)
        assert is_closed(building.mesh)
        assert volume(building.mesh.vertices, building.mesh.triangles) == pytest.approx(10 * 8 * 9.5)
        assert "ground" in building.inferred
        assert "height" not in building.inferred
        assert [v.height for v in building.volumes] == [9.5]
        assert notes == {"outlines raised to buildings": 1}

    def test_storeys_are_kept_for_the_height_to_be_drawn_from(self) -> None:
        building, _ = built(RawObject({"storeysAboveGround": 4}, {0.0: [outline(0, 0, 10, 8, 3)]}))
        assert building.volumes[0].height is None
        assert building.volumes[0].levels == 4
        assert "height" in building.inferred
        assert building.height > 4 * 2.5

    def test_without_numbers_the_height_is_inferred(self) -> None:
        building, _ = built(RawObject({}, {0.0: [outline(0, 0, 10, 8, 3)]}))
        assert building.volumes[0].height is None
        assert "height" in building.inferred
        assert building.height > 2
        assert is_closed(building.mesh)

    def test_a_footprint_goes_before_a_roof_edge(self) -> None:
        building, _ = built(
            RawObject({}, {0.0: [outline(-1, -1, 12, 10, 8, Surface.ROOF), outline(0, 0, 10, 8, 3)]}),
        )
        assert building.footprint.area == pytest.approx(80)

    def test_a_roof_edge_alone_does(self) -> None:
        building, _ = built(RawObject({}, {0.0: [outline(-1, -1, 12, 10, 8, Surface.ROOF)]}))
        assert building.footprint.area == pytest.approx(120)

    def test_each_part_has_a_height_of_its_own_or_that_of_the_building(self) -> None:
        building, _ = built(
            RawObject({"measuredHeight": 12}, {0.0: [outline(0, 0, 20, 8, 0)]}),
            RawObject({"measuredHeight": 6}, {0.0: [outline(0, 0, 10, 8, 0)]}),
            RawObject({}, {0.0: [outline(10, 0, 10, 8, 0)]}),
        )
        assert sorted(v.height or 0 for v in building.volumes) == [6, 12]
        assert building.parts == 2
        assert building.footprint.area == pytest.approx(160)

    def test_a_solid_without_a_height_rises_like_an_outline(self) -> None:
        flat = shell(box(0, 0, 10, 8, 5, 0), Surface.OTHER)
        building, notes = built(RawObject({"measuredHeight": 7}, {1.0: [flat]}))
        assert building.height == pytest.approx(7)
        assert building.footprint.area == pytest.approx(80)
        assert notes["solids without a height taken as outlines"] == 1

    def test_an_outline_without_an_area_is_left_out_and_counted(self) -> None:
        notes: Counter[str] = Counter()
        raw = RawBuilding("a", (RawObject({}, {0.0: [outline(0, 0, 10, 0, 3)]}),))
        assert build(raw, FRAME, (0.0, 0.0), notes) is None
        assert notes["buildings without a footprint left out"] == 1


class TestFinestModels:
    WINDOW = (2.0, 0.0, 1.0, 2.0)  # x, y, z and size of a window in the front wall

    def house(self) -> list[Face]:
        x, y, z, s = self.WINDOW
        hole = [(x, y, z), (x, y, z + s), (x + s, y, z + s), (x + s, y, z)]
        faces = box(0, 0, 10, 8, 0, 6)
        kind, (outer,) = faces[1]
        return [*faces[:1], (kind, [outer, hole]), *faces[2:], ("Window", [hole[::-1]])]

    def test_windows_fill_the_holes_of_their_walls(self) -> None:
        building, _ = built(RawObject({}, {3.0: [shell(self.house())]}))
        mesh = building.mesh
        assert building.lod == 3
        assert is_closed(mesh)
        assert mesh.areas[mesh.surface == Surface.OPENING].sum() == pytest.approx(4)
        assert volume(mesh.vertices, mesh.triangles) == pytest.approx(480)

    def test_an_installation_is_clutter_and_changes_no_measure(self) -> None:
        chimney = RawObject({}, {3.0: [shell(box(4, 3, 1, 1, 6, 2.5), Surface.OTHER)]}, installation=True)
        balcony = RawObject({}, {3.0: [shell(box(2, -1.5, 3, 1.5, -1, 1.2))]}, installation=True)
        plain, _ = built(RawObject({}, {3.0: [shell(self.house())]}))
        building, notes = built(RawObject({}, {3.0: [shell(self.house())]}), chimney, balcony)
        measures = [(b.ground, b.height, b.eave, b.footprint.area, b.roof, b.parts) for b in (plain, building)]
        assert measures[0] == measures[1]
        assert building.mesh.bounds[1][2] == pytest.approx(8.5)
        clutter = building.mesh.areas[building.mesh.surface == Surface.CLUTTER].sum()
        assert clutter == pytest.approx((4 * 2.5 + 2) + 4.5)  # the chimney, and the balcony's floor without a label
        assert building.mesh.areas[building.mesh.surface == Surface.ROOF].sum() == pytest.approx(80 + 4.5)
        assert notes == {"installations built": 2}


class TestParts:
    def test_parts_are_counted_and_a_building_without_any_is_one(self) -> None:
        a, b = (RawObject({}, {2.0: [shell(gabled(20.0 * k, 0, 10, 8, 0, 3, 6))]}) for k in range(2))
        assert built(a)[0].parts == 1
        assert built(RawObject({}, {}), a, b)[0].parts == 2

    def test_parts_of_different_detail_are_all_built_and_counted(self) -> None:
        fine = RawObject({}, {2.0: [shell(gabled(0, 0, 10, 8, 0, 3, 6))]})
        coarse = RawObject({}, {1.0: [shell(box(20, 0, 10, 8, 0, 4), Surface.OTHER)]})
        building, notes = built(RawObject({}, {}), fine, coarse)
        assert building.lod == 2
        assert building.footprint.area == pytest.approx(160)
        assert notes["buildings with parts of different LoD"] == 1

    def test_rebuilt_walls_are_counted_by_building_too(self) -> None:
        faces = gabled(0, 0, 10, 8, 0, 3, 6)
        _, notes = built(RawObject({}, {2.0: [shell([*faces[:3], *faces[5:]])]}))
        assert notes["buildings with missing walls rebuilt"] == 1
        assert notes["missing walls rebuilt"] == 2

    def test_the_code_of_a_roof_counts_only_where_there_is_no_roof_to_measure(self) -> None:
        faces = gabled(0, 0, 10, 8, 0, 3, 6)
        assert built(RawObject({"roofType": "1000"}, {2.0: [shell(faces)]}))[0].roof == "pitched"
