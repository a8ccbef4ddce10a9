"""What stands on a block: bodies and ground covers, and the draws that every layout shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Polygon

from mage.scenes.city import LandPatch, Railway
from mage.scenes.sources.procedural.houses import Wing, pitched_wing
from mage.scenes.sources.procedural.layout.shapes import Body
from mage.scenes.style import Houses

Floats = NDArray[np.float64]
Patch = Polygon | shapely.MultiPolygon


@dataclass(slots=True)
class Built:
    """Bodies, land patches (later ones on top), railways, orchards and lines of walls of a place."""

    bodies: list[Body] = field(default_factory=list)
    land: list[LandPatch] = field(default_factory=list)
    railways: list[Railway] = field(default_factory=list)
    orchards: list[Polygon] = field(default_factory=list)
    walls: list[LineString] = field(default_factory=list)

    def cover(self, outline: shapely.Geometry, cover: str) -> None:
        """Lay a patch, in parts where it has several."""
        parts = shapely.get_parts(outline)
        self.land += [LandPatch(p, cover) for p in parts if p.geom_type == "Polygon" and p.area > 1]

    def add(self, other: Built) -> None:
        """Take over what stands on another block."""
        self.bodies += other.bodies
        self.land += other.land
        self.railways += other.railways
        self.orchards += other.orchards
        self.walls += other.walls


def storeys(rng: np.random.Generator, houses: Houses) -> int:
    """Storeys of a house, by the style's weights."""
    weights = np.array(houses.storeys)
    return int(rng.choice(len(weights), p=weights / weights.sum())) + 1


def area(rng: np.random.Generator, houses: Houses) -> float:
    """Ground area (m²): lognormal on each side of the median, through the style's three quantiles."""
    low, middle, high = houses.area
    z = float(np.clip(rng.normal(), -1.9, 1.9))
    return middle * ((middle / low) if z < 0 else (high / middle)) ** (z / 1.2816)


def roof(rng: np.random.Generator, houses: Houses) -> str:
    """``gabled``, ``hipped`` or ``flat``, by the style's shares."""
    shares = np.array([houses.gabled, houses.hipped, houses.flat])
    return ("gabled", "hipped", "flat")[int(rng.choice(3, p=shares / shares.sum()))]


def wing(rng: np.random.Generator, houses: Houses, box: Sequence[float], eave: float, kind: str) -> Wing:
    """A rectangular volume over a box (left, right, near, far) under one of :func:`roof`'s kinds."""
    left, right, near, far = box
    x, y, width, depth = (left + right) / 2, (near + far) / 2, right - left, far - near
    pitch = 0.0 if kind == "flat" else float(rng.uniform(*houses.pitch))
    return pitched_wing(x, y, width, depth, eave, pitch, hipped=kind == "hipped")


def disjoint(bodies: Sequence[Body]) -> list[Body]:
    """The bodies that overlap no earlier one by more than 0.02 m²; walls may touch."""
    outlines = [b.outline for b in bodies]
    pairs = shapely.STRtree(outlines).query(outlines, "intersects").T if outlines else np.zeros((0, 2), int)
    gone = np.zeros(len(outlines), bool)
    for i, j in sorted(pairs.tolist()):
        if j < i and not gone[j] and not gone[i] and outlines[i].intersection(outlines[j]).area > 0.02:
            gone[i] = True
    return [b for b, lost in zip(bodies, gone, strict=True) if not lost]
