"""Collapsed buildings: the types of Schweier and Markus (2006, doi:10.1007/s10518-006-9005-2) on any mesh.

Each function returns all that is left, inside the footprint and out of it; the caller sorts the one from the other.
How much rubble each type sets free is an assumption of this module, stated beside it: what is crushed makes
:data:`mage.scenes.modifiers.debris.BULK` of its volume, and ``ESCAPES`` of that lands beside what covers the rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.modifiers.bodies import plate, polygons_of, slab, toned
from mage.scenes.modifiers.cutting import halves, levels, moved, rough, section, tipped
from mage.scenes.modifiers.debris import BULK, apron, heap, kind_of
from mage.scenes.modifiers.site import Site
from mage.scenes.strike import Collapse

Floats = NDArray[np.float64]
Parts = list[Mesh]

ESCAPES = 0.4  # of the rubble that is crushed under floors or a roof, the share that ends up beside the walls
FLOORS = 6  # slabs that are built of a stack at most
THICK = 0.25  # metres of a floor slab
CRUSHED = 0.12  # of a storey's height that is left of it
ON_SIDE = 2 / 3  # of its height that an overturned building stands at most: what falls over is slender, or is crushed


def heap_of_debris(rng: np.random.Generator, site: Site) -> Parts:
    """All rubble: ``BULK`` of the building's volume over its footprint and as far as debris reaches."""
    return [heap(rng, site, site.plan, BULK * site.volume, kind=kind_of(site))]


