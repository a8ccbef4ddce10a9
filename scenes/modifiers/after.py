"""A struck city's geometry: every building that a hazard changed, and its debris."""

from __future__ import annotations

from collections import Counter

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.aftermath import Aftermath
from mage.scenes.city import City
from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.modifiers.burn import burnt, charred, scorched
from mage.scenes.modifiers.collapse import COLLAPSES
from mage.scenes.modifiers.roof_damage import SHED, Loss, fallen_in, opened, shed, without_corner, without_gable
from mage.scenes.modifiers.seen import Signs, signs
from mage.scenes.modifiers.sharing import shared_out
from mage.scenes.modifiers.site import Site, Sites, gutted
from mage.scenes.modifiers.swept import FIELD, swept
from mage.scenes.strike import Burn, Collapse, Strike

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Remains = dict[int, tuple[Mesh, Mesh]]

LEAST = 0.003  # share of a roof under which a loss of covering is not built: less than half a square metre of a house
_PARTIAL = {Collapse.GABLE: without_gable, Collapse.ROOF: fallen_in, Collapse.CORNER: without_corner}


def aftermath(city: City, strike: Strike, seed: int, which: NDArray[np.int64] | None = None) -> Aftermath:
    """What a strike leaves of a completed city's buildings.

    Args:
        city: before.
        strike: what each building suffered.
        seed: every building's draws come from ``default_rng([seed, index])``.
        which: indices of the buildings wanted, None for all. What a building looks like, its ``roof_lost``, ``visible``
            and ``buried`` do not depend on which others are asked for; those of buildings not asked for are 0.
    """
    asked = np.arange(len(city.buildings)) if which is None else np.unique(np.asarray(which, np.int64))
    sites = Sites(city, strike)
    struck = touched(strike)
    notes: Counter[str] = Counter()
    remains: Remains = {
        int(i): _remains(sites.of(int(i)), strike, int(i), seed, notes) for i in _needed(city, strike, sites, asked)
    }
    lost, visible, buried = _sight(city, strike, asked, remains)
    own = [int(i) for i in asked if struck[i]]
    debris, position = concatenate(remains[i][1] for i in own)
    owner = np.array(own, np.int32)[position] if own else np.zeros(0, np.int32)
    return Aftermath({i: remains[i][0] for i in own}, debris, owner, lost, visible, buried, dict(notes))


def touched(strike: Strike) -> NDArray[np.bool_]:
    """Buildings (b,) whose geometry a strike changes."""
    return (
        (strike.collapse > Collapse.TILES)
        | (strike.covering_lost > LEAST)
        | (strike.deck_lost > LEAST)
        | strike.swept
        | (strike.burn != Burn.NONE)
    )


def _needed(city: City, strike: Strike, sites: Sites, asked: Ints) -> Ints:
    """Struck buildings asked for, and those whose debris could come to lie on one of them."""
    struck = touched(strike)
    chosen = struck.copy()
    chosen[:] = False
    chosen[asked] = True
    if not chosen.all() and struck.any():
        bound = farthest(city, strike)
        for i in asked:
            around = sites.near(int(i), float(bound[struck].max()))
            shapes = [city.buildings[k].footprint for k in around]
            gap = shapely.distance(city.buildings[i].footprint, shapes) if shapes else np.zeros(0)
            chosen[around[gap <= bound[around]]] = True
    return np.flatnonzero(struck & chosen)


def farthest(city: City, strike: Strike) -> Floats:
    """Metres (b,) from its footprint beyond which nothing of a building comes to lie."""
    low, high = (np.array([b.mesh.bounds[end] for b in city.buildings]) for end in (0, 1))
    outline = shapely.bounds(np.array([b.footprint for b in city.buildings], dtype=object))
    over = np.maximum(outline[:, :2] - low[:, :2], high[:, :2] - outline[:, 2:]).max(axis=1, initial=0.0)
    standing = (strike.collapse <= Collapse.TILES) & ~strike.swept
    falls = (high - low)[:, 2] * np.where(strike.swept, FIELD, 1.2) + 1.0
    return np.where(standing, SHED + 1.0 + np.maximum(over, 0.0), falls)


def _remains(site: Site, strike: Strike, index: int, seed: int, notes: Counter[str]) -> tuple[Mesh, Mesh]:
    rng = np.random.default_rng([seed, index])
    try:
        left = shared_out(site, _parts(rng, site, strike, index))
        notes.update(sorted(site.notes))
        return left
    except shapely.errors.GEOSException:
        notes["buildings left as they stood: their outline defeats the geometry library"] += 1
        return shared_out(site, [site.building.mesh])


def _parts(rng: np.random.Generator, site: Site, strike: Strike, i: int) -> list[Mesh]:
    kind, burn, mesh = int(strike.collapse[i]), int(strike.burn[i]), site.building.mesh
    if strike.swept[i]:
        return swept(rng, site)
    if kind in COLLAPSES:
        parts = COLLAPSES[kind](rng, site)
        return parts if burn == Burn.NONE else [scorched(rng, p) for p in parts]
    if gutted(strike)[i]:
        return burnt(rng, site, mesh)
    return _damaged(rng, site, strike, i)


def _damaged(rng: np.random.Generator, site: Site, strike: Strike, i: int) -> list[Mesh]:
    """A building that stands, with what its roof has lost; a burnt one that kept its deck is a shell of masonry."""
    kind, mesh = int(strike.collapse[i]), site.building.mesh
    loose: list[Mesh] = []
    covering, deck = float(strike.covering_lost[i]), float(strike.deck_lost[i])
    if max(covering, deck) > LEAST:
        if strike.burn[i] == Burn.NONE:
            mesh = opened(rng, site, mesh, Loss(covering, deck, tarped=bool(strike.tarped[i])))
        else:
            within = Surface.ASH if strike.burn[i] == Burn.BURNT else Surface.CHAR
            mesh = charred(rng, site, mesh, covering, deck, within)
        heading = site.direction if strike.hazard == "wind" else None
        loose.append(shed(rng, site, max(covering, deck), heading=heading))
    parts = _PARTIAL[Collapse(kind)](rng, site, mesh) if kind in _PARTIAL else [mesh]
    return [*parts, *loose]


def _sight(city: City, strike: Strike, asked: Ints, remains: Remains) -> tuple[Floats, NDArray[np.uint8], Floats]:
    """Share of roof lost, visible grade, share of roof under others' debris (b,) each, of the buildings asked for."""
    lost, visible = np.zeros(len(city.buildings)), np.zeros(len(city.buildings), np.uint8)
    buried = np.zeros(len(city.buildings))
    owners = [i for i, (_, debris) in remains.items() if len(debris)]
    corners = [remains[i][1].bounds for i in owners]
    plans = [shapely.box(*low[:2], *high[:2]) for low, high in corners]
    tree = shapely.STRtree(plans)
    for i in asked:
        i = int(i)
        building = city.buildings[i]
        near = [owners[k] for k in np.sort(tree.query(building.footprint, predicate="intersects"))]
        others = [remains[k][1] for k in near if k != i]
        if i not in remains and not others:
            continue
        left, debris = remains.get(i, (building.mesh, building.mesh.faces(np.zeros(len(building.mesh), bool))))
        found: Signs = signs(building.mesh, left, debris, others)
        lost[i], visible[i], buried[i] = found.lost, found.grade(int(strike.ems98[i])), found.buried
    return lost, visible, buried
