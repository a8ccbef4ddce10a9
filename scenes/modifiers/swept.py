"""Buildings that the wind took from their slabs."""

from __future__ import annotations

import numpy as np

from mage.scenes.mesh import Mesh, Surface
from mage.scenes.modifiers.bodies import slab
from mage.scenes.modifiers.debris import TIMBERED, heap
from mage.scenes.modifiers.site import Site
from mage.scenes.modifiers.strewn import strewn

FIELD = 2.5  # reach of the debris field down-wind, in reaches of a collapse (assumed; tornado fields run on)
LEFT = 0.02  # of the building's volume that stays on the slab as loose wood and rubble (assumed)


def swept(rng: np.random.Generator, site: Site) -> list[Mesh]:
    """The ground plate, what little lies on it, and a field of boards and planks down-wind."""
    plate = slab(site.plan, site.foot - 0.3, site.foot + 0.15, Surface.SLAB)
    rest = heap(rng, site, site.plan, LEFT * site.volume, kind=TIMBERED, reach=0.0, bed=site.foot + 0.15, share=0.35)
    count = int(min(150, 30 + site.building.footprint.area * 0.5))
    field = strewn(
        rng,
        site,
        count,
        reach=FIELD * site.reach,
        heading=site.direction,
        size=np.array([3.2, 1.2, 0.12]),
        surfaces=(Surface.TIMBER, Surface.TIMBER, Surface.DECKING, Surface.ROOF, Surface.RUBBLE),
    )
    return [plate, rest, field]
