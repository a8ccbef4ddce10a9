"""Things that stand in many places by one shape: tree crowns and cars, as prototypes and placements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from mage.generator.colour import reflectance
from mage.generator.noise import value_noise
from mage.generator.spots import Spots
from mage.generator.works import Works
from mage.scenes.city import Trees
from mage.scenes.impact import BOATS, Vehicles
from mage.scenes.mesh import Mesh, Surface, planar_uv
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

BROADLEAF, CONIFER = 6, 3  # prototypes of each; more would not be told apart from above
LEAFLESS = 4
LEAFLIGHT = 2.15  # a crown's colour in imagery is that of leaves half in their own shade: leaves reflect more
STAND = 90.0  # metres over which trees of one kind and age stand together
# where among the prototypes of trees each kind begins and ends: broadleaved and conifers; the same lying; bare ones
STANDING = (0, BROADLEAF, BROADLEAF + CONIFER)
FALLEN = (STANDING[-1], 2 * STANDING[-1])
BARE = (FALLEN[-1], FALLEN[-1] + LEAFLESS)

# Car paints and how often they are seen: silver, white and black are about two thirds of all cars.
CAR_COLOURS = reflectance(
    [(228, 229, 228), (168, 170, 170), (48, 49, 52), (96, 98, 100), (50, 62, 88), (116, 46, 46), (150, 140, 120)]
)

BOAT_COLOURS = reflectance(
    [(232, 232, 228), (222, 224, 224), (206, 204, 196), (150, 116, 84), (76, 92, 112), (228, 226, 214), (190, 186, 176)]
)


@dataclass(frozen=True, slots=True, eq=False)
class Placements:
    """n copies of prototypes: position (n, 3) of the foot, heading (n,) in radians, scale (n, 3), prototype (n,),
    tint (n, 3).
    """

    position: Floats
    heading: Floats
    scale: Floats
    prototype: NDArray[np.int64]
    tint: Floats

    def __len__(self) -> int:
        return len(self.position)

    def radius(self, prototypes: tuple[Mesh, ...]) -> Floats:
        """Radius (n,) of the circle around the foot that holds each copy seen from above, metres."""
        reach = np.array([np.linalg.norm(p.vertices[:, :2], axis=1).max() for p in prototypes])
        return reach[self.prototype] * self.scale[:, :2].max(axis=1, initial=0)

    def within(self, bounds: tuple[float, float, float, float], prototypes: tuple[Mesh, ...]) -> NDArray[np.int64]:
        """Positions in this list of the copies whose circle around the foot overlaps (west, south, east, north)."""
        radius = self.radius(prototypes)
        west, south, east, north = bounds
        x, y = self.position[:, 0], self.position[:, 1]
        return np.flatnonzero((x + radius > west) & (x - radius < east) & (y + radius > south) & (y - radius < north))


@cache
def tree_prototypes() -> tuple[Mesh, ...]:
    """Closed hulls of unit height and unit crown radius: broadleaved ones first, then conifers; then the same lying
    along +x, of unit length, half width and height; then bare ones, of trunk and branches.

    Crowns are lobed star-shaped bodies; attribute ``shade`` darkens the crevices between lobes and the undersides.
    """
    rng = np.random.default_rng(20)
    standing = tuple(_crown(rng, conifer=i >= BROADLEAF) for i in range(BROADLEAF + CONIFER))
    return standing + tuple(_lying(tree) for tree in standing) + tuple(_bare(rng) for _ in range(LEAFLESS))


def _crown(rng: np.random.Generator, *, conifer: bool) -> Mesh:
    directions, triangles = _sphere(1100)
    count, width = (100, 0.145) if conifer else (110, 0.15)
    lobes = rng.normal(size=(count, 3))
    lobes /= np.linalg.norm(lobes, axis=1, keepdims=True)
    size = rng.uniform(0.35, 1.0, count)
    bump = (size * np.exp(-(np.arccos(np.clip(directions @ lobes.T, -1, 1)) ** 2) / (2 * width**2))).max(axis=1)
    outline = 1 + 0.12 * np.sin(np.arctan2(directions[:, 1], directions[:, 0]) * rng.integers(2, 5) + rng.uniform(0, 6))
    grain = rng.normal(0, 0.025, len(directions))
    radius = (0.72 + 0.28 * bump) * outline + grain
    body = directions * radius[:, None]
    body[:, :2] /= np.abs(body[:, :2]).max()
    z = np.interp(body[:, 2], (body[:, 2].min(), body[:, 2].max()), (-1, 1))
    if conifer:
        body[:, :2] *= np.clip(0.95 - 0.42 * (z + 1), 0.06, 1)[:, None] / 0.95
        body[:, 2] = 0.55 + 0.45 * z
    else:
        body[:, 2] = 0.62 + 0.38 * z
    # the sun shades crevices itself: what is painted is how leaves differ
    shade = np.clip(0.67 + 0.28 * bump + 0.05 * z + rng.normal(0, 0.12, len(z)), 0.45, 1.3)
    trunk, trunk_faces = _prism(6, 0.05, 0.0, 0.55)
    vertices = np.concatenate([body, trunk])
    faces = np.concatenate([triangles, trunk_faces + len(body)]).astype(np.int32)
    per_vertex = np.concatenate([shade, np.full(len(trunk), 0.3)])
    return Mesh(
        vertices,
        faces,
        np.full(len(faces), Surface.OTHER, np.uint8),
        planar_uv(vertices, faces),
        {"shade": per_vertex[faces].mean(axis=1).astype(np.float32)},
    )


def _lying(tree: Mesh) -> Mesh:
    """A tree turned over: its foot at the origin, its top at x = 1, its crown from the ground to z = 1."""
    x, y, z = tree.vertices.T
    vertices = np.stack([z, y, (x.max() - x) / np.ptp(x)], axis=1)
    return Mesh(vertices, tree.triangles, tree.surface, tree.uv, tree.attributes)


def _bare(rng: np.random.Generator) -> Mesh:
    """A trunk, and branches that rise from it to all sides and fork."""
    bodies = [_limb(np.zeros(3), np.array([0.0, 0.0, 0.95]), 0.07, 0.02)]
    for turn in (np.arange(11) + rng.uniform(0, 0.8, 11)) * 2.4:
        foot, reach = rng.uniform(0.25, 0.8), rng.uniform(0.55, 1.0)
        way = np.array([np.cos(turn), np.sin(turn), 0.0])
        tip = reach * way + (0, 0, min(foot + 0.35, 1.0))
        bodies.append(_limb(np.array([0, 0, foot]), tip, 0.045, 0.012))
        for side in (-0.7, 0.7):
            fork = np.array([np.cos(turn + side), np.sin(turn + side), 0.3]) * 0.4 * reach
            bodies.append(_limb(0.55 * tip + (0, 0, 0.45 * foot), 0.55 * tip + (0, 0, 0.45 * foot) + fork, 0.025, 0.01))
    vertices = np.concatenate([v for v, _ in bodies])
    starts = np.cumsum([0] + [len(v) for v, _ in bodies[:-1]])
    faces = np.concatenate([f + s for (_, f), s in zip(bodies, starts, strict=True)]).astype(np.int32)
    vertices[:, :2] = np.clip(vertices[:, :2], -1, 1)
    vertices[:, 2] = np.clip(vertices[:, 2] / vertices[:, 2].max(), 0, 1)
    shade = rng.uniform(0.7, 1.3, len(faces)).astype(np.float32)
    return Mesh(vertices, faces, np.zeros(len(faces), np.uint8), planar_uv(vertices, faces), {"shade": shade})


def _limb(foot: Floats, tip: Floats, thick: float, thin: float) -> tuple[Floats, NDArray[np.int64]]:
    """A tapering three-sided limb: vertices (6, 3) and outward faces."""
    way = (tip - foot) / np.linalg.norm(tip - foot)
    side = np.cross(way, (0.0, 0.0, 1.0) if abs(way[2]) < 0.9 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    up = np.cross(way, side)
    angle = np.arange(3) * 2 * np.pi / 3
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * up
    _, faces = _prism(3, 1.0, 0.0, 1.0)
    return np.concatenate([foot + thick * ring, tip + thin * ring]), faces


@cache
def vehicle_prototypes() -> tuple[Mesh, ...]:
    """What :class:`mage.scenes.impact.Vehicles` counts as kinds, in metres, nose along +x; a boat's z = 0 is at the
    water. Attribute ``shade`` is 1 on paint and near 0 on glass and tyres.
    """
    car = _car(length=4.4, width=1.8, belt=0.95, top=1.45, cabin=(-1.55, 0.75))
    van = _car(length=5.4, width=2.0, belt=1.2, top=2.2, cabin=(-2.55, 1.6))
    return car, van, _truck(), _bus(), _motor_boat(), _barge()


def _solid(parts: list[tuple[Floats, float]]) -> Mesh:
    """One mesh of bodies of eight corners, each with its shade."""
    vertices = np.concatenate([p for p, _ in parts])
    faces = np.concatenate([_BOX_FACES + 8 * i for i in range(len(parts))]).astype(np.int32)
    shade = np.repeat([s for _, s in parts], len(_BOX_FACES)).astype(np.float32)
    return Mesh(vertices, faces, np.zeros(len(faces), np.uint8), planar_uv(vertices, faces), {"shade": shade})


def _car(*, length: float, width: float, belt: float, top: float, cabin: tuple[float, float]) -> Mesh:
    half, side, (back, front) = length / 2, width / 2, cabin
    body = _frustum((-half, half), (-half + 0.1, half - 0.15), side, side * 0.94, 0.25, belt)
    glass = _frustum((back, front), (back + 0.35, front - 0.55), side * 0.9, side * 0.74, belt, top - 0.04)
    roof = _frustum((back + 0.35, front - 0.55), (back + 0.4, front - 0.6), side * 0.74, side * 0.7, top - 0.04, top)
    wheels = _frustum((-half + 0.35, half - 0.35), (-half + 0.35, half - 0.35), side * 0.96, side * 0.96, 0.0, 0.3)
    return _solid([(body, 1.0), (glass, 0.06), (roof, 1.0), (wheels, 0.05)])


def _truck() -> Mesh:
    """A rigid lorry of 8.6 m: a cab and a pale body behind a gap."""
    wheels = _frustum((-3.9, 3.9), (-3.9, 3.9), 1.15, 1.15, 0.0, 0.9)
    body = _frustum((-4.3, 2.1), (-4.3, 2.1), 1.25, 1.25, 0.95, 3.5)
    cab = _frustum((2.5, 4.3), (2.5, 4.1), 1.2, 1.15, 0.85, 2.1)
    glass = _frustum((2.5, 4.15), (2.6, 3.75), 1.15, 1.05, 2.1, 2.7)
    roof = _frustum((2.6, 3.75), (2.7, 3.6), 1.05, 1.0, 2.7, 2.85)
    return _solid([(wheels, 0.05), (body, 1.25), (cab, 1.0), (glass, 0.06), (roof, 1.0)])


def _bus() -> Mesh:
    """A city bus of 12 m with two hatches and a cooler on its roof."""
    wheels = _frustum((-5.5, 5.5), (-5.5, 5.5), 1.2, 1.2, 0.0, 0.4)
    body = _frustum((-6.0, 6.0), (-6.0, 5.9), 1.27, 1.27, 0.35, 1.3)
    glass = _frustum((-6.0, 5.9), (-5.95, 5.75), 1.26, 1.22, 1.3, 2.6)
    roof = _frustum((-5.95, 5.75), (-5.85, 5.6), 1.22, 1.15, 2.6, 3.0)
    cooler = _frustum((-1.2, 0.9), (-1.1, 0.8), 0.8, 0.75, 2.98, 3.2)
    hatches = [_frustum((x, x + 0.8), (x, x + 0.8), 0.4, 0.4, 2.98, 3.04) for x in (-4.0, 3.0)]
    parts = [(wheels, 0.05), (body, 1.0), (glass, 0.06), (roof, 1.1), (cooler, 0.8)]
    return _solid([*parts, *((h, 0.5) for h in hatches)])


def _motor_boat() -> Mesh:
    """A motor boat of 6.6 m: pale hull with a bow, dark cockpit, windscreen."""
    hull = _hull(-3.3, 3.3, 1.15, 0.12, -0.35, 0.75)
    cockpit = _frustum((-2.7, 0.3), (-2.7, 0.3), 0.85, 0.85, 0.5, 0.78)
    cabin = _hull(0.4, 2.2, 0.85, 0.35, 0.7, 1.25)
    return _solid([(hull, 1.0), (cockpit, 0.3), (cabin, 0.8)])


def _barge() -> Mesh:
    """A barge or house boat of 16 m: dark hull, long deckhouse."""
    hull = _hull(-8.0, 8.0, 2.1, 0.5, -0.6, 0.7)
    deck = _frustum((-7.4, 5.4), (-7.4, 5.4), 1.9, 1.9, 0.6, 0.8)
    house = _frustum((-6.4, 2.6), (-6.3, 2.5), 1.55, 1.45, 0.7, 2.3)
    return _solid([(hull, 0.35), (deck, 0.55), (house, 1.0)])


def _hull(back: float, front: float, side: float, bow: float, z0: float, z1: float) -> Floats:
    """A body of eight corners whose front is only ``bow`` metres wide on each side and whose foot is narrower."""

    def _ring(side: float, bow: float, front: float, z: float) -> list[tuple[float, float, float]]:
        return [(back, -side, z), (front, -bow, z), (front, bow, z), (back, side, z)]

    return np.array(_ring(side * 0.7, bow * 0.5, front - 0.6, z0) + _ring(side, bow, front, z1))


_BOX_FACES = np.array(
    [
        *[(0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7)],
        *[(0, 1, 5), (0, 5, 4), (1, 2, 6), (1, 6, 5), (2, 3, 7), (2, 7, 6), (3, 0, 4), (3, 4, 7)],
    ]
)


def _frustum(
    low: tuple[float, float], high: tuple[float, float], side_low: float, side_high: float, z0: float, z1: float
) -> Floats:
    def _ring(x: tuple[float, float], side: float, z: float) -> list[tuple[float, float, float]]:
        return [(x[0], -side, z), (x[1], -side, z), (x[1], side, z), (x[0], side, z)]

    return np.array(_ring(low, side_low, z0) + _ring(high, side_high, z1))


def _prism(sides: int, radius: float, z0: float, z1: float) -> tuple[Floats, NDArray[np.int64]]:
    angle = np.arange(sides) / sides * 2 * np.pi
    ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    vertices = np.concatenate([np.column_stack([ring, np.full(sides, z)]) for z in (z0, z1)])
    i, j = np.arange(sides), (np.arange(sides) + 1) % sides
    walls = np.concatenate([np.stack([i, j, j + sides], 1), np.stack([i, j + sides, i + sides], 1)])
    fan = np.arange(1, sides - 1)
    zero = np.zeros_like(fan)
    caps = np.concatenate([np.stack([zero, fan + 1, fan], 1), np.stack([zero, fan, fan + 1], 1) + sides])
    return vertices, np.concatenate([walls, caps])


def _sphere(count: int) -> tuple[Floats, NDArray[np.int64]]:
    """Evenly spread unit vectors (a Fibonacci lattice) and the triangles of their hull, facing outward."""
    k = np.arange(count) + 0.5
    z, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - z**2)
    points = np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=1)
    faces = ConvexHull(points).simplices.astype(np.int64)
    a, b, c = (points[faces[:, i]] for i in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    faces[inward] = faces[inward][:, ::-1]
    return points, faces


def place_trees(trees: Trees, terrain: Terrain, tints: Floats, weights: Floats, rng: np.random.Generator) -> Placements:
    """Where every tree stands; species 1 is a conifer, all others broadleaved. ``tints`` (k, 3) are crown
    reflectances, seen as often as ``weights`` (k,) say. Trees that stand together are alike.
    """
    n = len(trees)
    conifer = trees.species == 1
    prototype = np.where(conifer, BROADLEAF + rng.integers(CONIFER, size=n), rng.integers(BROADLEAF, size=n))
    foot = terrain.sample(trees.xy) if n else np.zeros(0)
    leaves = LEAFLIGHT * (0.8 * tints + 0.2 * tints.mean(axis=1, keepdims=True))
    which = np.searchsorted(np.cumsum(weights) / np.sum(weights), rng.random(n))
    tint = leaves[which] * rng.lognormal(0, 0.12, (n, 1)) * rng.lognormal(0, 0.05, (n, 3))
    spots = Spots(trees.xy)
    tint *= np.exp(0.3 * value_noise(spots, STAND, 331) + 0.2 * value_noise(spots, STAND / 3, 337))[:, None]
    return Placements(
        np.column_stack([trees.xy, foot]),
        rng.uniform(0, 2 * np.pi, n),
        np.column_stack([trees.radius, trees.radius, trees.height]),
        prototype,
        np.clip(np.where(conifer[:, None], tint * 0.75, tint), 0.005, 0.5),
    )


def place_vehicles(
    vehicles: Vehicles, terrain: Terrain, *, works: Works | None = None, levels: Floats | None = None
) -> Placements:
    """Where every vehicle stands: on its wheels on the ground or on a bridge's deck; boats float at the water's
    ``levels`` on the terrain's vertices (NaN where dry).
    """
    n = len(vehicles)
    foot = terrain.sample(vehicles.xy) if n else np.zeros(0)
    boat = np.isin(vehicles.kind, BOATS)
    if works is not None and n:
        foot = np.where(boat, foot, np.maximum(foot, works.deck_heights(vehicles.xy)))
    if levels is not None and boat.any():
        foot[boat] = np.fmax(terrain.sample(vehicles.xy[boat], levels), foot[boat])
    tint = np.where(
        boat[:, None],
        BOAT_COLOURS[vehicles.colour % len(BOAT_COLOURS)],
        CAR_COLOURS[vehicles.colour % len(CAR_COLOURS)],
    )
    return Placements(
        np.column_stack([vehicles.xy, foot]), vehicles.heading, np.ones((n, 3)), vehicles.kind.astype(np.int64), tint
    )
