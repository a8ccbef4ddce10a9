"""The observed event as an analyst has it: extents as they were drawn, and rasters that say the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.edited import by_whom, words
from mage.learning.mapping.findings import Extent, Observed
from mage.learning.mapping.redrawn import mean_within, redraw, typical
from mage.learning.mapping.vectors import Features
from mage.scenes.grid import Grid

Floats = NDArray[np.float64]

RASTERS = {"flood": ("flood", "depth"), "burn": ("burn",), "debris": ("debris",)}  # that show an extent
VALUE = {"flood": "depth", "burn": "burn", "debris": "debris"}  # the raster whose mean is an extent's value
MEANT = {  # what words of an analyst's own mean
    "flood": ("flood", "water", "inundat", "tsunami"),
    "burn": ("burn", "fire"),
    "debris": ("debris", "rubble"),
}
WORDS = {"flood": "Riverine flood", "burn": "Forest fire", "debris": "Debris"}  # where neither file nor run has some
# what a raster shows where somebody drew, if it shows nothing elsewhere: metres of water that stop every vehicle
ELSE = {"depth": 0.5, "burn": 0.5}


def correct_extents(edited: Features, observed: Observed, grid: Grid) -> tuple[Observed, list[str]]:
    """The observed event with extents as a file has them, and a line of each that differs; see
    :func:`~mage.learning.mapping.corrections.apply_corrections`.

    Only what was looked for can be corrected. What was drawn anew is flooded or covered with debris for certain; its
    depth or severity is the median of what was found elsewhere.

    Args:
        edited: the file's layer observedEventA.
        observed: as found.
        grid: of the rasters.

    Raises:
        DatasetError: a raster cannot be read or written, or is not on the grid.
    """
    kinds, log = _kinds(edited, observed)
    extents, rasters, who = [], dict(observed.rasters), by_whom(edited)
    for extent in observed.extents:
        rows = [row for row, kind in enumerate(kinds) if kind == extent.what]
        drawn, found = (shapely.union_all(shapes) for shapes in (edited.geometry[rows], extent.outline))
        more, less = shapely.difference(drawn, found), shapely.difference(found, drawn)
        if more.area + less.area < grid.gsd**2:
            extents.append(extent)
            continue
        by = next((who[row] for row in rows if who[row]), "")
        log.append(f"{extent.what}: {_hectares(more)} added, {_hectares(less)} taken away{by}")
        for name in RASTERS[extent.what]:
            if name in rasters:
                value = typical(rasters[name], ELSE[name]) if name in ELSE else 1.0
                rasters[name] = redraw(rasters[name], grid, more, less, value)
        extents.append(_extent(extent, edited, rows, grid, rasters.get(VALUE[extent.what])))
    return replace(observed, extents=tuple(extents), rasters=rasters), log


def kinds_of(features: Features) -> list[str]:
    """What each polygon of an observed event is an extent of, by its ``id``, ``notation`` or ``obj_desc``; empty where
    none of them tells.

    >>> told = {"id": np.array(["flood/1", "", ""]), "obj_desc": np.array(["", "Forest fire", "Landslide"])}
    >>> kinds_of(Features(np.array([shapely.box(0, 0, 1, 1)] * 3), told))
    ['flood', 'burn', '']
    """
    told = zip(*(words(features, name) for name in ("id", "notation", "obj_desc")), strict=True)
    return [next(filter(None, map(_meant, said)), "") for said in told]


def _meant(said: str) -> str:
    return next((what for what, parts in MEANT.items() if any(part in said.lower() for part in parts)), "")


def _kinds(edited: Features, observed: Observed) -> tuple[list[str], list[str]]:
    """What each polygon is an extent of; one that does not tell is of what alone was found, if one thing was."""
    there = [extent.what for extent in observed.extents]
    only = [extent.what for extent in observed.extents if len(extent.outline)] or there
    kinds, log = [], []
    for identity, meant in zip(words(edited, "id"), kinds_of(edited), strict=True):
        kind = meant or (only[0] if len(only) == 1 else "")
        if kind not in there:
            reason = f"{kind} was not looked for" if kind else "neither notation nor obj_desc tells what it is of"
            log.append(f"extent {identity or 'without id'}: left alone, {reason}")
            kind = ""
        kinds.append(kind)
    return kinds, log


def _extent(found: Extent, edited: Features, rows: list[int], grid: Grid, raster: Path | None) -> Extent:
    """An extent as drawn; a polygon that is as it was found keeps its value."""
    outline = edited.geometry[rows]
    said, common = [words(edited, "obj_desc")[row] for row in rows], _commonest(found)
    value = np.array([_value(shape, found, raster, grid) for shape in outline], float)
    return Extent(found.what, outline, value, np.array([word or common for word in said], str))


def _commonest(found: Extent) -> str:
    names, counts = np.unique(found.words, return_counts=True)
    return str(names[counts.argmax()]) if len(names) else WORDS[found.what]


def _value(shape: shapely.Geometry, found: Extent, raster: Path | None, grid: Grid) -> float:
    same = np.flatnonzero(shapely.hausdorff_distance(found.outline, shape) < grid.gsd / 10)
    if len(same):
        return float(found.value[same[0]])
    return np.nan if raster is None else mean_within(raster, grid, shape)


def _hectares(shape: shapely.Geometry) -> str:
    return f"{shape.area / 1e4:.2f} ha"
