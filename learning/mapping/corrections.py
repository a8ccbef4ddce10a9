"""An analyst's edits of a product: what a GeoPackage that was edited in QGIS changes in what was found.

A copy of the product is edited: grades of buildings, their outlines, extents of the event, states of roads. Nothing in
such a file says what was edited. So it is laid beside what the same run finds of itself: where the two differ somebody
edited, and a building or road whose ``det_method`` is "Photo-interpretation" somebody looked at. To apply a file twice
is to apply it once, and a copy of a product that was corrected before carries those corrections on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mage.learning.mapping.corrected_buildings import correct_buildings
from mage.learning.mapping.corrected_extents import correct_extents
from mage.learning.mapping.corrected_roads import Closures, correct_roads
from mage.learning.mapping.findings import Access, Buildings, Observed
from mage.learning.mapping.roads import Roads
from mage.learning.mapping.vectors import Features, layer_names, read_features
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

DELINEATION = "DEL"  # a product whose buildings have no grades, though a column for them
LAYERS = {"builtUpA": 2, "observedEventA": 2, "transportationL": 1}  # that may be edited, and their dimension


@dataclass(frozen=True, slots=True, eq=False)
class Corrections:
    """Layers of a product as somebody left them, in the frame of a map; None for a layer that is not in the file.

    Attributes:
        path: the file.
        grid: the map's.
        buildings: builtUpA, with ``id``, ``damage_gra`` and ``det_method``.
        extents: observedEventA, with ``id``, ``notation`` and ``obj_desc``.
        roads: transportationL, with ``id``, ``passable``, ``p_block_car`` and ``p_block_truck``.
    """

    path: Path
    grid: Grid
    buildings: Features | None
    extents: Features | None
    roads: Features | None


def read_corrections(path: Path, grid: Grid) -> Corrections:
    """The layers of an edited GeoPackage that count, by the names that Copernicus EMS gives them
    (``EMSR385_AOI06_GRA_PRODUCT_builtUpA_r1_v1``), moved to the grid's frame.

    Raises:
        DatasetError: no such file, no GeoPackage, none of these layers in it, or one of them twice; or as of
            :func:`~mage.learning.mapping.vectors.read_features`.
    """
    names = layer_names(path)
    found: dict[str, Features] = {}
    for feature, dimension in LAYERS.items():
        named = [name for name in names if feature.lower() in name.lower().split("_")]
        if len(named) > 1:
            raise DatasetError(f"two layers are called {feature}", file=path, found=", ".join(named))
        if named:
            found[feature] = read_features(path, grid.crs, dimension, named[0])
            if DELINEATION in named[0].upper().split("_") and feature == "builtUpA":
                found[feature] = _ungraded(found[feature])
    if not found:
        expected = f"one whose name holds {', '.join(LAYERS)}, as in the product"
        raise DatasetError("no layer of a product is in the file", file=path, expected=expected, found=", ".join(names))
    return Corrections(path, grid, *(found.get(feature) for feature in LAYERS))


def apply_corrections(
    corrections: Corrections,
    buildings: Buildings,
    observed: Observed,
    roads: Roads | None,
    access: Access | None = None,
) -> tuple[Buildings, Observed, Closures, tuple[str, ...]]:
    """What was found, with an analyst's edits, and a line of each edit.

    Buildings: a grade that differs is taken over, as certain: see
    :func:`~mage.learning.mapping.corrected_buildings.certain`; such a building, and one that is added (without an
    ``id``), is "Photo-interpretation". One whose outline alone differs is "Semi-automatic extraction", one that is
    missing is left out. Extents: what was drawn is the event; its rasters are written anew beside those that were
    found, as ``NAME_corrected.tif``. Roads: ``passable`` and the probabilities of being closed, see
    :func:`~mage.learning.mapping.corrected_roads.correct_roads`.

    What depends on any of it (``hot``, ``reached``, ``seconds``) is to be computed anew.

    Args:
        corrections: of :func:`read_corrections`.
        buildings: as the run found them, without corrections.
        observed: likewise.
        roads: likewise; None where there are none.
        access: over these roads, as found without corrections.

    Raises:
        DatasetError: the file is of another product, its words are not of their domain, or it contradicts itself.
    """
    log: list[str] = []
    if corrections.buildings is not None:
        buildings, lines = correct_buildings(corrections.buildings, buildings, corrections.path)
        log += lines
    elif len(buildings):
        log.append("no layer builtUpA in the corrections: buildings stay as they were found")
    if corrections.extents is not None:
        observed, lines = correct_extents(corrections.extents, observed, corrections.grid)
        log += lines
    closures = Closures(_none(roads), _none(roads))
    if corrections.roads is not None and roads is not None:
        closures, lines = correct_roads(corrections.roads, roads, access, corrections.path)
        log += lines
    return buildings, observed, closures, tuple(log)


def _ungraded(features: Features) -> Features:
    kept = {name: column for name, column in features.attributes.items() if name != "damage_gra"}
    return Features(features.geometry, kept, features.left_out)


def _none(roads: Roads | None) -> NDArray[np.float64]:
    return np.full(0 if roads is None else len(roads), np.nan)
