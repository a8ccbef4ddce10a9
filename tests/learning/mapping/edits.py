"""Products as an analyst's desk has them: GeoPackages with the layers that may be edited, and edits of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyogrio
import shapely

from mage.learning.mapping.corrected_roads import STATES
from mage.learning.mapping.findings import Buildings, Observed

PREFIX = "EMSR123_AOI02_GRA_PRODUCT"


def write_product(path, findings, *, edit=None, prefix=PREFIX):
    """The product of some findings as one GeoPackage, after ``edit`` changed its tables, which are dicts of columns
    with ``geometry`` among them, by layer.
    """
    tables = {
        "builtUpA": _buildings(findings.buildings),
        "observedEventA": _extents(findings.observed),
        "imageFootprintA": {"geometry": [findings.seen], "obj_type": ["Image Footprint"]},
    }
    if findings.access is not None:
        tables["transportationL"] = _roads(findings.access)
    if edit is not None:
        edit(tables)
    path.unlink(missing_ok=True)
    for name, table in tables.items():
        _write(path, f"{prefix}_{name}_r1_v1", table, findings.grid.crs)
    return path


def row_of(table, identity):
    """Position of a feature."""
    return list(table["id"]).index(identity)


def add(table, geometry, **values):
    """A feature more, with nothing said but ``values``."""
    table["geometry"].append(geometry)
    for name, column in table.items():
        if name != "geometry":
            column.append(values.get(name))


def drop(table, identity):
    """A feature less."""
    row = row_of(table, identity)
    for column in table.values():
        del column[row]


def _buildings(buildings: Buildings):
    return {
        "geometry": list(buildings.outline),
        "id": buildings.identity.tolist(),
        "name": [name or "Unknown" for name in buildings.name.tolist()],
        "notation": [kind or "Not Applicable" for kind in buildings.kind.tolist()],
        "damage_gra": buildings.verdict.tolist(),
        "det_method": buildings.method.tolist(),
        "p_damaged": buildings.damaged.round(6).tolist(),
    }


def _extents(observed: Observed):
    every = [(extent, k) for extent in observed.extents for k in range(len(extent.outline))]
    return {
        "geometry": [extent.outline[k] for extent, k in every],
        "id": [f"{extent.what}/{k + 1}" for extent, k in every],
        "obj_desc": [str(extent.words[k]) for extent, k in every],
    }


def _roads(access):
    shut = [tuple((p >= 0.5).astype(float)) for p in np.stack([access.car, access.truck], 1)]
    known = np.isfinite(access.car)
    words = [next(w for w, s in STATES.items() if s == pair) for pair in shut]
    return {
        "geometry": list(access.roads.lines),
        "id": [str(k) for k in range(len(access.roads))],
        "name": list(access.roads.name),
        "det_method": ["Automatic extraction"] * len(access.roads),
        "passable": [word if is_known else "Not Analysed" for word, is_known in zip(words, known, strict=True)],
        "p_block_car": access.car.tolist(),
        "p_block_truck": access.truck.tolist(),
    }


def _write(path, layer, table, crs):
    shapes = table["geometry"]
    kind = "LineString" if layer.endswith("L_r1_v1") else "MultiPolygon"
    wkb = np.array([None if s is None else shapely.to_wkb(_many(s, kind)) for s in shapes], dtype=object)
    names = [name for name in table if name != "geometry"]
    columns = [_column(table[name]) for name in names]
    options = {"append": True} if path.exists() else {}
    pyogrio.raw.write(path, wkb, columns, names, layer=layer, driver="GPKG", geometry_type=kind, crs=crs, **options)


def _many(shape, kind):
    return shapely.MultiPolygon([shape]) if kind == "MultiPolygon" and shape.geom_type == "Polygon" else shape


def _column(values):
    numeric = all(isinstance(value, float) for value in values) and values
    return np.array(values, float if numeric else object)


def corrected(findings, found):
    """Findings with parts that were corrected, to write the next product of."""
    buildings, observed, closures, log = found
    access = replace(findings.access, car=closures.over(findings.access.car, findings.access.truck)[0],
                     truck=closures.over(findings.access.car, findings.access.truck)[1])  # fmt: skip
    return replace(findings, buildings=buildings, observed=observed, access=access, corrections=log)
