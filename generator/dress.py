"""What a building wears: the reflectance of each face, and tile rows, corrugation and rust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mage.generator.colour import reflectance
from mage.scenes.city import Building, Colour
from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.sources.living.clutter import Thing, roof_clutter
from mage.scenes.style import Style, Swatch

Floats = NDArray[np.float64]

PICTURE = 20.4  # metres after which the picture of windows repeats
SHED_HEIGHT, SHED_AREA = 2.7, 30.0  # metres and square metres below which walls are taken for a shed's
LEVEL, MIXED = 0.985, 0.1  # cosine of 10 degrees; share of a roof that is level and share that is not
GLASS = np.array([0.035, 0.045, 0.055])
# 8-bit sRGB as seen in imagery; several are drawn from at random
THING_COLOURS: dict[Thing, list[tuple[int, int, int]]] = {
    Thing.SKYLIGHT: [(58, 66, 74), (92, 100, 108), (120, 126, 128)],
    Thing.DOME: [(196, 202, 206), (168, 176, 182)],
    Thing.PLANT: [(190, 192, 190), (158, 160, 158), (212, 212, 206)],
    Thing.PANEL: [(42, 47, 60), (36, 40, 50), (46, 53, 70)],
    Thing.COLLECTOR: [(78, 90, 106), (66, 72, 84), (98, 106, 116)],  # behind glass that mirrors the sky
    Thing.TANK: [(226, 226, 222), (222, 224, 224), (52, 92, 150), (40, 40, 42)],
    Thing.BARREL: [(232, 232, 228), (206, 208, 206)],
    Thing.DISH: [(228, 228, 224), (204, 204, 200)],
}


@dataclass(frozen=True, slots=True, eq=False)
class Dressed:
    """A building's mesh with its roof's clutter; reflectance (m, 3) and pattern (m, 3) of each face."""

    mesh: Mesh
    albedo: Floats
    pattern: Floats


def pick(swatches: tuple[Swatch, ...], rng: np.random.Generator) -> Floats:
    """A reflectance (3,) drawn from weighted swatches, with the spread in lightness that houses of one colour have."""
    weights = np.array([s.weight for s in swatches])
    swatch = swatches[int(rng.choice(len(swatches), p=weights / weights.sum()))]
    return _spread(swatch.srgb, rng)


def _spread(srgb: Colour, rng: np.random.Generator) -> Floats:
    return np.clip(reflectance(srgb) * rng.lognormal(0, 0.14) * rng.lognormal(0, 0.03, 3), 0.01, 0.85)


def dress(building: Building, style: Style, rng: np.random.Generator) -> Dressed:
    """Paint a building: in the source's colours where it states some, else in colours drawn from the style's."""
    mesh, _ = concatenate([building.mesh, roof_clutter(rng, building, style)])
    look = style.look
    deck, slope, wall = (pick(swatches, rng) for swatches in (look.roofs_flat, look.roofs_pitched, look.walls))
    if building.roof_colour is not None:
        deck = slope = _spread(building.roof_colour, rng)
    if building.wall_colour is not None:
        wall = _spread(building.wall_colour, rng)
    albedo = np.tile(wall, (len(mesh), 1))
    on_roof = mesh.surface == Surface.ROOF
    # planes of one roof weather apart: each direction it faces takes its own small factor
    normals = mesh.faces(on_roof).normals
    facing = np.round(np.arctan2(normals[:, 1], normals[:, 0]) / (np.pi / 8)).astype(int) % 16
    level = _level(mesh, on_roof, building)
    roof = deck if building.roof == "flat" else slope
    albedo[on_roof] = np.where(level[on_roof, None], deck, slope) * rng.lognormal(0, 0.14, 16)[facing, None]
    clutter = mesh.surface == Surface.CLUTTER
    albedo[clutter] = 0.6 * roof + 0.4 * rng.uniform(0.08, 0.5)
    _paint_things(mesh, albedo, rng)
    albedo[mesh.surface == Surface.OPENING] = GLASS * rng.lognormal(0, 0.15)
    shift = rng.uniform(0, 64, 2)  # so that no two roofs wear the same stains
    pattern = _pattern(style, rng, on_roof & ~level, level, float(albedo[on_roof].mean()) if on_roof.any() else 0.0)
    walls = mesh.surface == Surface.WALL
    # up a wall, v is the height: storeys are counted from the ground
    shift[1] = PICTURE * round(float(shift[1])) - building.ground
    pattern[walls] = _windows(building) * (0.75 + 0.25 * shift[0] / 64)
    worn = Mesh(mesh.vertices, mesh.triangles, mesh.surface, mesh.uv + shift.astype(np.float32), {})
    return Dressed(worn, albedo, pattern)


def _windows(building: Building) -> float:
    """How plainly walls show windows: halls have few, sheds and garages none."""
    if building.height < SHED_HEIGHT or building.footprint.area < SHED_AREA:
        return 0.0
    return 0.25 if building.occupancy == "industrial" else 1.0


def _level(mesh: Mesh, on_roof: NDArray[np.bool_], building: Building) -> NDArray[np.bool_]:
    """Faces (m,) that wear what flat roofs do: all of a flat roof but rims that are truly tiled, and level parts of a
    pitched one, where each makes up a good share.
    """
    areas = np.where(on_roof, mesh.areas, 0.0)
    level = on_roof & (np.abs(mesh.normals[:, 2]) > LEVEL)
    share = areas[level].sum() / max(areas.sum(), 1e-9)
    if MIXED <= share <= 1 - MIXED:
        return level
    return on_roof & (building.roof == "flat")


def _paint_things(mesh: Mesh, albedo: Floats, rng: np.random.Generator) -> None:
    """Each kind of thing on a roof in one colour of its own; chimneys and raised edges stay near the roof's."""
    things = mesh.attributes.get("thing")
    if things is None:
        return
    for thing, colours in THING_COLOURS.items():
        chosen = things == thing
        if chosen.any():
            albedo[chosen] = reflectance(colours[int(rng.integers(len(colours)))]) * rng.lognormal(0, 0.06)


def _pattern(
    style: Style, rng: np.random.Generator, pitched: NDArray[np.bool_], level: NDArray[np.bool_], tone: float
) -> Floats:
    """Strengths of tile rows, sheets and stains per face: a pitched roof is tiled or of sheet metal that rusts; a level
    one is of sheets or slabs whose seams show, and stained where water stands on it. Of a pale coating (``tone`` is the
    roof's reflectance) rain washes most of that off.
    """
    metal, stained = rng.random() < style.details.metal, rng.random() ** 2
    strengths = (0.0, 1.0, 0.4 + 0.6 * stained) if metal else (1.0, 0.0, 0.45 + 0.4 * stained)
    worn = (0.4 + 0.7 * stained) * float(np.clip(1.15 - 1.5 * tone, 0.2, 1.0))
    return np.where(pitched[:, None], strengths, np.where(level[:, None], (0.0, 0.55, worn), 0.0))
