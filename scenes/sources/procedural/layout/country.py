"""Open country: fields, meadows, orchards and woods, parted by strips of grass."""

from __future__ import annotations

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray

from mage.scenes.layouts import Village
from mage.scenes.sources.procedural.layout.built import Built
from mage.scenes.sources.procedural.layout.parcels import oriented, parcels
from mage.scenes.style import Style

Floats = NDArray[np.float64]

BALK = 1.6  # metres of grass round every field


def country(rng: np.random.Generator, style: Style, ground: shapely.Geometry) -> Built:
    """Patches that cover ``ground``, the country beyond the last street: as a village's layout says, or meadows with
    woods.
    """
    layout, built = style.layout, Built()
    size, shares = (5000.0, 14_000.0), (0.0, 0.6, 0.4)
    if isinstance(layout, Village):
        size, shares = layout.fields, (layout.orchards, layout.meadows, layout.woods)
    orchards, meadows, woods = np.cumsum(shares)
    built.cover(ground, "grass")
    if ground.is_empty:
        return built
    around = shapely.affinity.rotate(ground.envelope.buffer(60), rng.uniform(0, 180))
    for field in parcels(rng, around, size, jitter=0.1, access=False):
        chance = rng.random()
        for lot in shapely.get_parts(field.outline.intersection(ground).buffer(-BALK)):
            if lot.area < 250:
                continue
            if chance < orchards:
                built.orchards.append(lot)
            elif chance >= meadows:
                built.cover(lot, "forest" if chance < woods else "agriculture")
    return built


def orchard_trees(rng: np.random.Generator, outline: shapely.Geometry) -> Floats:
    """Places of trees in straight rows (n, 2), with gaps, 4 m and more within an outline."""
    inner = outline.buffer(-4.0)
    if inner.is_empty:
        return np.zeros((0, 2))
    middle, axes, size = oriented(outline)
    spacing, row = rng.uniform(4.0, 7.0), rng.uniform(4.5, 8.5)
    x, y = np.meshgrid(np.arange(-size[0] / 2, size[0] / 2, row), np.arange(-size[1] / 2, size[1] / 2, spacing))
    xy = middle + np.stack([x.ravel(), y.ravel()], axis=1) @ axes
    xy = xy[rng.random(len(xy)) < 0.93]
    xy = xy + rng.normal(0, 0.25, xy.shape)
    return xy[shapely.contains_xy(inner, xy[:, 0], xy[:, 1])]
