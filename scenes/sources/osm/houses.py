"""Buildings and their parts: which areas belong together, and what is raised from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from shapely import STRtree
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.city import Building, Volume
from mage.scenes.sources.buildings.heights import raised, settled
from mage.scenes.sources.osm import tags as values
from mage.scenes.sources.osm.elements import Element, Elements, Group, Tags
from mage.scenes.sources.osm.volumes import ROOF_ONLY, canopy, inherited, roof_shape, volume_of

SLIVER = 0.5  # square metres; smaller areas are errors of digitising
TWIN = 0.95  # of the area of two outlines together that both cover, if they are one building
COVERED = 0.5  # of a part's area that lies in the building it belongs to
GAP = 0.25  # metres; strips of an outline narrower than twice this, beside its parts, are errors of digitising
NOT_THERE = ("no", "none", "construction", "proposed", "planned", "ruins", "collapsed", "demolished", "razed", "")


@dataclass(slots=True)
class _House:
    """A building as it is put together."""

    id: str
    tags: Tags
    shape: shapely.Geometry | None
    parts: list[Element] = field(default_factory=list)


def is_standing(tags: Tags, key: str, notes: Counter[str]) -> bool:
    """Whether a building or part (its tag's ``key``) can be seen from above; otherwise it is counted."""
    if tags.get(key, "") in NOT_THERE:
        notes["buildings that do not stand (yet, or any more) left out"] += tags.get(key) not in ("no", "none")
        return False
    if values.is_underground(tags):
        notes["underground buildings left out"] += 1
        return False
    return True


def read_houses(elements: Elements, notes: Counter[str]) -> list[Building]:
    """The buildings of elements in local metres.

    Raises:
        MissingExtraError: a roof needs a straight skeleton and the library for that is not there.
    """
    areas = [a for a in elements.areas if a.shape.area >= SLIVER]
    notes["areas of under half a square metre left out"] += sum(
        "building" in a.tags and a.shape.area < SLIVER for a in elements.areas
    )
    outlines = without_twins(
        [a for a in areas if "building" in a.tags and is_standing(a.tags, "building", notes)], notes
    )
    parts = [a for a in areas if "building:part" in a.tags and is_standing(a.tags, "building:part", notes)]
    houses = _assembled(outlines, parts, elements.groups, notes)
    return [building for house in houses if (building := _built(house, notes)) is not None]


def without_twins(outlines: Sequence[Element], notes: Counter[str]) -> list[Element]:
    """The outlines less those that are another one over again: a way and the relation that it is the outer ring of."""
    shapes = _shapes(outlines)
    one, two = STRtree(shapes).query(shapes, predicate="intersects")
    one, two = one[one < two], two[one < two]
    common = shapely.area(shapely.intersection(shapes[one], shapes[two]))
    union = shapely.area(shapes[one]) + shapely.area(shapes[two]) - common
    twins = set(two[common > TWIN * union].tolist())
    notes["buildings that stand in the file twice left out once"] += len(twins)
    return [outline for i, outline in enumerate(outlines) if i not in twins]


def _assembled(
    outlines: Sequence[Element], parts: Sequence[Element], groups: Sequence[Group], notes: Counter[str]
) -> list[_House]:
    houses = [_House(o.id, o.tags, o.shape) for o in outlines]
    place = {house.id: i for i, house in enumerate(houses)}
    owner = _owners_by_relation(place, groups, houses)
    loose = [part for part in parts if part.id not in owner and part.id not in place]
    owner |= {part.id: place[part.id] for part in parts if part.id in place}
    owner |= _owners_by_place(outlines, loose)
    for part in parts:
        if part.id in owner:
            houses[owner[part.id]].parts.append(part)
        else:
            notes["parts without a building, taken as buildings"] += 1
            houses.append(_House(part.id, part.tags, None, [part]))
    return [house for house in houses if house.shape is not None or house.parts]


def _owners_by_relation(place: Mapping[str, int], groups: Sequence[Group], houses: list[_House]) -> dict[str, int]:
    """Part -> position of its house; relations whose outline is not there become houses of their own."""
    owner: dict[str, int] = {}
    for group in groups:
        outline = next((place[key] for key in group.outlines if key in place), None)
        if outline is None:
            outline = len(houses)
            houses.append(_House(group.id, group.tags, None))
        for key in group.parts:
            owner.setdefault(key, outline)
    return owner


def _owners_by_place(outlines: Sequence[Element], parts: Sequence[Element]) -> dict[str, int]:
    """Part -> position of the outline that covers most of it, and at least half."""
    if not outlines or not parts:
        return {}
    shapes, pieces = _shapes(outlines), _shapes(parts)
    part, outline = STRtree(shapes).query(pieces, predicate="intersects")
    covered = shapely.area(shapely.intersection(pieces[part], shapes[outline])) / shapely.area(pieces[part])
    order = np.lexsort((outline, -covered.round(6), part))
    _, first = np.unique(part[order], return_index=True)
    best = order[first]
    return {
        parts[p].id: o
        for p, o, share in zip(part[best].tolist(), outline[best].tolist(), covered[best].tolist(), strict=True)
        if share >= COVERED
    }


def _shapes(elements: Iterable[Element]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.array([e.shape for e in elements], dtype=object)


def _built(house: _House, notes: Counter[str]) -> Building | None:
    footprint = _footprint(house)
    volumes = _volumes(house, notes)
    found = raised([settled(v) for v in volumes], notes)
    if footprint is None or found is None:
        notes["buildings that cannot be raised left out"] += 1
        return None
    occupancy = values.occupancy(house.tags)
    main = max(volumes, key=lambda v: v.outline.area)
    return Building(
        id=house.id,
        footprint=footprint,
        ground=0.0,
        height=found.height,
        eave=found.eave,
        mesh=found.mesh,
        lod=2 if house.parts or any(v.roof for v in volumes) else 1,
        parts=max(1, len(house.parts)),
        storeys=_storeys(house),
        year=values.year(house.tags),
        occupancy=occupancy or "residential",
        roof=found.roof,
        inferred=("ground", *_silent(house, volumes), *(() if occupancy else ("occupancy",))),
        volumes=tuple(volumes),
        roof_colour=main.roof_colour,
        wall_colour=main.wall_colour,
        attributes=dict(house.tags),
    )


def _footprint(house: _House) -> Polygon | MultiPolygon | None:
    shape = house.shape if house.shape is not None else shapely.union_all(_shapes(house.parts))
    found = _polygons(shape)
    return None if not found else found[0] if len(found) == 1 else MultiPolygon(found)


def _polygons(shape: shapely.Geometry) -> list[Polygon]:
    """The polygons of a shape that have an extent, without points that change nothing."""
    plain = shapely.make_valid(shapely.simplify(shape, 0.01))
    parts = [piece for part in shapely.get_parts(plain) for piece in shapely.get_parts(part)]
    return [p for p in parts if p.geom_type == "Polygon" and p.area >= SLIVER]


def _volumes(house: _House, notes: Counter[str]) -> list[Volume]:
    volumes: list[Volume] = []
    for part in house.parts:
        tags = inherited(part.tags, house.tags)
        for outline in _polygons(part.shape):
            volume = volume_of(outline, tags, notes)
            volumes += canopy(volume) if part.tags.get("building:part") in ROOF_ONLY else [volume]
    if house.shape is None:
        return volumes
    return volumes + _rest(house, volumes, notes)


def _rest(house: _House, parts: Sequence[Volume], notes: Counter[str]) -> list[Volume]:
    """What of the outline no part covers; beside parts it is no taller than the lowest that stands on the ground,
    because the outline's height is that of the highest.
    """
    shape = house.shape
    if parts:
        shape = shapely.difference(shape, shapely.union_all([v.outline for v in parts]))
        shape = shapely.intersection(shape.buffer(-GAP, join_style="mitre").buffer(2 * GAP, join_style="mitre"), shape)
    found = [volume_of(outline, house.tags, notes) for outline in _polygons(shape)]
    if house.tags.get("building") in ROOF_ONLY:
        return [piece for volume in found for piece in canopy(volume)]
    grounded = [v for v in parts if not v.base and not v.base_levels]
    if not grounded:
        return found
    lowest = min(grounded, key=lambda v: settled(v).height or 0.0)
    return [
        replace(
            v,
            height=lowest.height,
            levels=lowest.levels,
            roof_height=lowest.roof_height,
            roof_levels=lowest.roof_levels,
        )
        for v in found
    ]


def _storeys(house: _House) -> int | None:
    """The most that the building or a part of it states; 1 to 200."""
    stated = [values.levels(tags.get("building:levels")) for tags in (house.tags, *(p.tags for p in house.parts))]
    most = max((n for n in stated if n is not None), default=0.0)
    return int(most) if most >= 1 else None


def _silent(house: _House, volumes: Sequence[Volume]) -> list[str]:
    """Which of ``height`` and ``roof`` some volume does not state."""
    every = [inherited(p.tags, house.tags) for p in house.parts] or [house.tags]
    heights = [values.length(t.get("height") or t.get("building:height") or t.get("est_height")) for t in every]
    levels = [values.levels(t.get("building:levels")) for t in every]
    shapes = [roof_shape(t, Counter()) for t in every]
    found = ["height"] if any(h is None and n is None for h, n in zip(heights, levels, strict=True)) else []
    return [*found, "roof"] if not all(shapes) or any(not v.roof for v in volumes) else found
