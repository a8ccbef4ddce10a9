"""Plans of houses, and what every closed mesh over one must be."""

from __future__ import annotations

from collections import Counter

import numpy as np
import shapely
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import Polygon, box

from mage.scenes.mesh import Mesh

side = st.floats(2, 30)
turn = st.floats(0, 360)


def l_plan(length: float, depth: float, wing: float) -> Polygon:
    """An L: ``length`` by ``wing`` along x, ``depth`` by ``wing`` along y."""
    return shapely.union_all([box(0, 0, length, wing), box(0, 0, wing, depth)])


def t_plan(length: float, depth: float, wing: float) -> Polygon:
    return shapely.union_all([box(0, 0, length, wing), box(length / 2 - wing / 2, 0, length / 2 + wing / 2, depth)])


def u_plan(length: float, depth: float, wing: float) -> Polygon:
    arms = [box(0, 0, wing, depth), box(length - wing, 0, length, depth * 0.9)]
    return shapely.union_all([box(0, 0, length, wing), *arms])


def plus_plan(length: float, depth: float, wing: float) -> Polygon:
    x, y, w = length / 2, depth / 2, wing / 2
    return shapely.union_all([box(-x, -w, x, w), box(-w, -y, w, y)])


def ring_plan(length: float, depth: float, wing: float) -> Polygon:
    """A block around a courtyard."""
    return box(0, 0, length, depth).difference(box(wing, wing, length - wing, depth - wing))


def octagon(radius: float) -> Polygon:
    angle = np.arange(8) * np.pi / 4
    return Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))


_winged = st.builds(
    lambda make, length, depth, wing: make(length, depth, wing),
    st.sampled_from([l_plan, t_plan, u_plan, plus_plan, ring_plan]),
    st.floats(16, 40),
    st.floats(14, 30),
    st.floats(3, 6.5),
)
_convex = st.lists(st.tuples(st.floats(-15, 15), st.floats(-15, 15)), min_size=5, max_size=12).map(
    lambda points: shapely.MultiPoint(points).convex_hull
)
_compact = _convex.filter(
    lambda hull: hull.geom_type == "Polygon" and hull.area > 0.05 * hull.length**2 and hull.area > 20
)
plans = st.builds(
    lambda plan, angle: affinity.rotate(plan, angle, origin=(0, 0)),
    st.one_of(st.builds(lambda a, b: box(0, 0, a, b), side, side), _winged, _compact),
    turn,
)


def open_edges(mesh: Mesh) -> int:
    """How many edges, welded at a micrometre, are not shared by two triangles that run along them contrariwise."""
    _, welded = np.unique(np.round(mesh.vertices / 1e-6).astype(np.int64), axis=0, return_inverse=True)
    corners = welded.reshape(-1)[mesh.triangles]
    ahead = Counter((int(t[i]), int(t[i - 2])) for t in corners for i in range(3))
    return sum(count != 1 or ahead[v, u] != 1 for (u, v), count in list(ahead.items()))
