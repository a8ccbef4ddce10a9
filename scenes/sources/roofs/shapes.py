"""The roof shapes of Simple 3D Buildings over any plan: their names, their ridges and their profiles."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.optimize import linprog
from shapely.geometry import Polygon

from mage.scenes.errors import CityError
from mage.scenes.sources.roofs.gables import gabled, quad_faces
from mage.scenes.sources.roofs.sheet import Field, Sheet, cut, faces_sheet, fan_sheet, plan_sheet, tidy
from mage.scenes.sources.roofs.skeleton import Skeleton, straight_skeleton

Floats = NDArray[np.float64]

PITCHES = {
    "flat": 0.0,
    "skillion": 0.2,
    "gabled": 0.7,
    "half-hipped": 0.7,
    "hipped": 0.6,
    "pyramidal": 0.6,
    "gambrel": 0.9,
    "mansard": 0.7,
    "round": 0.8,
    "dome": 1.0,
    "onion": 2.0,
    "cone": 1.2,
}  # rise over the run from the eave to the highest point, where no height is stated

_SAME = {
    "": "flat",
    "gable": "gabled",
    "hip": "hipped",
    "halfhipped": "half-hipped",
    "lean-to": "skillion",
    "monopitch": "skillion",
    "shed": "skillion",
    "pyramid": "pyramidal",
    "conical": "cone",
    "barrel": "round",
    "vaulted": "round",
}
_NEAREST = {
    "pitched": "gabled",
    "hipped-and-gabled": "half-hipped",
    "side-hipped": "hipped",
    "crosspitched": "gabled",
    "cross-gabled": "gabled",
    "gabled-row": "gabled",
    "gabled-height-moved": "gabled",
    "saltbox": "gabled",
    "double-saltbox": "gabled",
    "quadruple-saltbox": "hipped",
    "butterfly": "flat",
    "sawtooth": "flat",
    "many": "flat",
}

_CENTRED = ("pyramidal", "dome", "onion", "cone")
_COVERED = 0.01  # of the plan: corners that are moved for the skeleton's sake change the area of tiny plans by less
_COMPACT = 0.9  # of its convex hull: what a plan under one ridge fills at least
_SIGHT = 0.01  # of the root of the plan's area: how far inside every wall's line a centre must lie


def _arc(steps: int) -> list[tuple[float, float]]:
    return [(1 - math.cos(a), math.sin(a)) for a in np.linspace(0, math.pi / 2, steps + 1).tolist()]


# share of the run from the eave -> share of the roof's height
_PROFILES = {
    "gambrel": [(0, 0), (0.35, 0.62), (1, 1)],
    "mansard": [(0, 0), (0.25, 0.75), (1, 1)],
    "round": _arc(6),
    "dome": _arc(6),
    "onion": [(0, 0), (0.02, 0.12), (0.1, 0.25), (0.25, 0.38), (0.45, 0.48), (0.7, 0.6), (0.88, 0.75), (1, 1)],
}


def shape_named(text: str) -> tuple[str, bool]:
    """The shape that is built for a value of ``roof:shape``, and whether that is the shape it names.

    No value, and another spelling of a shape, count as that shape; what is not known becomes the nearest shape, or
    flat.
    """
    name = "-".join(text.lower().replace("_", " ").replace("-", " ").split())
    if name in PITCHES:
        return name, True
    return (_SAME[name], True) if name in _SAME else (_NEAREST.get(name, "flat"), False)


def roof_sheet(
    plan: Polygon, shape: str, orientation: str, direction: float | None, notes: Counter[str]
) -> tuple[Sheet, float]:
    """The roof over a plan, its rise from 0 to 1, and the run in metres from its eave to its highest point.

    - ``skillion`` slopes towards ``direction``, else across the longer side, its low side to the south.
    - ``pyramidal``, ``dome``, ``onion`` and ``cone`` close in on a centre that sees every wall; over a plan that has
      none (a courtyard, a U) the distance to the walls takes the place of that to the centre (counted).
    - ``hipped`` and ``mansard`` rise from all walls alike, by the straight skeleton.
    - ``gabled``, ``half-hipped``, ``gambrel`` and ``round`` have a ridge: see :func:`_ridged`.
    - An onion keeps within its eaves: no roof overhangs its plan.

    Raises:
        CityError: no roof can be found that covers the plan.
        MissingExtraError: it takes the straight skeleton, and compas_cgal is not installed.
    """
    plan = shapely.orient_polygons(plan)
    if shape == "flat":
        return plan_sheet(plan, lambda points: np.zeros(len(points))), 0.0
    if shape == "skillion":
        return _skillion(plan, orientation, direction)
    if shape in _CENTRED:
        sheet, run = _centred(plan, notes)
    elif shape in ("hipped", "mansard"):
        sheet, run = _of_faces(straight_skeleton(plan))
    else:
        sheet, run = _ridged(plan, orientation, direction, half=shape == "half-hipped")
    sheet = _bent(sheet, shape)
    if abs(sheet.area - plan.area) > _COVERED * plan.area:
        raise CityError("a roof that does not cover its plan", expected=f"{plan.area:.3f}", found=f"{sheet.area:.3f}")
    return sheet, run


def _bent(sheet: Sheet, shape: str) -> Sheet:
    """The sheet with the shape's profile instead of a straight rise."""
    profile = np.array(_PROFILES.get(shape, [(0, 0), (1, 1)]))
    sheet = tidy(sheet)
    for level in profile[1:-1, 0].tolist():
        sheet = cut(sheet, sheet.rise, level)
    return tidy(sheet).lifted(lambda rise: np.interp(rise, profile[:, 0], profile[:, 1]))


