"""What stands at one date only as one painted mesh: sheds, skips, containers, stacks, heaps and half-built walls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.generator.colour import reflectance
from mage.scenes.change import Change, Thing, block, rectangle
from mage.scenes.dataset.fields import LandClass
from mage.scenes.mesh import Mesh, Surface, concatenate, empty_mesh
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]

# 8-bit sRGB as they look in imagery
COLOURS: dict[str, list[tuple[int, int, int]]] = {
    "skip": [(186, 150, 52), (64, 92, 132), (122, 74, 58), (84, 108, 80)],
    "container": [(150, 74, 60), (66, 96, 132), (150, 152, 148), (88, 112, 88), (206, 204, 196)],
    "stack": [(176, 148, 108), (166, 104, 82), (186, 184, 176), (142, 120, 92)],
    "heap": [(146, 124, 98), (164, 150, 126), (128, 108, 86)],
    "slab": [(186, 182, 172)],
    "wall": [(176, 112, 86), (190, 186, 176)],
    "felt": [(92, 92, 90), (112, 78, 62), (96, 110, 88), (150, 150, 146)],  # roofs of sheds
    "boards": [(150, 122, 90), (110, 92, 72), (168, 164, 156)],
}
FILLING = (112, 104, 94)  # what lies in skips
RIM = 0.18  # metres of a skip's edge


@dataclass(frozen=True, slots=True, eq=False)
class Additions:
    """One date's additions.

    Attributes:
        mesh: all of them, local metres.
        albedo: float32 (m, 3) reflectance of each face.
        cover: uint8 (m,) :class:`LandClass` of each face.
        shed: int32 (m,) which new building a face belongs to, -1 for none.
        tent: int32 (m,) which tent of a camp, likewise.
    """

    mesh: Mesh
    albedo: NDArray[np.float32]
    cover: NDArray[np.uint8]
    shed: NDArray[np.int32]
    tent: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.mesh)


def build_additions(change: Change, date: int, terrain: Terrain) -> Additions:
    """What a change has standing at a date (0 before, 1 after)."""
    slabs = [t for t in change.things if t.date == date and t.kind == "slab"]
    parts = [p for t in change.things if t.date == date for p in _bodies(t, terrain, slabs)]
    meshes = [mesh for mesh, _, _ in parts]
    colours = [np.broadcast_to(colour, (len(mesh), 3)) for mesh, colour, _ in parts]
    classes = [np.full(len(mesh), kind) for mesh, _, kind in parts]
    for shed in change.sheds if date else ():
        meshes.append(shed.mesh)
        tone = _tone(shed.footprint.centroid.coords[0])
        roof = (shed.mesh.surface == Surface.ROOF)[:, None]
        colours.append(np.where(roof, _of("felt", tone), _of("boards", tone)))
        classes.append(np.full(len(shed.mesh), int(LandClass.BUILDING)))
    mesh, part = concatenate(meshes)
    return Additions(
        mesh,
        np.concatenate([np.zeros((0, 3)), *colours]).astype(np.float32),
        np.concatenate([np.zeros(0), *classes]).astype(np.uint8),
        np.where(part >= len(parts), part - len(parts), -1).astype(np.int32),
        np.full(len(mesh), -1, np.int32),
    )


def no_additions() -> Additions:
    """Nothing."""
    none = np.zeros(0, np.int32)
    return Additions(empty_mesh(), np.zeros((0, 3), np.float32), np.zeros(0, np.uint8), none, none)


def both(first: Additions, then: Additions) -> Additions:
    """What stands at the same date, as one; sheds and tents keep their numbers."""
    names = ("albedo", "cover", "shed", "tent")
    arrays = {name: np.concatenate([getattr(first, name), getattr(then, name)]) for name in names}
    return Additions(concatenate([first.mesh, then.mesh])[0], **arrays)


def _bodies(thing: Thing, terrain: Terrain, slabs: list[Thing]) -> list[tuple[Mesh, Floats, int]]:
    """A thing's bodies with the colour and class of each."""
    (length, width, height), tone = thing.size, _tone(thing.xy)
    colour, kind = _of(thing.kind, tone), int(LandClass.BARE if thing.kind == "heap" else LandClass.STRUCTURE)
    if thing.kind == "heap":
        return [(_heap(thing, terrain), colour, kind)]
    under = next((s.size[2] for s in slabs if thing.kind == "wall" and s.plan.intersects(thing.plan)), 0.0)
    body = _box(thing, terrain, (length, width), (0.0, height + under))
    if thing.kind != "skip":
        return [(body, colour, kind)]
    inside = _box(thing, terrain, (length - 2 * RIM, width - 2 * RIM), (height - 0.1, height + 0.03))
    return [(body, colour, kind), (inside, reflectance(FILLING), kind)]


def _box(thing: Thing, terrain: Terrain, size: tuple[float, float], rise: tuple[float, float]) -> Mesh:
    """A box on the ground from one height above it to another; one that starts at 0 reaches into it."""
    ring = _ring(thing, size)
    foot = terrain.sample(ring)
    low = foot.min() - 0.3 if rise[0] == 0 else foot.mean() + rise[0]
    return block(_raised(ring, np.full(4, low)), _raised(ring, np.full(4, foot.mean() + rise[1])))


def _heap(thing: Thing, terrain: Terrain) -> Mesh:
    """A heap that has slid to the angle of repose, with a round foot and a rounded top."""
    turn = np.arange(9) * 2 * np.pi / 9
    wobble = 1 + 0.12 * np.sin(3 * turn + 6.28 * _tone(thing.xy))
    unit = np.stack([np.cos(turn), np.sin(turn)], axis=1) * wobble[:, None] / 2
    c, s = np.cos(thing.heading), np.sin(thing.heading)
    turned = (unit * thing.size[:2]) @ np.array([[c, s], [-s, c]])
    ring = turned + thing.xy
    foot = terrain.sample(ring)
    top = _raised(thing.xy + 0.28 * turned, np.full(9, foot.mean() + thing.size[2]))
    return block(_raised(ring, foot - 0.1), top)


def _ring(thing: Thing, size: tuple[float, float]) -> Floats:
    return np.asarray(shapely.get_coordinates(rectangle(thing.xy, thing.heading, *size))[:4])


def _raised(xy: Floats, z: Floats) -> Floats:
    return np.column_stack([xy, z])


def _of(name: str, tone: float) -> Floats:
    """One of a kind's colours, a little apart from others of it."""
    swatches = COLOURS[name]
    return reflectance(swatches[int(tone * len(swatches))]) * (0.85 + 0.3 * (tone * 7.0 % 1.0))


def _tone(xy: tuple[float, ...]) -> float:
    """A number in [0, 1) for a place, as good as drawn."""
    return float((xy[0] * 0.7548776662 + xy[1] * 0.5698402910) * 10 % 1.0)
