"""What the report's script draws, in JSON: places are whole decimetres to the right of and below the map's corner."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.findings import Buildings, Findings
from mage.learning.mapping.product import names
from mage.learning.mapping.product.drawing import (
    EXTENTS,
    HOT,
    ISOLATED,
    ROADS,
    ROUTE,
    START,
    VERDICTS,
    Small,
    is_cell,
    ranked,
    road_states,
    simplified,
    symbol,
)
from mage.learning.mapping.product.layers import hot_spots
from mage.learning.mapping.product.turns import turns
from mage.scenes.grades import JDS_NAMES
from mage.scenes.grid import Grid

GRADE_COLOURS = [VERDICTS[name] for name in (names.UNDAMAGED, names.POSSIBLY, names.DAMAGED, names.DESTROYED)]
TOLERANCE = 0.2  # metres by which outlines may be simplified
Rings = list[list[int]]


def payload(findings: Findings, images: dict[str, Small | Grid]) -> dict[str, Any]:
    """All that the map of the report needs but the images; of those, by name, where they lie."""
    grid = findings.grid
    access = findings.access
    return {
        "product": str(findings.event.product),
        "west": grid.west,
        "north": grid.north,
        "pixel": max((where(image).gsd for name, image in images.items() if name != "density"), default=grid.gsd),
        "size": [round(grid.columns * grid.gsd * 10), round(grid.rows * grid.gsd * 10)],
        "frames": {name: frame(where(image), grid) for name, image in images.items()},
        "colours": {
            "hot": HOT,
            "isolated": ISOLATED,
            "route": ROUTE,
            "start": START,
            "worst": VERDICTS[names.DESTROYED],
        },
        "densest": round(float(findings.density.max(initial=0))),
        "grades": [
            {"name": name, "colour": colour}
            for name, colour in zip(grade_names(findings), _colours(findings), strict=True)
        ],
        "verdicts": _coloured(VERDICTS.items()),
        "states": _coloured(ROADS.items()),
        "events": _coloured(EXTENTS[extent.what] for extent in findings.observed.extents),
        "area": rings(findings.area, grid),
        "buildings": _buildings(findings.buildings, grid),
        "extents": [
            {"event": number, "rings": rings(outline, grid)}
            for number, extent in enumerate(findings.observed.extents)
            for outline in simplified(extent.outline, TOLERANCE)
        ],
        "hot": [rings(part, grid) for part in simplified(hot_spots(findings), TOLERANCE)],
        "areas": [
            {
                "name": area.name.partition(" (")[0] if is_cell(area) else area.name,
                "damaged": round(area.damaged, 2),
                "rings": rings(area.outline, grid),
            }
            for _, area in ranked(findings)
        ],
        "changes": [
            {
                "name": f"{turn.word} since {turn.since}: {turn.amount}",
                "colour": turn.colour,
                "rings": [ring for shape in simplified(turn.outlines, TOLERANCE) for ring in rings(shape, grid)],
                "lines": [steps(shapely.get_coordinates(line), grid) for line in turn.lines],
            }
            for turn in turns(findings)
        ],
        "isolated": [rings(part, grid) for part in access.isolated] if access else [],
        "roads": _roads(findings, grid),
        "route": steps(shapely.get_coordinates(access.route.line), grid) if access and access.route else None,
        "starts": [_place(place, grid) for place in access.roads.nodes[access.starts]] if access else [],
        "facilities": _facilities(findings, grid),
    }


def in_script(value: Any) -> str:
    """JSON that may stand within an HTML page, whatever words are in it, and with NaN for nothing."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def grade_names(findings: Findings) -> list[str]:
    """Of each grade that the model tells, from none to the worst."""
    count = findings.buildings.grades.shape[1]
    if count == len(JDS_NAMES):
        return [name.replace("-", " ").capitalize() for name in JDS_NAMES]
    return [f"Grade {number}" for number in range(count)]


