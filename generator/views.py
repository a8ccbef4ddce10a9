"""From where the two images of a sample are taken, and how well they lie on each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mage.generator.sight import Sight
from mage.scenes.grid import Grid
from mage.scenes.recipe import Recipe
from mage.scenes.terrain import Terrain

VIEW_STREAM = 71  # of a sample
DECKS = 12.0  # metres above or below the ground that what wears the ground's picture may be: decks of bridges, water


@dataclass(frozen=True, slots=True)
class View:
    """How one date is seen: angle off nadir and azimuth of the sensor, radians, clockwise from north as seen from the
    ground; and by how many pixels (columns, rows) the image lies beside its grid.
    """

    off_nadir: float = 0.0
    azimuth: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def sight(self, grid: Grid, ground: Terrain) -> Sight:
        """The rays of that view of a tile."""
        away = float(np.tan(self.off_nadir))
        lean = (away * float(np.sin(self.azimuth)), away * float(np.cos(self.azimuth))) if away else (0.0, 0.0)
        columns, rows = self.shift
        # what shows a pixel farther to the right is what lies a pixel farther to the west
        moved = grid.moved(-columns * grid.gsd, rows * grid.gsd, grid.crs) if any(self.shift) else grid
        return Sight(moved, lean, ground)


def draw_views(recipe: Recipe, rng: np.random.Generator) -> tuple[View, View]:
    """The views of a sample's images: angle and azimuth of each date, and how far the later one is displaced."""
    part = recipe.view
    angles, turns = np.radians(rng.uniform(*part.off_nadir, 2)), rng.uniform(0, 2 * np.pi, 2)
    far, way = float(rng.uniform(*part.shift)), float(rng.uniform(0, 2 * np.pi))
    # what the record says is what is true: to a thousandth of a degree and of a pixel
    angles, turns = np.radians(np.round(np.degrees(angles), 3)), np.radians(np.round(np.degrees(turns), 3))
    views = [View(float(a), float(t) if a else 0.0) for a, t in zip(angles, turns, strict=True)]
    first, later = views[0], views[0 if recipe.between.hold else 1]
    shift = (round(far * float(np.sin(way)), 3), round(-far * float(np.cos(way)), 3))
    return first, View(later.off_nadir, later.azimuth, shift if far else (0.0, 0.0))


def ground_grid(grid: Grid, views: tuple[View, View]) -> Grid:
    """The grid to paint the ground on: the tile, and around it what the views show of decks and water beyond it."""
    lean = max(float(np.tan(view.off_nadir)) for view in views)
    shift = max(float(np.hypot(*view.shift)) for view in views)
    return grid.padded(int(np.ceil(lean * DECKS / grid.gsd + shift)))
