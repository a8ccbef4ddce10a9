"""Features of a city file, all that is no building, as parts of a city in local metres."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mage.scenes.city import LandPatch, Railway, RoadGraph, Structure, Trees, WaterBody
from mage.scenes.mesh import Mesh
from mage.scenes.sources.features.flat import finest, outline
from mage.scenes.sources.features.ground_covers import covers_of, water_of
from mage.scenes.sources.features.road_axes import axis_graph, joined
from mage.scenes.sources.features.roadways import patches_of, pavements, railways_of, street_graph
from mage.scenes.sources.features.standing import STRUCTURES, relief_of, structures_of, trees_of
from mage.scenes.sources.raw import Floats, RawFeature, printable

_TRAFFIC = ("Road", "TransportSquare", "Railway")
_GROUND = ("WaterBody", "Waterway", "LandUse", "PlantCover", "SolitaryVegetationObject", "TINRelief")
_USED = frozenset((*_TRAFFIC, *_GROUND, *STRUCTURES))
_ORDER = ("ballast", "paved", "parking", "asphalt")  # paved ground, from below to above


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Parts of a city as :class:`mage.scenes.city.City` holds them; ``relief`` is the source's own ground."""

    roads: RoadGraph = field(default_factory=RoadGraph)
    railways: tuple[Railway, ...] = ()
    water: tuple[WaterBody, ...] = ()
    land: tuple[LandPatch, ...] = ()
    trees: Trees = field(default_factory=Trees)
    structures: tuple[Structure, ...] = ()
    relief: Mesh | None = None


def city_parts(
    features: Sequence[RawFeature],
    project: Callable[[Floats], Floats],
    origin: tuple[float, float],
    notes: Counter[str],
) -> Parts:
    """All that the features give.

    Args:
        features: of one file.
        project: points (n, 3) of the file to map coordinates in metres, infinite where there are none.
        origin: map coordinates of local (0, 0).
        notes: counts what is repaired, assumed or left out; a feature that gives nothing is counted by its kind.
    """

    def _local(points: Floats) -> Floats:
        return np.asarray(project(points) - (*origin, 0.0)) if len(points) else np.zeros((0, 3))

    kinds = _by_kind(features, notes)
    traffic = [feature for kind in _TRAFFIC for feature in kinds[kind]]
    surfaces = pavements(traffic, _local, notes)
    with_surface = {f.id for f in traffic if f.shells}
    bare = [f for f in traffic if f.id not in with_surface]
    decks = [deck for f in kinds["Bridge"] if (deck := outline(finest(f, _local), Counter())) is not None]
    covers = [*covers_of(kinds["LandUse"], _local, notes), *covers_of(kinds["PlantCover"], _local, notes)]
    return Parts(
        roads=joined(
            street_graph([s for s in surfaces if s.cover != "ballast"], decks),
            axis_graph([f for f in bare if f.kind != "Railway"], _local, notes),
        ),
        railways=railways_of([f for f in bare if f.kind == "Railway"], surfaces, _local),
        water=(
            *water_of([*kinds["WaterBody"], *kinds["Waterway"]], _local, notes),
            *(cover for cover in covers if isinstance(cover, WaterBody)),
        ),
        land=_ordered([cover for cover in covers if isinstance(cover, LandPatch)], patches_of(surfaces)),
        trees=trees_of(kinds["SolitaryVegetationObject"], _local, notes),
        structures=structures_of([f for kind in STRUCTURES for f in kinds[kind]], _local, notes),
        relief=relief_of(kinds["TINRelief"], _local, notes),
    )


def _by_kind(features: Sequence[RawFeature], notes: Counter[str]) -> Mapping[str, list[RawFeature]]:
    """Features that have a geometry, by the kind of object that they belong to."""
    found: dict[str, list[RawFeature]] = defaultdict(list)
    for feature in features:
        kind = next((name for name in ("Bridge", "Tunnel") if feature.kind.startswith(name)), feature.kind)
        if not feature.shells and not feature.lines and not len(feature.points):
            notes[f"{printable(feature.kind, 60)} without geometry left out"] += 1
        elif kind in _TRAFFIC and not feature.shells and not feature.lines:
            notes[f"{kind} of points alone left out"] += 1
        elif kind in _USED:
            found[kind].append(feature)
        else:
            notes[f"ignored {printable(kind, 60)}"] += 1
    return found


def _ordered(ground: Sequence[LandPatch], traffic: Sequence[LandPatch]) -> tuple[LandPatch, ...]:
    """What lies below comes first: land, verges of streets, then the paved surfaces up to the asphalt."""
    rank = {cover: position for position, cover in enumerate(_ORDER)}
    return (*ground, *sorted(traffic, key=lambda patch: rank.get(patch.cover, -1)))