def where(image: Small | Grid) -> Grid:
    """The grid of an image."""
    return image.grid if isinstance(image, Small) else image


def frame(image: Grid, grid: Grid) -> list[float]:
    """Left, top, width and height of an image on the map."""
    left, top = _place(np.array([image.west, image.north]), grid)
    return [left, top, image.columns * image.gsd * 10, image.rows * image.gsd * 10]


def rings(shape: shapely.Geometry, grid: Grid) -> Rings:
    """All rings of polygons, see :func:`steps`."""
    return [steps(shapely.get_coordinates(ring), grid) for ring in shapely.get_rings(shapely.get_parts(shape))]


def steps(points: NDArray[np.float64], grid: Grid) -> list[int]:
    """The first place, and from each to the next: x, y, dx, dy, dx, dy and so on."""
    places = np.rint(grid.to_pixel(points) * grid.gsd * 10).astype(np.int64)
    return np.diff(places, axis=0, prepend=0).ravel().tolist() if len(places) else []


def _colours(findings: Findings) -> list[str]:
    count = findings.buildings.grades.shape[1]
    at = np.rint(np.linspace(0, len(GRADE_COLOURS) - 1, count)).astype(int)
    return [GRADE_COLOURS[k] for k in at]


def _coloured(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "colour": colour} for name, colour in pairs]


def _place(point: NDArray[np.float64], grid: Grid) -> list[int]:
    return [int(value) for value in np.rint(grid.to_pixel(point) * grid.gsd * 10)]


def _buildings(buildings: Buildings, grid: Grid) -> list[dict[str, Any]]:
    order = {name: number for number, name in enumerate(VERDICTS)}
    hot = buildings.hot
    found = []
    for k, outline in enumerate(simplified(buildings.outline, TOLERANCE)):
        known = bool(np.isfinite(buildings.grades[k]).all())
        entry: dict[str, Any] = {
            "id": str(buildings.identity[k]),
            "name": str(buildings.name[k]),
            "kind": str(buildings.kind[k]),
            "method": str(buildings.method[k]),
            "verdict": order[str(buildings.verdict[k])],
            "p": [round(float(p), 3) for p in buildings.grades[k]] if known else None,
            "entropy": _figure(buildings.entropy[k]),
            "valid": _figure(buildings.valid[k]),
            "hot": None if hot is None else bool(hot.hot[k]),
            "q": None if hot is None else float(f"{hot.q[k]:.2g}"),
            "rings": rings(outline, grid),
        }
        if buildings.reached is not None:
            entry["reached"] = _figure(buildings.reached[k])
        if buildings.seconds is not None:
            entry["seconds"] = -1 if np.isinf(buildings.seconds[k]) else _figure(buildings.seconds[k], 0)
        found.append(entry)
    return found


def _roads(findings: Findings, grid: Grid) -> list[dict[str, Any]]:
    access = findings.access
    if access is None:
        return []
    roads, order = access.roads, {name: number for number, name in enumerate(ROADS)}
    states, metres = road_states(access), roads.length
    return [
        {
            "name": roads.name[k] if roads.name else "",
            "kind": roads.kind[k] if roads.kind else "",
            "state": order[str(states[k])],
            "car": _figure(access.car[k]),
            "truck": _figure(access.truck[k]),
            "metres": round(float(metres[k])),
            "rings": [steps(shapely.get_coordinates(line), grid)],
        }
        for k, line in enumerate(roads.lines)
    ]


def _facilities(findings: Findings, grid: Grid) -> list[dict[str, Any]]:
    facilities = findings.access.facilities if findings.access else None
    if facilities is None:
        return []
    return [
        {"at": _place(point, grid), "kind": str(kind), "name": str(name), "letter": symbol(str(kind))}
        for point, kind, name in zip(facilities.points, facilities.kind, facilities.name, strict=True)
    ]


def _figure(value: float, digits: int = 3) -> float | None:
    """A number of JSON; NaN, not known, as null."""
    return round(float(value), digits) if np.isfinite(value) else None
