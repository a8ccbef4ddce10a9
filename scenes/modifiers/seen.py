"""What an image from straight above shows of the damage: grades from geometry alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion

from mage.scenes.mesh import Mesh, Surface, concatenate
from mage.scenes.modifiers.raster import top_faces

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELL = 0.5  # metres: what imagery of 0.5 m resolves
CELLS = 2500  # over one building at most; larger ones get larger cells
RING = 3.0  # metres around the roof where debris is looked for
SHIFT = 0.5  # metres up, down or aside that are no loss

_ROOF = (Surface.ROOF, Surface.CLUTTER, Surface.OPENING)
_BARE = (Surface.DECKING, Surface.TARPAULIN)

# Least values of each sign for grades 1 to 5. EMS-98 (Gruenthal 1998) speaks of tiles detached (2 to 3), of roofs
# partly failed (4) and of collapse (5); the shares are ours, since the scale states none. Debris at the walls alone,
# with the roof whole, looks like 1: so does a crushed ground storey.
_NEVER = np.inf
GONE = (0.004, 0.012, 0.03, 0.18, 0.6)  # share of the roof that is gone or broken
BARE = (0.004, 0.03, 0.2, _NEVER, _NEVER)  # share that is bare decking or tarpaulin
TILT = (0.02, 0.03, 0.05, 0.12, 0.25)  # rise over run of how the roof has turned
LITTER = (0.04, _NEVER, _NEVER, _NEVER, _NEVER)  # share of the ring with debris


@dataclass(frozen=True, slots=True)
class Signs:
    """What is seen of one building.

    Attributes:
        lost: share of the roof's plan with no roof within ``SHIFT`` of its old height.
        gone: share that is no roof any more, or stands out of how the rest moved, by more than ``SHIFT``; a cell along
            the edge is left out, as nobody sees a roof move by less.
        bare: share that is decking or tarpaulin.
        tilt: rise over run by which the roof as a whole has turned.
        litter: share of the ring of ``RING`` metres with debris on it.
        buried: share of the roof under the debris of other buildings.
    """

    lost: float
    gone: float
    bare: float
    tilt: float
    litter: float
    buried: float

    def grade(self, ems98: int) -> int:
        """EMS-98 grade to be seen: at most the physical one, unless others' debris hides the roof."""
        own = max(
            _reached(self.gone, GONE),
            _reached(self.bare, BARE),
            _reached(self.tilt, TILT),
            _reached(self.litter, LITTER),
        )
        return max(min(own, int(ems98)), _reached(self.buried, GONE))


def _reached(value: float, least: tuple[float, ...]) -> int:
    return int(np.searchsorted(least, value, side="right"))


def signs(before: Mesh, left: Mesh, debris: Mesh, others: list[Mesh]) -> Signs:
    """Signs of damage on a building.

    Args:
        before: the building as it stood.
        left: what is left of it within its footprint.
        debris: what is left of it outside.
        others: debris of other buildings near it.
    """
    low, high = before.bounds
    step = max(CELL, float(np.sqrt(np.prod(high[:2] - low[:2] + 2 * RING) / CELLS)))
    west, south = low[:2] - RING - step / 2
    columns, rows = (np.ceil((high[:2] - low[:2] + 2 * RING) / step) + 1).astype(int)

    def _top(mesh: Mesh) -> tuple[Floats, NDArray[np.int64]]:
        z, face = top_faces(mesh, west, south, step, (int(rows), int(columns)))
        surfaces = np.append(mesh.surface.astype(np.int64), -1)
        return z, surfaces[face]

    z0, kind0 = _top(before)
    roof = np.isin(kind0, _ROOF)
    if not roof.any():
        return Signs(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    z1, kind1 = _top(left)
    zd, kindd = _top(debris)
    over = zd > z1
    kind1, z1 = np.where(over, kindd, kind1), np.where(over, zd, z1)
    buried = _top(concatenate(others)[0])[0] > np.maximum(z1, z0 - 1.0)
    ring = binary_dilation(roof, iterations=max(1, round(RING / step))) & (kind0 < 0)
    change = np.full(z0.shape, np.inf)
    np.subtract(z1, z0, out=change, where=roof & np.isfinite(z1))
    rooflike = np.isin(kind1, (*_ROOF, *_BARE))
    fell, turned = _motion(change, roof, rooflike)
    inner = binary_erosion(roof)
    inner = inner if inner.sum() >= 0.25 * roof.sum() else roof
    still = rooflike & (np.abs(change) <= SHIFT)
    return Signs(
        lost=1 - float(still[roof].mean()),
        gone=float(fell[inner].mean()),
        bare=float(np.isin(kind1, _BARE)[roof].mean()),
        tilt=turned / step,
        litter=float((zd > -np.inf)[ring].mean()) if ring.any() else 0.0,
        buried=float(buried[roof].mean()),
    )


def _motion(change: Floats, roof: Flags, rooflike: Flags) -> tuple[Flags, float]:
    """Cells (rows, columns) that did not move with the roof as one plate, and by how much that plate has turned,
    metres up per cell.

    The plate is fitted to the median half of the cells first, so that a hole does not turn it.
    """
    held = roof & rooflike
    if held.sum() < max(4, 0.15 * roof.sum()):
        return roof, 0.0
    row, column = np.nonzero(held)
    terms = np.column_stack([np.ones(len(row)), row - row.mean(), column - column.mean()])
    dz = change[held]
    chosen = np.abs(dz - np.median(dz)) <= np.quantile(np.abs(dz - np.median(dz)), 0.6) + 0.05
    for _ in range(3):
        fit = np.linalg.lstsq(terms[chosen], dz[chosen], rcond=None)[0]
        chosen = np.abs(terms @ fit - dz) <= SHIFT
        if chosen.sum() < 4:
            return roof, 0.0
    fell = roof.copy()
    fell[row[chosen], column[chosen]] = False
    return fell, float(np.hypot(fit[1], fit[2]))
