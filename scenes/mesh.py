"""Triangle meshes as pure arrays, with what each face is made of and which object it belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Surface(IntEnum):
    """What part of an object a face is; stored per face as uint8."""

    OTHER = 0
    GROUND = 1
    WALL = 2
    ROOF = 3
    CLOSURE = 4
    CLUTTER = 5  # chimneys, skylights, plant on a roof; balconies and stairs
    OPENING = 6  # windows, in walls and in roofs
    RUBBLE = 7  # masonry, concrete and dust
    TIMBER = 8  # rafters and broken wood
    DECKING = 9  # a roof's boards without their covering
    TARPAULIN = 10
    SLAB = 11  # a floor, or the ground plate of a house that has gone
    CHAR = 12  # burnt, black
    ASH = 13


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A triangle soup in metres, right-handed, z up, normals outward by the right-hand rule.

    Attributes:
        vertices: float64 (n, 3).
        triangles: int32 (m, 3), indices into ``vertices``.
        surface: uint8 (m,), a :class:`Surface` per face.
        uv: float32 (m, 3, 2), metres along the eave (u) and up the slope (v) at each corner.
        attributes: named float32 arrays, one value per face (m,).
    """

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int32]
    surface: NDArray[np.uint8]
    uv: NDArray[np.float32]
    attributes: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, m = len(self.vertices), len(self.triangles)
        if self.vertices.shape != (n, 3) or self.triangles.shape != (m, 3):
            raise ValueError(
                f"a mesh needs (n, 3) vertices and triangles, found {self.vertices.shape}, {self.triangles.shape}"
            )
        if self.surface.shape != (m,) or self.uv.shape != (m, 3, 2):
            raise ValueError(f"a mesh of {m} faces has {self.surface.shape} surfaces and {self.uv.shape} uv")
        if m and (self.triangles.min() < 0 or self.triangles.max() >= n):
            raise ValueError("a triangle refers to a vertex that is not there")

    def __len__(self) -> int:
        return len(self.triangles)

    @property
    def normals(self) -> NDArray[np.float64]:
        """Unit normal per face, (m, 3); zero for a degenerate face."""
        a, b, c = (self.vertices[self.triangles[:, i]] for i in range(3))
        n = np.cross(b - a, c - a)
        length = np.linalg.norm(n, axis=1, keepdims=True)
        return np.divide(n, length, out=np.zeros_like(n), where=length > 0)

    @property
    def areas(self) -> NDArray[np.float64]:
        """Area per face in square metres, (m,)."""
        a, b, c = (self.vertices[self.triangles[:, i]] for i in range(3))
        return np.asarray(np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2)

    @property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lowest and highest corner, each (3,)."""
        return self.vertices.min(axis=0), self.vertices.max(axis=0)

    def faces(self, keep: NDArray[np.bool_]) -> Mesh:
        """Only the faces where ``keep`` (m,) is true; vertices stay as they are."""
        attributes = {k: v[keep] for k, v in self.attributes.items()}
        return Mesh(self.vertices, self.triangles[keep], self.surface[keep], self.uv[keep], attributes)

    def compact(self) -> Mesh:
        """The same faces without the vertices that none of them has."""
        used, triangles = compacted(self.triangles, len(self.vertices))
        return Mesh(self.vertices[used], triangles, self.surface, self.uv, self.attributes)


def compacted(triangles: NDArray[np.int32], count: int) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Which of ``count`` vertices triangles (m, 3) have, and the triangles as indices into those alone."""
    used = np.zeros(count, bool)
    used[triangles] = True
    return used, (np.cumsum(used, dtype=np.int32) - np.int32(1))[triangles]


def planar_uv(vertices: NDArray[np.float64], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """UV in metres of every corner, (m, 3, 2): u along the horizontal of the face (its eave), v up its slope.

    Faces of one plane share one frame, so that a pattern runs on across their triangles.
    """
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = np.divide(normal, length, out=np.tile([0.0, 0.0, 1.0], (len(normal), 1)), where=length > 0)
    # rounding makes coplanar triangles agree on their frame to the bit
    normal = np.round(normal, 3)
    u = np.stack([-normal[:, 1], normal[:, 0], np.zeros(len(normal))], axis=1)
    flat = np.linalg.norm(u, axis=1) < 0.02
    u[flat] = [1.0, 0.0, 0.0]
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    v = np.cross(normal, u)
    v[v[:, 2] < 0] *= -1
    return np.stack([np.einsum("mij,mj->mi", corners, u), np.einsum("mij,mj->mi", corners, v)], axis=-1).astype(
        np.float32
    )


def concatenate(meshes: Iterable[Mesh]) -> tuple[Mesh, NDArray[np.int32]]:
    """All meshes as one, and for each face the position of the mesh it came from, int32 (m,).

    Attributes that some meshes lack are filled with 0.
    """
    parts = list(meshes)
    names = sorted({name for part in parts for name in part.attributes})
    if not parts:
        return empty_mesh(), np.zeros(0, np.int32)
    starts = np.cumsum([0] + [len(p.vertices) for p in parts[:-1]])
    return (
        Mesh(
            np.concatenate([p.vertices for p in parts]),
            np.concatenate([p.triangles + np.int32(s) for p, s in zip(parts, starts, strict=True)]).astype(np.int32),
            np.concatenate([p.surface for p in parts]),
            np.concatenate([p.uv for p in parts]),
            {n: np.concatenate([p.attributes.get(n, np.zeros(len(p), np.float32)) for p in parts]) for n in names},
        ),
        np.repeat(np.arange(len(parts), dtype=np.int32), [len(p) for p in parts]),
    )


def empty_mesh() -> Mesh:
    """A mesh of nothing."""
    return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int32), np.zeros(0, np.uint8), np.zeros((0, 3, 2), np.float32))
