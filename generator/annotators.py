"""What people would have drawn: whole footprints on the image before, copied to that after as they are, and graded.

Annotators of xBD outlined what they took for buildings before the disaster and laid the same polygons over the image
after, whichever way that leans or is displaced (Gupta et al. 2019). Their polygons run on under crowns, enclose courts,
join rows of houses, leave out most sheds and garages, and follow walls to a pixel or so, rather without than within.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mage.generator.covers import burn
from mage.generator.place import Place
from mage.generator.rings import parts_of
from mage.generator.sight import Sight
from mage.generator.viewed import rings_within, shape_in
from mage.scenes.dataset.schema import AnnotationRecord
from mage.scenes.grades import bright_of_roof, jds_of_roof, jds_of_structure
from mage.scenes.grid import Grid
from mage.scenes.impact import Impact

ANNOTATOR_STREAM = 72  # of a sample

# by eye on xBD's Harvey, where rows are joined and corners lie a pixel or two beside those of the roofs
TOUCHING = (1.0, 4.0)  # pixels between walls that a person takes for those of one row
JOINED = 0.6  # share of such neighbours that are drawn as one
MARGIN, CORNERS, WHOLE = 0.8, 0.7, 0.5  # pixels: simplification, and jitter of a corner and of a whole outline
SMALLEST = 16.0  # square pixels of what is worth an outline
# Ida-BD: 95 in 100 outlines are larger than 0.7 times the median one, though sheds stand in its gardens; they reach 1
# to 2 px beyond the roofs
OUTBUILDING, LEFT_OUT = 0.33, 0.8  # of the image's median building, and the share of smaller ones that nobody outlines
WIDE = 1.6  # pixels that all outlines of an image reach beyond the roofs at most

Labels = dict[str, NDArray[Any]]


def annotate(
    place: Place, sight: Sight, present: Sequence[int], impact: Impact, policy: str, rng: np.random.Generator
) -> tuple[Labels, list[AnnotationRecord]]:
    """Annotators' rasters and polygons of a sample.

    Args:
        place: the place.
        sight: that of the image before, on which outlines are drawn.
        present: indices of the buildings in the image, in the order of their numbers in the exact labels.
        impact: what became of them.
        policy: ``xbd``, ``roof`` or ``bright``, see :func:`grades_by`.
        rng: draws which rows are joined, which outbuildings are left out, and where corners come to lie.

    Returns:
        ``pre_annotated`` uint16 (rows, columns), an outline's number or 0, and ``post_annotated`` uint8, its grade or
        0; and the outlines, which are numbered from 1, the largest first.
    """
    shapes = [shape_in(place.city.buildings[i], sight, roof=True) for i in present]
    grades = grades_by(policy, impact)
    touching, wide = rng.uniform(*TOUCHING), rng.uniform(0.0, WIDE)
    drawn = []
    for group in _worthwhile(_rows(shapes, touching, rng), shapes, rng):
        outline = _outlined(shapely.union_all([shapes[i] for i in group]), touching, wide, rng)
        rings = rings_within(outline, sight.grid)
        if rings and shapely.area(_polygon(rings)) >= SMALLEST:
            drawn.append((rings, group))
    drawn.sort(key=lambda entry: -float(shapely.area(_polygon(entry[0]))))
    records = [
        AnnotationRecord(
            id=n + 1,
            polygons_px=rings,
            buildings=[i + 1 for i in group],
            grade=int(max(grades[present[i]] for i in group)),
        )
        for n, (rings, group) in enumerate(drawn)
    ]
    # in pixels, rows run downwards
    pixels = Grid(sight.grid.rows, sight.grid.columns, 0.0, 0.0, 1.0)
    flipped = [shapely.transform(_polygon(r.polygons_px), lambda xy: xy * (1.0, -1.0)) for r in records]
    number = burn(flipped, [r.id for r in records], pixels, "uint16").astype(np.uint16)
    of_outline = np.array([0, *(r.grade for r in records)], np.uint8)
    return {"pre_annotated": number, "post_annotated": of_outline[number]}, records


def grades_by(policy: str, impact: Impact) -> NDArray[np.uint8]:
    """Grade (n,) of every building by an annotators' policy, as rasters hold it.

    ``xbd``: Joint Damage Scale plus 1 by all that is visible, water around a house included; ``roof``: the same scale
    by roofs alone, so that a house in water whose roof is whole has no damage, as in Ida-BD; ``bright``: BRIGHT's 1
    intact, 2 damaged, 3 destroyed, by roofs alone too.
    """
    if policy == "xbd":
        return (impact.jds + 1).astype(np.uint8)
    structure = np.zeros(len(impact.jds), np.uint8)
    if impact.shock is not None:
        strike, left = impact.shock.strike, impact.shock.aftermath
        structure = jds_of_roof(strike.burn, strike.deck_lost, jds_of_structure(left.visible))
    flooded = "flood" in impact.hazard.split("-")
    roof = np.where(impact.jds == 3, impact.jds, structure) if flooded else impact.jds
    return bright_of_roof(roof) if policy == "bright" else (roof + 1).astype(np.uint8)


def _rows(shapes: list[shapely.Geometry], touching: float, rng: np.random.Generator) -> list[list[int]]:
    """Which shapes are drawn as one: some of those that touch, and what they touch in turn."""
    if not shapes:
        return []
    one, other = shapely.STRtree(shapes).query(shapes, predicate="dwithin", distance=touching)
    once = one < other
    pairs = np.unique(np.stack([one[once], other[once]], axis=1), axis=0)
    pairs = pairs[rng.random(len(pairs)) < JOINED]
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(shapes), len(shapes)))
    count, label = connected_components(links, directed=False)
    return [np.flatnonzero(label == k).tolist() for k in range(count)]


def _worthwhile(rows: list[list[int]], shapes: list[shapely.Geometry], rng: np.random.Generator) -> list[list[int]]:
    """The rows without most of those that are outbuildings beside what else the image shows."""
    if not rows:
        return []
    sizes = np.array([sum(shapes[i].area for i in row) for row in rows])
    kept = (sizes >= OUTBUILDING * np.median(sizes)) | (rng.random(len(rows)) >= LEFT_OUT)
    return [row for row, keep in zip(rows, kept, strict=True) if keep]


def _outlined(shape: shapely.Geometry, touching: float, wide: float, rng: np.random.Generator) -> shapely.Geometry:
    """A shape as drawn by hand: ``wide`` pixels beyond itself, courts and slits of ``touching`` pixels closed, few
    corners, each a little beside its place.
    """
    grown = shapely.buffer(shape, touching + wide, join_style="mitre")
    closed = shapely.buffer(grown, -touching, join_style="mitre")
    polygons = []
    for part in parts_of(closed, "Polygon"):
        corners = shapely.get_coordinates(shapely.simplify(shapely.Polygon(part.exterior), MARGIN))[:-1]
        moved = corners + rng.normal(0, WHOLE, 2) + rng.normal(0, CORNERS, corners.shape)
        polygons += parts_of(shapely.make_valid(shapely.Polygon(moved)), "Polygon") if len(moved) > 2 else []
    return shapely.union_all(polygons)


def _polygon(rings: list[list[Any]]) -> shapely.Geometry:
    """The polygons of a record as one geometry."""
    return shapely.union_all([shapely.make_valid(shapely.Polygon(r[0], r[1:])) for r in rings if len(r[0]) > 3])