def _shares(sheet: Sheet) -> tuple[Sheet, float]:
    """The rise from 0 to 1, and what its highest was."""
    top = float(sheet.rise.max())
    return sheet.lifted(lambda rise: rise / top), top


def _of_faces(skeleton: Skeleton) -> tuple[Sheet, float]:
    return _shares(faces_sheet(skeleton.points, skeleton.faces))


def _centred(plan: Polygon, notes: Counter[str]) -> tuple[Sheet, float]:
    centre = None if plan.interiors else _centre(plan)
    if centre is None:
        notes["roofs with a centre over plans without one built along their walls"] += 1
        return _of_faces(straight_skeleton(plan))
    return fan_sheet(plan, centre), float(plan.exterior.distance(shapely.Point(centre)))


def _centre(plan: Polygon) -> Floats | None:
    """A point (2,) from which every wall is seen from inside: the centroid, else the one farthest inside."""
    ring = np.asarray(plan.exterior.coords)
    along = np.diff(ring, axis=0)
    inward = np.column_stack([-along[:, 1], along[:, 0]]) / np.linalg.norm(along, axis=1, keepdims=True)
    least = np.einsum("ij,ij->i", inward, ring[:-1])  # inward · p >= least inside each wall's line
    needed = _SIGHT * math.sqrt(plan.area)
    centroid = np.array([plan.centroid.x, plan.centroid.y])
    if (inward @ centroid - least).min() > needed:
        return centroid
    limits = np.column_stack([-inward, np.ones(len(inward))])
    best = linprog([0, 0, -1], A_ub=limits, b_ub=-least, bounds=[(None, None)] * 3)
    return np.asarray(best.x[:2]) if best.status == 0 and best.x[2] > needed else None


def _facing(plan: Polygon, orientation: str, direction: float | None) -> Floats:
    """The unit vector (2,) that a slope looks along: as stated, else across the longer side of the plan's rectangle.

    Of the two sides that it could be, the one that looks south, or east.
    """
    if direction is not None:
        angle = math.radians(direction)
        return np.array([math.sin(angle), math.cos(angle)])
    corners = np.asarray(shapely.minimum_rotated_rectangle(plan).exterior.coords)
    sides = np.diff(corners, axis=0)[:2]
    lengths = np.linalg.norm(sides, axis=1)
    short = int(lengths[1] < lengths[0])
    side = sides[1 - short if orientation == "across" else short]
    side = side / np.linalg.norm(side)
    return -side if (side[1], -side[0]) > (0, 0) else side


def _skillion(plan: Polygon, orientation: str, direction: float | None) -> tuple[Sheet, float]:
    facing = _facing(plan, orientation, direction)
    sheet = plan_sheet(plan, lambda points: -points @ facing)
    return _shares(sheet.lifted(lambda rise: rise - rise.min()))


def _ridged(plan: Polygon, orientation: str, direction: float | None, *, half: bool) -> tuple[Sheet, float]:
    """A roof with gables, or with half hips.

    - Over four corners the ridge joins the middles of two sides: those at the ends of the longer axis, of the shorter
      one if ``across``, or those that leave a slope facing ``direction``.
    - Over other plans each wing has its ridge, out to the gables at its ends (straight skeleton), unless a direction
      or ``across`` is stated, or the plan is compact and no end of it could be a gable (an octagon); then there is one
      ridge across the whole.
    """
    across = orientation == "across"
    share = plan.area / plan.convex_hull.area
    if share > 1 - 1e-6 and len(plan.exterior.coords) == 5:
        facing = None if direction is None else _facing(plan, "", direction)
        return _of_faces(quad_faces(np.asarray(plan.exterior.coords)[:4], facing, across=across, half=half))
    if direction is None and not across:
        skeleton, gables = gabled(straight_skeleton(plan), half=half)
        if gables or share < _COMPACT or plan.interiors:
            return _of_faces(skeleton)
    return _one_ridge(plan, _facing(plan, orientation, direction), half=half)


def _one_ridge(plan: Polygon, facing: Floats, *, half: bool) -> tuple[Sheet, float]:
    """Two slopes over the whole plan, looking along ``facing`` and away from it; walls reach up to them."""
    corners = np.asarray(plan.exterior.coords)
    low, high = float((corners @ facing).min()), float((corners @ facing).max())
    run, middle = (high - low) / 2, (high + low) / 2

    def _slopes(points: Floats) -> Floats:
        return run - np.abs(points @ facing - middle)

    sheet = plan_sheet(plan, _slopes)
    sheet = cut(sheet, sheet.points @ facing, middle)
    if half:
        return _half_hipped(sheet, _slopes, np.array([-facing[1], facing[0]]))
    return _shares(Sheet(sheet.points, sheet.triangles, _slopes(sheet.points)))


def _half_hipped(sheet: Sheet, slopes: Field, along: Floats) -> tuple[Sheet, float]:
    """Two slopes cut down by hips that begin at half their height above both ends of the ridge along ``along``."""
    ends = [float((sheet.points @ along).min()), float((sheet.points @ along).max())]
    half = float(slopes(sheet.points).max()) / 2

    def _hips(points: Floats) -> Floats:
        return half + np.minimum(points @ along - ends[0], ends[1] - points @ along)

    sheet = cut(sheet, sheet.points @ along, sum(ends) / 2)
    sheet = cut(sheet, _hips(sheet.points) - slopes(sheet.points), 0.0)
    return _shares(Sheet(sheet.points, sheet.triangles, np.minimum(slopes(sheet.points), _hips(sheet.points))))
