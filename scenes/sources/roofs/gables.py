"""Gables and half hips at the ends of ridges."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from mage.scenes.sources.roofs.skeleton import Skeleton

Floats = NDArray[np.float64]

SLOPING = 0.35  # rise over run of a ridge, in a roof of 45°, above which its end is no gable
MIDDLE = 0.15  # share of an end's width, from either corner, where no ridge may come out
HIP_REACH = 0.45  # of a ridge's length: the most that a hip takes of it


def quad_faces(ring: Floats, facing: Floats | None, *, across: bool, half: bool) -> Skeleton:
    """The faces over four corners (4, 2), anticlockwise, with a level ridge between the middles of two sides.

    ``facing`` (2,) is where a slope looks to; without it the ridge joins the shorter pair of sides, the longer pair
    if ``across``.
    """
    sides = np.roll(ring, -1, axis=0) - ring
    length = np.linalg.norm(sides, axis=1)
    if facing is not None:
        middles = ring + sides / 2
        ridges = middles[2:] - middles[:2]
        turned = np.abs(ridges @ facing) / np.linalg.norm(ridges, axis=1)
        first = int(turned[1] < turned[0])
    else:
        first = int((length[1] + length[3] < length[0] + length[2]) != across)
    ring, length = np.roll(ring, -first, axis=0), np.roll(length, -first)
    ends = np.array([(ring[0] + ring[1]) / 2, (ring[2] + ring[3]) / 2])
    run = (length[0] + length[2]) / 4
    ridge = ends[1] - ends[0]
    hip = ridge * min(run / np.linalg.norm(ridge), HIP_REACH)
    tops = np.array([ends[0] + hip, ends[1] - hip])
    points = np.column_stack([np.vstack([ring, tops]), [0.0, 0, 0, 0, run, run]])
    skeleton = Skeleton(points, ((0, 1, 4), (1, 2, 5, 4), (2, 3, 5), (3, 0, 4, 5)))
    for face, end in ((0, ends[0]), (2, ends[1])):
        skeleton = _turned(skeleton, face, np.append(end, run), half=half)
    return _without_hips(skeleton)


def gabled(skeleton: Skeleton, *, half: bool) -> tuple[Skeleton, int]:
    """The roof with its hips made gables, or half hips, wherever a ridge ends at one, and how many those are.

    A hip is the end of a ridge where it is a triangle and the slopes beside it lean on each other along a line that
    is nearly level and comes out near the middle of its eave. That line is drawn on to the eave, so that the slopes
    stay plane.
    """
    degree = Counter(corner for face in skeleton.faces for corner in face)
    hips = [i for i, face in enumerate(skeleton.faces) if len(face) == 3 and degree[face[2]] == 3]
    done: set[int] = set()
    for hip in hips:
        top = skeleton.faces[hip][2]
        taken = top in done or len(skeleton.faces[hip]) > 3  # by the end of a ridge next to it
        end = None if taken else _ridge_end(skeleton, hip)
        if end is not None:
            done.add(top)
            skeleton = _turned(skeleton, hip, end, half=half)
    return _without_hips(skeleton), len(done)


def _neighbours(skeleton: Skeleton, hip: int) -> tuple[int, int]:
    """The faces whose eaves end where the hip's begins, and begin where it ends."""
    start, end, _ = skeleton.faces[hip]
    before = next(i for i, face in enumerate(skeleton.faces) if face[1] == start)
    after = next(i for i, face in enumerate(skeleton.faces) if face[0] == end)
    return before, after


def _inward(skeleton: Skeleton, face: int) -> Floats:
    """The unit vector (2,) from a face's eave into the plan."""
    start, end = skeleton.points[list(skeleton.faces[face][:2]), :2]
    along = (end - start) / np.linalg.norm(end - start)
    return np.array([-along[1], along[0]])


def _ridge_end(skeleton: Skeleton, hip: int) -> Floats | None:
    """Where the ridge comes out above the hip's eave (3,), or None if it has no end there."""
    before, after = (_inward(skeleton, face) for face in _neighbours(skeleton, hip))
    inward = _inward(skeleton, hip)
    apart = before - after
    if np.linalg.norm(apart) < 1.0:
        return None
    ridge = np.array([-apart[1], apart[0]]) / np.linalg.norm(apart)  # level or not, it bisects the two slopes
    ridge = ridge if ridge @ inward < 0 else -ridge
    if -(ridge @ inward) < 0.5 or abs(before @ ridge) > SLOPING:
        return None
    start, end, top = skeleton.points[list(skeleton.faces[hip])]
    reach = top[2] / -(ridge @ inward)
    out = top[:2] + ridge * reach
    share = (out - start[:2]) @ (end - start)[:2] / ((end - start)[:2] @ (end - start)[:2])
    if not MIDDLE < share < 1 - MIDDLE:
        return None
    on_eave = start[:2] + share * (end - start)[:2]
    return np.append(on_eave, top[2] + reach * (before @ ridge))


def _turned(skeleton: Skeleton, hip: int, end: Floats, *, half: bool) -> Skeleton:
    """The hip made a gable, its face left without corners, or cut down to its upper half."""
    before, after = _neighbours(skeleton, hip)
    start, stop, top = skeleton.faces[hip]
    points, faces = skeleton.points.copy(), list(skeleton.faces)
    if not half:
        points[top] = end
        faces[hip] = (start, stop)
        return Skeleton(points, tuple(faces))
    low, high = len(points), len(points) + 1
    points[top] = (points[top] + end) / 2
    points = np.vstack([points, (points[start] + end) / 2, (points[stop] + end) / 2])
    faces[hip] = (low, high, top)
    faces[before] = (*faces[before][:2], low, *faces[before][2:])
    faces[after] = (*faces[after], high)
    return Skeleton(points, tuple(faces))


def _without_hips(skeleton: Skeleton) -> Skeleton:
    return Skeleton(skeleton.points, tuple(face for face in skeleton.faces if len(face) > 2))
