"""Cities of many boxes, for shaking and wind."""

from __future__ import annotations

import numpy as np
import shapely
from flood_cities import box_building

from mage.scenes.city import Building, City, Trees
from mage.scenes.terrain import Terrain

_MESH = box_building(0, 0, 10, 8).mesh


def box_city(count, *, spacing=30.0, crs=None, origin=(0.0, 0.0), trees=0, name="boxes", **building):
    """A square of equal boxes of 10 x 8 m, row by row from the south-west corner at (0, 0)."""
    side = int(np.ceil(np.sqrt(count)))
    facts = {"height": 6.0, "eave": 6.0, "storeys": 2, "roof": "flat", **building}
    houses = tuple(
        Building(
            f"b{i}",
            shapely.box(x, y, x + 10, y + 8),
            0.0,
            mesh=_MESH,
            lod=1,
            **facts,
        )
        for i in range(count)
        for x, y in [(spacing * (i % side), spacing * (i // side))]
    )
    extent = side * spacing
    places = np.random.default_rng(0).uniform(0, extent, (trees, 2))
    wood = Trees(places, np.full(trees, 9.0), np.full(trees, 3.0), (np.arange(trees) % 2).astype(np.uint8))
    ground = Terrain(np.zeros((3, 3)), 0.0, extent, extent / 2)
    return City(name, crs, origin, 50.0, 5.0, (0.0, 0.0, extent, extent), houses, trees=wood, terrain=ground)


def arrays_of(strike):
    """All arrays of a strike by name."""
    values = {name: getattr(strike, name) for name in strike.__slots__}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def assert_whole(strike, city):
    """A strike fits its city: shapes, types, probabilities and ranges."""
    b, t = len(city.buildings), len(city.trees)
    ground = city.ground.heights.shape
    shapes = {"p_grade": (b, 6), "severity": ground, "front": ground, "trees": (t,), "tree_heading": (t,)}
    for name, value in arrays_of(strike).items():
        assert value.shape == shapes.get(name, (b,)), name
    for name in ("ems98", "collapse", "burn", "trees"):
        assert getattr(strike, name).dtype == np.uint8, name
    for name in ("loss", "covering_lost", "deck_lost", "p_grade"):
        assert ((getattr(strike, name) >= 0) & (getattr(strike, name) <= 1)).all(), name
    np.testing.assert_allclose(strike.p_grade.sum(axis=1), 1)
    assert (strike.deck_lost <= strike.covering_lost).all()
