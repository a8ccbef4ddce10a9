"""Buildings of which a source has an outline and, at best, numbers: LoD0, and solids without a height."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import shapely
from shapely.geometry import MultiPolygon, Polygon

from mage.scenes.city import Building, Volume
from mage.scenes.mesh import Surface
from mage.scenes.sources.buildings.attributes import (
    Attributes,
    height_of,
    occupancy_of,
    roof_kind_of,
    roof_shape_of,
    storeys_of,
    year_of,
)
from mage.scenes.sources.buildings.heights import raised, settled
from mage.scenes.sources.buildings.planes import faces_of, only
from mage.scenes.sources.buildings.surfaces import clean
from mage.scenes.sources.raw import Polygons, RawBuilding, RawObject

SLIVER = 0.5  # square metres; smaller pieces of an outline are errors of digitising
Localise = Callable[[Polygons], Polygons]


def raise_outlines(raw: RawBuilding, lod: int, localise: Localise, notes: Counter[str]) -> Building | None:
    """The building as volumes over the outlines that it has at a level of detail; None, counted, without any.

    What has no height of its own takes the building's; without one its height is None, ``inferred`` says so, and the
    mesh is that of a stated number of storeys or of a common house. The ground is inferred: the mesh counts from 0.
    """
    volumes = _volumes(raw, lod, localise, notes)
    found = raised([settled(volume) for volume in volumes], notes)
    if found is None:
        notes["buildings without a footprint left out"] += 1
        return None
    notes["outlines raised to buildings"] += 1
    whole = _polygons(shapely.union_all([volume.outline for volume in volumes]))
    objects = [item.attributes for item in raw.objects]
    occupancy = occupancy_of(objects)
    unknown = any(volume.height is None for volume in volumes)
    stated = roof_kind_of(objects)
    return Building(
        id=raw.id,
        footprint=whole[0] if len(whole) == 1 else MultiPolygon(whole),
        ground=0.0,
        height=found.height,
        eave=found.eave,
        mesh=found.mesh,
        lod=0,
        parts=max(1, sum(not item.installation for item in raw.objects[1:])),
        storeys=storeys_of(objects),
        year=year_of(objects),
        occupancy=occupancy or "residential",
        roof=found.roof if stated == "unknown" else stated,
        inferred=("ground", *(("height",) if unknown else ()), *(() if occupancy else ("occupancy",))),
        volumes=tuple(volumes),
        attributes=raw.attributes,
    )


def _volumes(raw: RawBuilding, lod: int, localise: Localise, notes: Counter[str]) -> list[Volume]:
    """A volume for every outline; the parts' outlines go before the building's, which stands for all of them."""
    with_outlines = [o for o in raw.objects if not o.installation and any(int(level) == lod for level in o.shells)]
    parts = [o for o in with_outlines if o is not raw.objects[0]]
    volumes = []
    for item in parts or with_outlines:
        said = [item.attributes, raw.objects[0].attributes]
        volumes += [_volume(outline, said) for outline in _outlines(item, lod, localise, notes)]
    return volumes


def _volume(outline: Polygon, said: list[Attributes]) -> Volume:
    return Volume(outline, height=height_of(said), levels=storeys_of(said), roof=roof_shape_of(said))


def _outlines(item: RawObject, lod: int, localise: Localise, notes: Counter[str]) -> list[Polygon]:
    level = max(level for level in item.shells if int(level) == lod)
    shells = [clean(localise(shell), notes) for shell in item.shells[level]]
    feet = [only(shell, shell.surface == Surface.GROUND) for shell in shells]
    chosen = [shell for shell in feet if len(shell)] or [shell for shell in shells if len(shell)]
    return _polygons(shapely.union_all([piece for shell in chosen for piece in _flat(shell)]))


def _flat(polygons: Polygons) -> Iterable[shapely.Geometry]:
    for outer, *holes in faces_of(polygons, range(len(polygons))):
        yield shapely.make_valid(Polygon(outer[:, :2], [hole[:, :2] for hole in holes]))


def _polygons(shape: shapely.Geometry) -> list[Polygon]:
    parts = [piece for part in shapely.get_parts(shapely.make_valid(shape)) for piece in shapely.get_parts(part)]
    return [part for part in parts if part.geom_type == "Polygon" and part.area >= SLIVER]
