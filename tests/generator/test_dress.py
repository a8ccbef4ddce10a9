"""What buildings wear: windows on their walls, stains on their roofs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes_in_closed_form import box_building

from mage.generator.colour import BLACK, GAIN, to_srgb
from mage.generator.dress import PICTURE, Dressed, dress
from mage.scenes.mesh import Surface
from mage.scenes.style import load_style


def dressed(height: float, *, side: float = 12.0, occupancy: str = "residential", seed: int = 0) -> Dressed:
    building = replace(box_building("a", 0, 0, side, side, 30.0, height), occupancy=occupancy)
    return dress(building, load_style("european"), np.random.default_rng(seed))


def walls(house: Dressed) -> np.ndarray:
    return house.pattern[house.mesh.surface == Surface.WALL]


def test_houses_show_windows_halls_few_and_sheds_none() -> None:
    house, hall, shed = (
        walls(dressed(9.0)).mean(),
        walls(dressed(9.0, occupancy="industrial")).mean(),
        walls(dressed(2.4, side=4.0)).max(),
    )
    assert house > 0.7
    assert 0 < hall < 0.3
    assert shed == 0


@pytest.mark.parametrize("seed", range(3))
def test_storeys_are_counted_from_the_ground(seed: int) -> None:
    house = dressed(9.0, seed=seed)
    mesh = house.mesh
    on_wall = mesh.surface == Surface.WALL
    above = mesh.vertices[mesh.triangles[on_wall], 2] - 30.0
    storeys = (mesh.uv[on_wall][..., 1] - above) / PICTURE
    np.testing.assert_allclose(storeys, np.round(storeys), atol=1e-4)


def test_a_pale_roof_is_less_stained_than_a_dark_one() -> None:
    roofs = []
    for tone in (0.6, 0.1):
        colour = tuple(int(v) for v in np.rint(to_srgb(GAIN * np.full(3, tone) + BLACK)))
        pale = replace(box_building("a", 0, 0, 12, 12, 30.0, 9.0), roof_colour=colour)
        house = dress(pale, load_style("european"), np.random.default_rng(0))
        roofs.append(house.pattern[house.mesh.surface == Surface.ROOF, 2].max())
    assert roofs[0] < 0.6 * roofs[1]
