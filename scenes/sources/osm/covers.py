"""Areas of land as patches of cover, large and general ones first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import shapely
from shapely.geometry import Polygon

from mage.scenes.city import LandPatch
from mage.scenes.sources.osm import tags as values
from mage.scenes.sources.osm.elements import Element, Tags

GENERAL, PARTICULAR, SMALL = 0, 1, 2  # what lies on top of what

_COVERS: tuple[tuple[str, int, dict[str, str]], ...] = (
    ("natural", GENERAL, {
        **dict.fromkeys(("wood",), "forest"),
        **dict.fromkeys(("scrub", "heath", "wetland", "tundra"), "scrub"),
        **dict.fromkeys(("grassland", "fell", "meadow"), "grass"),
        **dict.fromkeys(("sand", "beach", "dune", "shoal"), "sand"),
        **dict.fromkeys(("bare_rock", "scree", "shingle", "rock", "cliff", "mud", "earth_bank", "glacier"), "bare"),
    }),
    ("landuse", GENERAL, {
        "forest": "forest",
        **dict.fromkeys(("grass", "meadow", "village_green", "recreation_ground", "cemetery", "flowerbed"), "grass"),
        **dict.fromkeys(("farmland", "orchard", "vineyard", "allotments", "plant_nursery"), "agriculture"),
        **dict.fromkeys(("quarry", "landfill", "brownfield", "construction", "farmyard"), "bare"),
        **dict.fromkeys(("greenfield",), "grass"),
        "railway": "ballast",
    }),
    ("leisure", PARTICULAR, {
        **dict.fromkeys(("park", "garden", "common", "golf_course", "dog_park", "nature_reserve"), "grass"),
        **dict.fromkeys(("playground", "beach_resort"), "sand"),
    }),
    ("amenity", PARTICULAR, {
        **dict.fromkeys(("marketplace", "bus_station"), "paved"),
        **dict.fromkeys(("fuel",), "asphalt"),
        "grave_yard": "grass",
    }),
    ("place", PARTICULAR, {"square": "paved"}),
    ("aeroway", PARTICULAR, {**dict.fromkeys(("runway", "taxiway", "apron", "helipad"), "asphalt")}),
    ("amenity", SMALL, {"parking": "parking", "swimming_pool": "pool"}),
    ("leisure", SMALL, {"pitch": "pitch", "track": "pitch", "swimming_pool": "pool"}),
)  # fmt: skip
_SURFACES = {
    **dict.fromkeys(("asphalt", "chipseal", "tartan"), "asphalt"),
    **dict.fromkeys(
        ("paved", "paving_stones", "sett", "concrete", "cobblestone", "bricks", "concrete:plates"), "paved"
    ),
    **dict.fromkeys(("wood", "metal", "unhewn_cobblestone"), "paved"),
    **dict.fromkeys(("grass", "artificial_turf", "grass_paver"), "grass"),
    "sand": "sand",
    **dict.fromkeys(
        ("unpaved", "gravel", "fine_gravel", "compacted", "dirt", "ground", "earth", "mud", "rock"), "bare"
    ),
}
_HIDDEN_PARKING = ("underground", "multi-storey", "rooftop", "sheds", "carports", "garage_boxes", "on_kerb", "lane")
_NO_GROUND = (
    "residential",
    "commercial",
    "industrial",
    "retail",
    "education",
    "institutional",
    "religious",
    "military",
)


def read_covers(areas: Sequence[Element], frame: Polygon, notes: Counter[str]) -> list[LandPatch]:
    """Patches of areas in local metres, cut to ``frame``: by their rank, and the larger first within a rank."""
    found: list[tuple[int, LandPatch]] = []
    for area in areas:
        kind = cover_of(area.tags, notes)
        if kind is None:
            continue
        rank, cover = kind
        outline = polygons_within(area.shape, frame)
        if outline is not None:
            found.append((rank, LandPatch(outline, cover)))
    found.sort(key=lambda item: (item[0], -item[1].outline.area))
    return [patch for _, patch in found]


def cover_of(tags: Tags, notes: Counter[str]) -> tuple[int, str] | None:
    """Rank and cover of an area; None for what is no ground or cannot be seen."""
    if "building" in tags or "building:part" in tags or values.is_underground(tags):
        return None
    if tags.get("amenity") == "parking" and tags.get("parking") in _HIDDEN_PARKING:
        notes["parking that is not on the ground left out"] += 1
        return None
    if "highway" in tags:
        paved = tags.get("area") == "yes" and tags["highway"] not in ("construction", "proposed")
        return (SMALL, _SURFACES.get(tags.get("surface", ""), "paved")) if paved else None
    best: tuple[int, str] | None = None
    for key, rank, covers in _COVERS:
        cover = covers.get(tags.get(key, ""))
        if cover is not None:
            best = rank, cover
    surface = _SURFACES.get(tags.get("surface", ""))
    if surface is not None and (best is None or best[1] in ("paved", "asphalt", "bare", "sand")):
        return (PARTICULAR if best is None else best[0]), surface
    notes["areas of land use without a cover of their own"] += best is None and tags.get("landuse") in _NO_GROUND
    return best


def polygons_within(shape: shapely.Geometry, frame: Polygon) -> shapely.Geometry | None:
    """The polygon or polygons of a shape that lie in ``frame``, valid; None where nothing does."""
    if not shapely.intersects(shape, frame):
        return None
    whole = shape if shapely.contains_properly(frame, shape) else shapely.intersection(shapely.make_valid(shape), frame)
    parts = [p for p in shapely.get_parts(whole) if p.geom_type == "Polygon" and p.area > 0]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
