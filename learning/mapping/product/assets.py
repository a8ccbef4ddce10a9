"""C: buildings, facilities and roads with their damage, as Copernicus EMS has them, and with what we know beyond."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.edited import BY_HAND
from mage.learning.mapping.findings import Buildings, Findings
from mage.learning.mapping.product import names
from mage.learning.mapping.product.table import AREA, LINE, POINT, Column, Layer, number, polygons, source_of, text
from mage.learning.mapping.summary import passability, touched, verdict_at

GRADE_FIELDS = ("p_no_damage", "p_minor", "p_major", "p_destroyed")  # where there are the four grades of xBD


def built_up(findings: Findings) -> list[Layer]:
    """C1: buildings, as outlines and as points in them."""
    buildings = findings.buildings
    types = [names.built_type(str(kind)) for kind in buildings.kind]
    columns = {
        "id": text(buildings.identity),
        "obj_type": text(kind for kind, _ in types),
        "name": text(str(name) or names.UNKNOWN for name in buildings.name),
        "info": text(info for _, info in types),
        "damage_gra": text(buildings.verdict),
        "det_method": text(buildings.method),
        "notation": text(str(kind) or names.NOT_APPLICABLE for kind in buildings.kind),
        "or_src_id": source_of(findings.sources, len(buildings), "buildings", "pre", "post"),
        "dmg_src_id": source_of(findings.sources, len(buildings), "post"),
        "in_event": touched(findings.observed, buildings.outline),
        **_graded(buildings),
        **_clustered(buildings),
        **_changed(buildings),
    }
    points = np.array(shapely.points(buildings.points), dtype=object)
    about = "C1: buildings and their damage"
    return [
        Layer("builtUp", AREA, polygons(buildings.outline), columns, about),
        Layer("builtUp", POINT, points, columns, f"{about}, a point in each"),
    ]


def facilities(findings: Findings) -> list[Layer]:
    """C2: places that matter to a rescue, with the damage of the building that they lie in."""
    if findings.access is None or findings.access.facilities is None:
        return []
    places = findings.access.facilities
    points = np.array(shapely.points(places.points), dtype=object)
    types = [names.built_type(str(kind)) for kind in places.kind]
    columns = {
        "id": text(range(1, len(places) + 1)),
        "obj_type": text(kind for kind, _ in types),
        "name": text(str(name) or names.UNKNOWN for name in places.name),
        "info": text(info for _, info in types),
        "damage_gra": text(verdict_at(findings.buildings, points)),
        "det_method": text([names.AUTOMATIC] * len(places)),
        "notation": text(str(kind) or names.NOT_APPLICABLE for kind in places.kind),
        "or_src_id": source_of(findings.sources, len(places), "facilities", "pre", "post"),
        "dmg_src_id": source_of(findings.sources, len(places), "post"),
        "in_event": touched(findings.observed, points),
    }
    return [Layer("facilities", POINT, points, columns, "C2: facilities")]


def transportation(findings: Findings) -> list[Layer]:
    """C3: road edges; ``id`` is an edge's position in the network, which reaches beyond the area."""
    access = findings.access
    if access is None:
        return []
    roads, count = access.roads, len(access.roads)
    lines = np.array(roads.lines, dtype=object)
    kinds, called = roads.kind or ("",) * count, roads.name or ("",) * count
    types = [names.road_type(kind, lifted=bool(up)) for kind, up in zip(kinds, roads.lifted, strict=True)]
    passable = passability(access)
    by_hand = np.zeros(count, bool) if access.stated is None else access.stated
    before, now = (_sooner(seconds, roads.ends) / 60 for seconds in (access.before, access.now))
    reached = access.reached[roads.ends].max(axis=1) if count else np.zeros(0)
    with np.errstate(invalid="ignore"):  # infinite less infinite, where a place was cut off before
        detour = now - before
    columns = {
        "id": text(range(count)),
        "obj_type": text(kind for kind, _ in types),
        "name": text(name or names.UNKNOWN for name in called),
        "info": text(info for _, info in types),
        "damage_gra": text(_road_damage(findings, lines, roads.width, passable)),
        "det_method": text([BY_HAND if hand else names.AUTOMATIC for hand in by_hand]),
        "notation": text(kind or names.NOT_APPLICABLE for kind in kinds),
        "or_src_id": source_of(findings.sources, count, "roads", "pre", "post"),
        "dmg_src_id": source_of(findings.sources, count, "post"),
        "passable": text(passable),
        "p_block_car": number(access.car),
        "p_block_truck": number(access.truck),
        "p_reach": number(reached),
        "minutes": number(now),
        "detour_min": number(detour),
        "length_m": number(roads.length),
        "width_m": number(roads.width),
        "in_area": np.asarray(shapely.intersects(findings.area, lines), dtype=bool),
    }
    return [Layer("transportation", LINE, lines, columns, "C3: roads and what closes them")]


def _graded(buildings: Buildings) -> dict[str, Column]:
    count = buildings.grades.shape[1]
    called = GRADE_FIELDS if count == len(GRADE_FIELDS) else tuple(f"p_grade_{k}" for k in range(count))
    return {
        "p_damaged": number(buildings.damaged),
        **{name: number(values) for name, values in zip(called, buildings.grades.T, strict=True)},
        "p_building": number(buildings.located),
        "entropy": number(buildings.entropy),
        "valid": number(buildings.valid),
    }


def _clustered(buildings: Buildings) -> dict[str, Column]:
    """Hot spots and access, where they were asked for."""
    found: dict[str, Column] = {}
    if buildings.hot is not None:
        found |= {"z_gi": number(buildings.hot.z), "q_gi": number(buildings.hot.q), "hot": buildings.hot.hot}
    if buildings.reached is not None:
        found["p_reach"] = number(buildings.reached)
    if buildings.seconds is not None:
        found["minutes"] = number(buildings.seconds / 60)
    return found


def _changed(buildings: Buildings) -> dict[str, Column]:
    """Since the product that this one updates, if it updates one."""
    if buildings.previous is None or buildings.change is None:
        return {}
    return {"previous": text(buildings.previous), "change": text(buildings.change)}


def _road_damage(
    findings: Findings, lines: NDArray[np.object_], width: NDArray[np.float64], passable: NDArray[np.str_]
) -> NDArray[np.str_]:
    """``damage_gra``: debris on a street that is closed is damage; under water or unsure, its state is not seen."""
    heaps = [o for extent in findings.observed.extents if extent.what == "debris" for o in polygons(extent.outline)]
    buried = np.zeros(len(lines), bool)
    if heaps and len(lines):
        buried[shapely.STRtree(heaps).query(lines, predicate="dwithin", distance=width / 2)[0]] = True
    unseen, shut = passable == names.NOT_ANALYSED, passable != names.OPEN
    return np.select(
        [unseen, shut & buried, shut], [names.NOT_ANALYSED, names.DAMAGED, names.POSSIBLY], names.UNDAMAGED
    )


def _sooner(seconds: NDArray[np.float64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(seconds[ends].min(axis=1))
