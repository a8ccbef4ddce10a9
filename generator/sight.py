"""The rays of an image: one through each pixel's centre, all parallel, straight down or slanted.

Products are rectified to the ground: a point of the ground shows at its own place on the map from wherever it is
looked at, and what stands on it leans away from the sensor by its height times the tangent of the angle off nadir.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.scenes.grid import Grid
from mage.scenes.terrain import Terrain

Floats = NDArray[np.float64]
Image = NDArray[np.float32]

SETTLED = 1e-4  # metres between two guesses at where a point shows that end the search
GUESSES = 60
EVEN = 0.02  # pixels that relief may move the ground by before an image is resampled
RIM = 8  # pixels around what a rectified image is sampled from


@dataclass(frozen=True, eq=False)
class Sight:
    """How an image is seen.

    Attributes:
        grid: its pixels.
        lean: metres (east, north), towards the sensor, that a ray moves for each metre that it rises: the tangent of
            the angle off nadir along the sensor's azimuth; (0, 0) is straight down.
        ground: what the image is rectified to; a slanted one needs it.
    """

    grid: Grid
    lean: tuple[float, float] = (0.0, 0.0)
    ground: Terrain | None = None

    @property
    def slanted(self) -> bool:
        """Whether it is not straight down."""
        return self.lean != (0.0, 0.0)

    @cached_property
    def reference(self) -> Floats:
        """Height (rows, columns) at which each ray passes its pixel's centre: the ground's there, m."""
        if self.ground is None:
            return np.zeros(self.grid.shape)
        return self.ground.sample(self.grid.points().reshape(*self.grid.shape, 2))

    @cached_property
    def datum(self) -> float:
        """Height of the plane on which :attr:`feet` lie: the middle of :attr:`reference`, m."""
        return float(self.reference.min() + self.reference.max()) / 2 if self.slanted else 0.0

    @cached_property
    def feet(self) -> Floats:
        """Where the rays pass the datum, (rows * columns, 2), row by row, m; nearly a lattice, quite one over flat
        ground.
        """
        points = self.grid.points()
        return points - self._run(self.reference.ravel()) if self.slanted else points

    @cached_property
    def cells(self) -> tuple[int, int, NDArray[np.int64], NDArray[np.int64]]:
        """Feet sorted into cells of a pixel's size from the south-west of :attr:`bounds` on, row by row; over even
        ground every cell holds one: columns and rows of cells, the feet in the order of their cells, and the cell of
        each of those.
        """
        west, south, east, north = self.bounds
        columns, rows = (int(np.ceil(side / self.grid.gsd)) + 1 for side in (east - west, north - south))
        cell = np.floor((self.feet - (west, south)) / self.grid.gsd).astype(np.int64)
        number = cell[:, 1] * columns + cell[:, 0]
        order = np.argsort(number, kind="stable")
        return columns, rows, order, number[order]

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) of the tile on the datum, m."""
        if not self.slanted:
            return self.grid.bounds
        half = self.grid.gsd / 2
        (west, south), (east, north) = self.feet.min(axis=0) - half, self.feet.max(axis=0) + half
        return float(west), float(south), float(east), float(north)

    def at(self, z: Floats) -> Floats:
        """Where (rows, columns, 2) the rays are at finite heights ``z`` (rows, columns), m."""
        xy = self.feet.reshape(*self.grid.shape, 2)
        return xy + self._run(z) if self.slanted else xy

    def upright(self, vertices: Floats) -> Floats:
        """Points (..., 3) sheared along the plane so that the rays are vertical over :attr:`feet`; heights stay."""
        if not self.slanted:
            return vertices
        return np.concatenate([vertices[..., :2] - self._run(vertices[..., 2]), vertices[..., 2:]], axis=-1)

    def shown(self, points: Floats) -> Floats:
        """Map coordinates (n, 2) of where points (n, 3) show in the image, if nothing hides them.

        Where the ground is so steep that it hides itself, this is one of the places that a point may show at.
        """
        if not self.slanted or self.ground is None:
            return np.asarray(points[:, :2])
        feet = self.upright(points)[:, :2]
        xy = feet.copy()
        for _ in range(GUESSES):
            better = feet + self._run(self.ground.sample(xy))
            moved = np.abs(better - xy).max(initial=0.0)
            xy = better
            if moved < SETTLED:
                break
        return xy

    def lattice(self) -> Grid:
        """The grid on the datum that an image is sampled from: the tile's own where the ground is even, else one
        around all feet.
        """
        if not self._uneven:
            return self.grid
        return Grid.covering(self.bounds, self.grid.gsd).padded(RIM)

    def rectified(self, image: Image) -> Image:
        """The tile's image, float32 (rows, columns, 3), from one on :meth:`lattice`; as it is over even ground."""
        if not self._uneven:
            return image
        where = self.lattice().to_pixel(self.feet).reshape(*self.grid.shape, 2).astype(np.float32) - 0.5

        def _sampled(picture: Any, how: int) -> Image:
            return np.asarray(cv2.remap(picture, where[..., 0], where[..., 1], how, borderMode=cv2.BORDER_REPLICATE))

        # Lanczos' kernel swings beside edges: nothing is darker or brighter than what is around it
        low, high = (_sampled(f(image, np.ones((3, 3), np.uint8)), cv2.INTER_NEAREST) for f in (cv2.erode, cv2.dilate))
        return np.clip(_sampled(image, cv2.INTER_LANCZOS4), low, high)

    @property
    def _uneven(self) -> bool:
        relief = float(np.ptp(self.reference)) / 2 if self.slanted else 0.0
        return relief * float(np.hypot(*self.lean)) > EVEN * self.grid.gsd

    def _run(self, z: Floats) -> Floats:
        """How far (..., 2) the rays have moved from the datum to heights ``z``, m."""
        return (np.asarray(z) - self.datum)[..., None] * np.array(self.lean)


def sight_of(view: Grid | Sight) -> Sight:
    """A sight as it is; a grid alone is looked at straight down."""
    return view if isinstance(view, Sight) else Sight(view)
