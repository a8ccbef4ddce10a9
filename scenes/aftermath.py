"""What a struck city looks like: the geometry that grades and collapse types leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Aftermath:
    """Geometry after the disaster, where it differs from before; local metres.

    Attributes:
        buildings: index of a building -> what is left of it; faces carry a :class:`mage.scenes.mesh.Surface`,
            rubble, char, decking, tarpaulin and slab among them.
        debris: all that lies outside the footprint of the building that it came from.
        debris_owner: int32 (m,) index of the building that each face of ``debris`` came from.
        roof_lost: (b,) share of the roof's plan that is no roof at its old height any more, 0-1; charred parts are
            none.
        visible: uint8 (b,) EMS-98 grade that can be seen from nadir: at most the physical one, unless the debris of
            other buildings on the roof looks worse.
        buried: (b,) share of the roof under the debris of other buildings, 0-1. Where it is 0, ``visible`` is at most
            the physical grade. Trees that fell on a roof count for nothing.
        notes: what could not be built as it was struck, as name -> count.
    """

    buildings: Mapping[int, Mesh]
    debris: Mesh
    debris_owner: NDArray[np.int32]
    roof_lost: Floats
    visible: NDArray[np.uint8]
    buried: Floats
    notes: Mapping[str, int] = field(default_factory=dict)