def heap_on_storeys(rng: np.random.Generator, site: Site) -> Parts:
    """The upper storeys as a heap on those that stand; ``ESCAPES`` of it or more has run over the edge."""
    if site.storeys < 2:
        return heap_of_debris(rng, site)
    standing = int(rng.integers(1, max(2, site.storeys // 2 + 1)))
    z = site.foot + standing * site.storey
    under, _ = levels(site.building.mesh, z, site.plan)
    loose = BULK * site.volume * max(0.0, 1 - standing * site.storey * site.building.footprint.area / site.volume)
    loose = max(loose, 0.05 * site.volume)
    top = section(site.building.mesh, z, site.plan)
    stays = min(loose * (1 - ESCAPES), 0.15 * top.area * (site.top - z))
    on = heap(rng, site, top, stays, kind=kind_of(site), reach=0.0, bed=z, share=0.7)
    return [under, on, apron(rng, site, loose - stays)]


def pancake(rng: np.random.Generator, site: Site, storey: int) -> Parts:
    """One storey crushed, counted from 0: what is over it sinks onto what is under it, a little aside."""
    low = site.foot + storey * site.storey
    under, over = levels(site.building.mesh, low, site.plan)
    _, over = levels(over, low + site.storey, site.plan)
    sunk = site.storey * (1 - CRUSHED)
    way = np.array([np.cos(site.direction), np.sin(site.direction), 0.0])
    aside = way * rng.uniform(0.05, 0.35) * (1.0 if storey == 0 else 2.0)
    over = moved(over, over.vertices + aside - np.array([0.0, 0.0, sunk]))
    volume = BULK * ESCAPES * site.building.footprint.area * sunk
    parts = [over, apron(rng, site, volume, reach=min(0.8, 0.4 + 0.1 * storey), share=0.6)]
    return parts if storey == 0 else [under, *parts]


def pancake_first(rng: np.random.Generator, site: Site) -> Parts:
    """The ground storey crushed; the rest is intact, and so it looks from above but for a lip of rubble."""
    return pancake(rng, site, 0)


def pancake_middle(rng: np.random.Generator, site: Site) -> Parts:
    """A storey in the middle crushed."""
    return pancake(rng, site, site.storeys // 2)


def pancake_upper(rng: np.random.Generator, site: Site) -> Parts:
    """The top storey crushed; the roof lies broken on the one below."""
    low = site.foot + (site.storeys - 1) * site.storey
    under, over = levels(site.building.mesh, low, site.plan)
    _, roof = levels(over, site.eave - 0.3, site.plan)
    roof = moved(roof, roof.vertices - np.array([0, 0, (site.storey - 0.3) * (1 - CRUSHED)]))
    volume = BULK * ESCAPES * site.building.footprint.area * site.storey
    broken = rough(rng, roof, 3, 0.3, 0.04, low)
    return [under, broken, apron(rng, site, volume)]


def pancake_all(rng: np.random.Generator, site: Site) -> Parts:
    """All storeys crushed: a stack of slabs, each turned and pushed a little, the broken roof on it, rubble around."""
    count = int(np.clip(site.storeys, 1, FLOORS))
    pitch = float(np.clip(0.14 * (site.eave - site.foot) / count, 0.45, 0.9))
    shape = _floor_plan(site)
    stack = []
    for k in range(count):
        floor = slab(shape, site.foot + k * pitch, site.foot + k * pitch + THICK, Surface.SLAB)
        stack.append(_nudged(rng, site, floor, 0.25 + 0.12 * k, 0.035))
    roof = _roof(site, 0.45)
    roof = moved(roof, roof.vertices + np.array([0, 0, site.foot + count * pitch - site.eave]))
    roof = rough(rng, _nudged(rng, site, roof, 0.6, 0.03), 4, 0.5 * pitch, 0.05, site.foot)
    on = heap(
        rng,
        site,
        site.plan,
        0.03 * BULK * site.volume,
        kind=kind_of(site),
        reach=0.0,
        bed=site.foot + (count + 0.2) * pitch,
        share=0.35,
    )
    return [*(toned(rng, s, spread=0.12) for s in stack), roof, on, apron(rng, site, ESCAPES * BULK * site.volume)]


def inclined_plane(rng: np.random.Generator, site: Site) -> Parts:
    """One side gave way: everything slopes from the walls that stand to the ground in the direction of the fall."""
    high = rng.uniform(0.75, 0.95)
    mesh = _sloped(site, site.building.mesh, high, 0.07)
    part = rough(rng, mesh, 4, 0.4, 0.05, site.foot)
    crushed = site.volume * (1 - (high + 0.07) / 2)
    return [part, apron(rng, site, ESCAPES * BULK * crushed)]


def multi_layer(rng: np.random.Generator, site: Site) -> Parts:
    """Floors slope one over the other, held up on one side."""
    return _layers(rng, site, 0.35)


def outspread(rng: np.random.Generator, site: Site) -> Parts:
    """Sloping floors that slid apart in the direction of the fall."""
    return _layers(rng, site, float(np.clip(0.1 * site.height, 1.0, 2.5)))


def _layers(rng: np.random.Generator, site: Site, slide: float) -> Parts:
    count = int(np.clip(site.storeys, 2, FLOORS))
    rise = (site.eave - site.foot) / count
    way = np.array([np.cos(site.direction), np.sin(site.direction), 0.0])
    slide = min(slide, 0.6 * float(site.reach.min()) / count)
    shape = _floor_plan(site)
    parts = []
    for k in range(1, count + 1):
        flat = slab(shape, 0.0, THICK, Surface.SLAB) if k < count else _roof(site, 0.6)
        t = np.clip(site.along(flat.vertices[:, :2]), 0, 1)
        line = site.foot + (0.55 * k * rise) * (1 - t) + (0.4 * k) * t
        z = flat.vertices[:, 2] - (site.eave if k == count else 0.0)
        placed = moved(
            flat, np.column_stack([flat.vertices[:, :2], line + z]) + way * slide * (count - k + rng.random())
        )
        parts.append(toned(rng, placed, spread=0.12) if k < count else rough(rng, placed, 4, 0.4, 0.05, site.foot))
    back, _ = _back_wall(site)
    return [*parts, *back, apron(rng, site, ESCAPES * BULK * site.volume * 0.7, reach=0.9)]


def _back_wall(site: Site) -> tuple[Parts, float]:
    """The strip of building, a metre deep, that still stands where the floors hang."""
    way = np.array([np.cos(site.direction), np.sin(site.direction)])
    at = float(site.edge(site.direction + np.pi) @ way) + 1.0
    back, _ = halves(site.building.mesh, np.array([*way, 0.0]), at, site.foot)
    low = np.column_stack([back.vertices[:, :2], site.foot + (back.vertices[:, 2] - site.foot) * 0.6])
    return ([moved(back, low)] if len(back) else []), at


def overturn_block(rng: np.random.Generator, site: Site) -> Parts:
    """The whole building on its side, in the direction of the fall; where it stood, its torn ground plate.

    A squat one is crushed as it rolls: it lies no higher than a slender one would.
    """
    lying = tipped(site.building.mesh, np.array([*site.edge(site.square), site.foot]), site.square, np.pi / 2 - 0.06)
    return [_rested(site, lying), *_torn(rng, site, 0.08)]


def overturn_separated(rng: np.random.Generator, site: Site) -> Parts:
    """The upper part toppled off the ground storey, which stands; broken in two where it came down."""
    if site.storeys < 2:
        return overturn_block(rng, site)
    z = site.foot + site.storey
    under, over = levels(site.building.mesh, z, site.plan)
    falling = tipped(over, np.array([*site.edge(site.square), z]), site.square, rng.uniform(0.42, 0.49) * np.pi)
    way = np.array([np.cos(site.square), np.sin(site.square), 0.0])
    ahead = falling.vertices[np.unique(falling.triangles)] @ way
    near, far = halves(falling, way, float((ahead.min() + ahead.max()) / 2), site.foot)
    pieces = [near, moved(far, far.vertices + way * rng.uniform(0.3, 1.0))]
    rubble = apron(rng, site, ESCAPES * BULK * 0.3 * site.volume)
    return [under, *(_rested(site, p) for p in pieces if len(p)), rubble]


def inclination(rng: np.random.Generator, site: Site) -> Parts:
    """The building leans by 3 to 10 degrees and has sunk on that side, by 0.6 of a storey at most."""
    behind = site.edge(site.square + np.pi)
    width = float(np.linalg.norm(site.edge(site.square) - behind))
    angle = min(np.radians(rng.uniform(3, 10)), np.arcsin(min(0.6 * site.storey / width, 1.0)))
    leaning = tipped(site.building.mesh, np.array([*behind, site.foot]), site.square, angle)
    return [leaning, apron(rng, site, 0.02 * BULK * site.volume, reach=0.35, share=0.3)]


def overhang(rng: np.random.Generator, site: Site) -> Parts:
    """What hung over the front has come down: a strip of the upper storeys, 1 to 2.5 m deep."""
    depth = rng.uniform(1.0, 2.5)
    way = np.array([np.cos(site.direction), np.sin(site.direction)])
    at = float(site.edge() @ way) - depth
    stays, front = halves(site.building.mesh, np.array([*way, 0.0]), at, site.foot)
    z = site.foot + (site.storey if site.storeys > 1 else 0.3)
    strip = site.beyond(way, at)
    under, over = levels(front, z, strip)
    if not len(over):
        return [site.building.mesh]
    if strip.is_empty:
        return [stays, under]
    loose = BULK * strip.area * max(site.top - z, 0.5)
    return [stays, under, apron(rng, site, loose, source=strip, reach=0.6)]


def _floor_plan(site: Site) -> Polygon | MultiPolygon:
    """The plan for slabs, with few corners."""
    inner = shapely.buffer(site.plan.simplify(0.6), -0.15, join_style="mitre")
    return inner if polygons_of(inner) else site.plan


def _roof(site: Site, flattened: float) -> Mesh:
    """The roof above the eave, its slopes flattened to a share of their rise, with a slab where it has none."""
    _, roof = levels(site.building.mesh, site.eave - 0.25, site.plan)
    z = site.eave + (roof.vertices[:, 2] - site.eave) * flattened
    roof = moved(roof, np.column_stack([roof.vertices[:, :2], np.maximum(z, site.eave - 0.25)]))
    return concatenate([roof, plate(_floor_plan(site), site.eave - 0.25, Surface.SLAB)])[0]


def _sloped(site: Site, mesh: Mesh, high: float, low: float) -> Mesh:
    """Heights above the foot scaled from ``high`` to ``low`` along the direction of the fall."""
    t = np.clip(site.along(mesh.vertices[:, :2]), 0, 1)
    z = site.foot + (mesh.vertices[:, 2] - site.foot) * (high + (low - high) * t)
    return moved(mesh, np.column_stack([mesh.vertices[:, :2], np.where(mesh.vertices[:, 2] < site.foot, site.foot, z)]))


def _nudged(rng: np.random.Generator, site: Site, mesh: Mesh, aside: float, tilt: float) -> Mesh:
    """Pushed aside and tilted a little, less the wider it is, so that no edge rises by more than half a metre."""
    at = np.array([*site.frame[0], float(mesh.vertices[:, 2].min())])
    most = 0.5 / float(site.frame[1].max())
    angle = min(abs(rng.normal(0, tilt)), most)
    leaning = tipped(mesh, at, rng.uniform(-np.pi, np.pi), angle)
    return moved(leaning, leaning.vertices + np.array([*rng.normal(0, aside, 2), 0.0]))


def _rested(site: Site, mesh: Mesh) -> Mesh:
    """Crushed to ``ON_SIDE`` of the building's height if it lies higher, and let down or lifted so that its lowest
    point lies 0.2 m in the ground below it.
    """
    used = mesh.vertices[np.unique(mesh.triangles)]
    low, rise = float(used[:, 2].min()), float(np.ptp(used[:, 2]))
    share = min(1.0, ON_SIDE * site.height / max(rise, 1e-9))
    crushed = moved(mesh, np.column_stack([mesh.vertices[:, :2], low + (mesh.vertices[:, 2] - low) * share]))
    used = crushed.vertices[np.unique(crushed.triangles)]
    gap = used[:, 2] - site.terrain.sample(used[:, :2])
    return moved(crushed, crushed.vertices - np.array([0.0, 0.0, float(gap.min()) + 0.2]))


def _torn(rng: np.random.Generator, site: Site, share: float) -> Parts:
    """The ground plate with some rubble, where a building stood that has fallen over."""
    ground = plate(site.plan, site.foot + 0.1, Surface.SLAB)
    rubble = heap(rng, site, site.plan, share * BULK * site.volume, kind=kind_of(site), reach=0.3, share=0.5)
    return [ground, rubble]


COLLAPSES: dict[int, Callable[[np.random.Generator, Site], Parts]] = {
    Collapse.INCLINED_PLANE: inclined_plane,
    Collapse.MULTI_LAYER: multi_layer,
    Collapse.OUTSPREAD: outspread,
    Collapse.PANCAKE_FIRST: pancake_first,
    Collapse.PANCAKE_MIDDLE: pancake_middle,
    Collapse.PANCAKE_UPPER: pancake_upper,
    Collapse.PANCAKE_ALL: pancake_all,
    Collapse.HEAP_ON_STOREYS: heap_on_storeys,
    Collapse.HEAP: heap_of_debris,
    Collapse.OVERTURN_SEPARATED: overturn_separated,
    Collapse.OVERTURN_BLOCK: overturn_block,
    Collapse.INCLINATION: inclination,
    Collapse.OVERHANG: overhang,
}
