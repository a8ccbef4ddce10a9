"""Roofs that are not all of one piece: what is laid on them changes colours and no shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes_in_closed_form import box_building, box_city, flat_terrain

from mage.generator.patchwork import Patch, _cut, draw_patches, patched
from mage.generator.place import Place, prepare_place
from mage.scenes.mesh import Mesh, Surface
from mage.scenes.sources.procedural.houses import house_mesh, house_outline, pitched_wing
from mage.scenes.style import load_style

STYLE = load_style("suburb")
STRAIGHT = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
HIPPED = (pitched_wing(0.0, 6.0, 18.0, 12.0, 3.0, 0.5, hipped=True),)


def house(*, stated: tuple[int, int, int] | None = None) -> Place:
    plain = box_building("a", -9, 0, 9, 12, 2.0, 5.0)
    mesh = house_mesh(HIPPED, STRAIGHT, 2.0, 1.0)
    built = replace(plain, mesh=mesh, footprint=house_outline(HIPPED, STRAIGHT), roof="pitched", roof_colour=stated)
    return prepare_place(box_city((built,), flat_terrain(2.0)), STYLE, np.random.default_rng(0))


HOUSE = house()


def laid(*patches: Patch) -> tuple[Mesh, np.ndarray, np.ndarray, np.ndarray]:
    worn = patched(HOUSE.fabric, HOUSE.owner, HOUSE.albedo, HOUSE.pattern, patches)
    return worn.mesh, worn.albedo, worn.pattern, worn.source


def patch(box: tuple[float, float, float, float], **what: object) -> Patch:
    return Patch(0, np.zeros(2), np.eye(2), box, **what)  # type: ignore[arg-type]


def seen_from_above(mesh: Mesh, chosen: np.ndarray) -> float:
    return float((mesh.areas * mesh.normals[:, 2])[chosen].sum())


def test_a_cover_takes_its_box_of_the_roof_and_nothing_else() -> None:
    white = np.array([0.7, 0.71, 0.69], np.float32)
    mesh, albedo, _, source = laid(patch((-2.0, -1.0, 3.0, 2.5), cover=white))
    on_it = (albedo == white).all(axis=1)
    eaves = -HOUSE.fabric.vertices[HOUSE.fabric.triangles[HOUSE.fabric.surface == Surface.ROOF]][..., 1].min()
    assert seen_from_above(mesh, on_it) == pytest.approx(5.0 * (2.5 + min(eaves, 1.0)), rel=1e-6)
    assert (mesh.surface[on_it] == Surface.ROOF).all()
    np.testing.assert_array_equal(albedo[~on_it], HOUSE.albedo[source[~on_it]])


def test_a_mend_is_its_roof_a_little_darker() -> None:
    _, albedo, pattern, source = laid(patch((-4.0, 3.0, 1.0, 9.0), factor=0.8))
    ratio = albedo / HOUSE.albedo[source]
    assert set(np.round(ratio.ravel(), 5)) == {np.float32(0.8), np.float32(1.0)}
    np.testing.assert_array_equal(pattern, HOUSE.pattern[source])


def test_every_face_keeps_its_area_and_its_plane() -> None:
    mesh, _, _, source = laid(*HOUSE.patches, patch((-4.0, -3.0, 5.0, 9.0), factor=1.2))
    assert len(mesh) > len(HOUSE.fabric)
    area = np.bincount(source, mesh.areas, len(HOUSE.fabric))
    np.testing.assert_allclose(area, HOUSE.fabric.areas, atol=1e-6)
    np.testing.assert_allclose(mesh.normals, HOUSE.fabric.normals[source], atol=1e-6)
    np.testing.assert_array_equal(mesh.surface, HOUSE.fabric.surface[source])


def test_a_roof_is_patched_alike_whatever_stands_beside_it() -> None:
    other = box_building("b", 30, 0, 60, 20, 2.0, 6.0)
    both = prepare_place(box_city((*HOUSE.city.buildings, other), flat_terrain(2.0)), STYLE, np.random.default_rng(0))
    every = patched(both.fabric, both.owner, both.albedo, both.pattern, both.patches)
    own = both.owner == 0
    alone = patched(both.fabric.faces(own), both.owner[own], both.albedo[own], both.pattern[own], both.patches)
    mine = both.owner[every.source] == 0
    np.testing.assert_array_equal(every.albedo[mine], alone.albedo)
    corners = [m.vertices[m.triangles] for m in (every.mesh.faces(mine), alone.mesh)]
    np.testing.assert_array_equal(*corners)


def test_a_roof_whose_colour_is_known_is_mended_only() -> None:
    draws = [np.random.default_rng(seed) for seed in range(20)]
    plain = [p for rng in draws for p in draw_patches(HOUSE.city, STYLE, rng)]
    assert any(p.cover is not None for p in plain)
    stated = house(stated=(150, 90, 80)).city
    assert all(p.cover is None for seed in range(20) for p in draw_patches(stated, STYLE, np.random.default_rng(seed)))


def test_sheds_are_left_as_they_are() -> None:
    shed = box_city((box_building("s", 0, 0, 5, 5, 2.0, 4.5),), flat_terrain(2.0))
    assert all(not draw_patches(shed, STYLE, np.random.default_rng(seed)) for seed in range(20))


@given(
    st.lists(st.lists(st.floats(-50, 50), min_size=9, max_size=9), min_size=1, max_size=6),
    st.floats(0, 6.3),
    st.floats(-40, 40),
)
def test_a_cut_parts_triangles_along_its_line_and_loses_nothing(
    flat: list[list[float]], turn: float, at: float
) -> None:
    corners = np.array(flat).reshape(-1, 3, 3)
    way = np.array([np.cos(turn), np.sin(turn)])
    pieces, source = _cut(corners, np.arange(len(corners)), corners[..., :2] @ way - at)

    def areas(triangles: np.ndarray) -> np.ndarray:
        return np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)

    np.testing.assert_allclose(np.bincount(source, areas(pieces), len(corners)), areas(corners), atol=1e-6)
    away = pieces[..., :2] @ way - at
    assert ((away > -1e-6).all(axis=1) | (away < 1e-6).all(axis=1)).all()
