"""Single places, to be asked what a grid's pixels are asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Spots:
    """Points (n, 2), at least one, in metres."""

    xy: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,)."""
        return (len(self.xy),)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in metres."""
        (west, south), (east, north) = self.xy.min(axis=0), self.xy.max(axis=0)
        return float(west), float(south), float(east), float(north)
