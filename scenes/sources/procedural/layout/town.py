"""A whole place laid out: streets, blocks between them, and what each layout builds on a block."""

from __future__ import annotations

import numpy as np
import shapely
from shapely.geometry import Polygon

from mage.scenes.city import RoadGraph
from mage.scenes.layouts import Apartments, Downtown, Estate, Informal, Lots, Perimeter, Village
from mage.scenes.sources.procedural.layout.apartments import fill_apartments
from mage.scenes.sources.procedural.layout.built import Built, disjoint
from mage.scenes.sources.procedural.layout.country import country
from mage.scenes.sources.procedural.layout.downtown import fill_downtown
from mage.scenes.sources.procedural.layout.estate import fill_estate, siding
from mage.scenes.sources.procedural.layout.informal import fill_informal
from mage.scenes.sources.procedural.layout.lanes import blocks, grid_streets, region, village_streets, winding_streets
from mage.scenes.sources.procedural.layout.lots import fill_lots
from mage.scenes.sources.procedural.layout.perimeter import fill_perimeter, square
from mage.scenes.sources.procedural.layout.village import fill_village
from mage.scenes.style import Style

TURNS = {"perimeter": 0.2, "apartments": 0.1, "lots": 0.07, "informal": 0.3, "estate": 0.05}  # radians
SQUARE = (700.0, 5000.0)  # m² of a block that may be a square
TRUNK = 260.0  # metres from the middle of a village at which its last houses stand


def lay_out(rng: np.random.Generator, style: Style, domain: Polygon, closed: Polygon) -> tuple[RoadGraph, Built]:
    """Streets, and what is built and laid between them, within ``domain`` (local metres) and off ``closed`` ground.

    The streets are one network; where closed ground parts the domain, the larger part is built on and the rest is
    open country.
    """
    ground = region(domain, closed)
    if isinstance(style.layout, Village):
        return _village(rng, style, style.layout, domain.difference(closed), ground)
    street_rng, country_rng, block_rng = rng.spawn(3)
    if isinstance(style.layout, Downtown):
        roads = grid_streets(street_rng, style.streets, ground)
    else:
        roads = winding_streets(street_rng, style.streets, ground, TURNS[style.layout.kind])
    town = country(country_rng, style, domain.difference(closed).difference(ground.buffer(6.0)))
    town.cover(ground, style.courtyards)
    faces = blocks(roads, ground, style.pavement)
    faces.sort(key=lambda b: b.centroid.coords[0])
    fill(block_rng, style, faces, town)
    town.bodies = disjoint(town.bodies)
    return roads, town


def fill(rng: np.random.Generator, style: Style, faces: list[Polygon], town: Built) -> None:
    """Build on every block."""
    layout = style.layout
    special = _squares(rng, layout, faces) if isinstance(layout, Perimeter) else {}
    if isinstance(layout, Estate) and rng.random() < layout.siding:
        railway, bed = siding(rng, faces)
        if railway is not None:
            town.railways.append(railway)
            town.cover(bed, "ballast")
            clear = bed.buffer(3.0)
            faces = [p for f in faces for p in shapely.get_parts(f.difference(clear)) if p.area > 100]
    for i, (block, quarter) in enumerate(zip(faces, rng.spawn(len(faces)), strict=True)):
        if i in special:
            town.add(square(quarter, style, block, church=special[i]))
        else:
            town.add(_block(quarter, style, block))


def _block(rng: np.random.Generator, style: Style, block: Polygon) -> Built:
    match style.layout:
        case Perimeter() as layout:
            return fill_perimeter(rng, style, layout, block)
        case Downtown() as layout:
            return fill_downtown(rng, style, layout, block)
        case Apartments() as layout:
            return fill_apartments(rng, style, layout, block)
        case Lots() as layout:
            return fill_lots(rng, style, layout, block)
        case Informal() as layout:
            return fill_informal(rng, style, layout, block)
        case Estate() as layout:
            return fill_estate(rng, style, layout, block)
    raise ValueError(f"the layout {style.layout.kind} has no blocks")


def _squares(rng: np.random.Generator, layout: Perimeter, faces: list[Polygon]) -> dict[int, bool]:
    """Which blocks are squares, and whether a church stands on each: the first one near the middle of the place."""
    fit = [i for i, b in enumerate(faces) if SQUARE[0] < b.area < SQUARE[1]]
    if not fit:
        return {}
    middle = shapely.multipolygons(faces).centroid
    area = sum(b.area for b in faces) / 1e6
    nearest = sorted(fit, key=lambda i: (faces[i].distance(middle), i))[:4]
    count = max(1, round(layout.squares * len(faces)))
    chosen = [nearest[0], *[int(i) for i in rng.permutation(fit) if i != nearest[0]]][:count]
    churches = max(1, int(rng.poisson(layout.churches * area))) if layout.churches > 0 else 0
    large = sorted(chosen, key=lambda i: -faces[i].area)[:churches]
    return {i: i in large for i in chosen}


def _village(
    rng: np.random.Generator, style: Style, layout: Village, land: Polygon, ground: Polygon
) -> tuple[RoadGraph, Built]:
    street_rng, lot_rng, country_rng = rng.spawn(3)
    reach = min(TRUNK, 0.42 * float(np.sqrt(ground.area)))
    roads = village_streets(street_rng, style.streets, ground, reach)
    built, lots = fill_village(lot_rng, style, layout, roads, ground, reach)
    corridors = shapely.union_all([e.line.buffer(e.width / 2 + style.pavement + 1.5) for e in roads.edges])
    town = country(country_rng, style, land.difference(shapely.union_all([lots.buffer(1.0), corridors])))
    town.cover(corridors, "grass")
    town.add(built)
    town.bodies = disjoint(town.bodies)
    return roads, town
