"""What burns: buildings that resist or are spared, crowns and patches of ground that carry a fire on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rasterio.features import rasterize

from mage.scenes.city import City
from mage.scenes.errors import HazardError
from mage.scenes.sources.ground.relief import lattice, raster_of, undulation, within
from mage.scenes.terrain import Terrain
from mage.scenes.ways import on_view, plan, trackbed

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CELL, MOST_CELLS = 4.0, 250_000  # metres of a patch of ground, which grow where there would be more of them
# Share of the wind's speed that the head of a fire runs at. Forest and scrub: Cruz and Alexander (2019,
# doi:10.1007/s13595-019-0829-8); ripe crops as cured grassland: Cruz, Alexander and Kilinc (2022,
# doi:10.3390/fire5020055). Grass in a town is short: a fourth of that, a choice of this project.
HEAD = {"forest": 0.10, "scrub": 0.10, "agriculture": 0.20, "grass": 0.05}
WOODY = ("forest", "scrub")
WOODY_CARRIES = 0.9  # of forest and scrub; the rest are gaps, which become unburnt islands
PATCHES = (60.0, 25.0, 12.0)  # metres, wavelengths of what is dry and what is not


@dataclass(frozen=True, slots=True, eq=False)
class Fuel:
    """What a fire finds in a city.

    Attributes:
        resistant: bool (b,) buildings of masonry, concrete or with protected walls and roof.
        spared: bool (b,) buildings that never catch fire from others: defended, or by luck.
        crowns: bool (t,) trees that pass a fire on; the others are only scorched by it.
        patches: a lattice whose vertices are the middles of square patches of ground.
        head: (rows, columns) of ``patches``: share of the wind's speed that a fire runs at, 0 where nothing carries it.
    """

    resistant: Mask
    spared: Mask
    crowns: Mask
    patches: Terrain
    head: Floats


@dataclass(frozen=True, slots=True)
class Dryness:
    """How much of a city burns, all shares 0-1.

    Attributes:
        resistant: of the buildings; ``styles`` overrides it for buildings of the styles it names.
        spared: of the buildings.
        crowns: of the trees that pass fire on.
        cured: of grass and crops that are dry enough to burn, in patches.
    """

    resistant: float = 0.2
    spared: float = 0.05
    crowns: float = 0.3
    cured: float = 0.35
    styles: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, share in [(n, getattr(self, n)) for n in ("resistant", "spared", "crowns", "cured")] + sorted(
            self.styles.items()
        ):
            if not 0 <= share <= 1:
                raise HazardError(f"no share of what burns: {name}", expected="0 to 1", found=f"{share}")


def draw_fuel(city: City, rng: np.random.Generator, dryness: Dryness) -> Fuel:
    """Draw which buildings resist or are spared, which trees carry fire and which patches of ground are dry.

    Raises:
        HazardError: the city has no terrain.
    """
    if city.terrain is None:
        raise HazardError(f"the city {city.name} has no ground to burn", expected="a completed city")
    resistant_rng, spared_rng, tree_rng, ground_rng = rng.spawn(4)
    share = np.array([dryness.styles.get(b.style, dryness.resistant) for b in city.buildings], float)
    west, south, east, north = city.terrain.bounds
    cell = max(CELL, float(np.sqrt((east - west) * (north - south) / MOST_CELLS)))
    patches = lattice(city.terrain.bounds, cell)
    return Fuel(
        resistant=resistant_rng.random(len(share)) < share,
        spared=spared_rng.random(len(share)) < dryness.spared,
        crowns=tree_rng.random(len(city.trees)) < dryness.crowns,
        patches=patches,
        head=_carrying(ground_rng, city, patches, dryness.cured),
    )


def _carrying(rng: np.random.Generator, city: City, patches: Terrain, cured: float) -> Floats:
    """The head fire's share of the wind on each patch, 0 where it is no vegetation, green or built over."""
    head, woody = _vegetation(city, patches)
    noise = undulation(rng, patches, PATCHES, 1.0)
    carries = np.zeros(head.shape, bool)
    for group, share in (((head > 0) & woody, WOODY_CARRIES), ((head > 0) & ~woody, cured)):
        if group.any() and share > 0:
            carries |= group & (noise <= np.quantile(noise[group], share))
    return np.where(carries, head, 0.0)


def _vegetation(city: City, patches: Terrain) -> tuple[Floats, Mask]:
    """The share of the wind by the uppermost cover, and where that is forest or scrub."""
    shape, transform = patches.heights.shape, raster_of(patches)
    names = ["", *HEAD]
    cover = np.zeros(shape, np.uint8)
    covers = [(p.outline, names.index(p.cover) if p.cover in HEAD else 0) for p in city.land]
    if covers:
        cover = rasterize(covers, out_shape=shape, transform=transform, dtype="uint8")
    cover[within(patches, _sealed(city))] = 0
    return np.array([0.0, *HEAD.values()])[cover], np.isin(cover, [names.index(name) for name in WOODY])


def _sealed(city: City) -> list[object]:
    """What carries no fire along the ground: buildings (they have their own rule), roads, tracks and water."""
    shapes = [b.footprint for b in city.buildings] + [w.outline for w in city.water]
    shapes += [e.line.buffer(e.width / 2, quad_segs=2) for e in city.roads.edges if on_view(e)]
    shapes += [trackbed(r) for r in city.railways if not r.tunnel]
    return [shape for shape in (*shapes, *(plan(s) for s in city.structures)) if not shape.is_empty]
