"""Tags of Simple 3D Buildings as :class:`Volume` values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import shapely
from shapely.geometry import Polygon

from mage.scenes.city import Volume
from mage.scenes.sources.buildings.colours import colour_of, material_colour
from mage.scenes.sources.buildings.heights import span
from mage.scenes.sources.osm import tags as values
from mage.scenes.sources.osm.elements import Tags

LEAST_HEIGHT = 0.3  # metres; a lower height is a mistake or stands for "unknown"
CANOPY_HEIGHT = 3.2  # metres of a roof on posts, where not stated: room for a van
CANOPY_THICKNESS = 0.3
POST = 0.15  # metres, half of a post's side
ROOF_ONLY = ("roof", "carport", "canopy")
ONE_STOREY = values.words(
    "garage garages shed hut kiosk carport allotment_house beach_hut toilets bungalow static_caravan container "
    "greenhouse barn stable sty cowshed service transformer_tower tent"
)

_KNOWN = "flat gabled hipped half-hipped pyramidal skillion gambrel mansard dome onion round cone"
_SHAPES = {
    **{name: name for name in sorted(values.words(_KNOWN))},
    "pitched": "gabled",
    "saltbox": "gabled",
    "crosspitched": "gabled",
    "cross-gabled": "gabled",
    "side-hipped": "hipped",
    "hip": "hipped",
    "halfhipped": "half-hipped",
    "pyramid": "pyramidal",
    "tented": "pyramidal",
    "lean-to": "skillion",
    "shed": "skillion",
    "single-pitched": "skillion",
    "monopitched": "skillion",
    "conical": "cone",
    "rounded": "round",
    "arched": "round",
    "barrel": "round",
    "dome-shaped": "dome",
}
_INHERITED = (
    *("height", "building:height", "est_height", "building:levels"),
    *("building:colour", "building:color", "building:material", "roof:colour", "roof:color", "roof:material"),
)
_HEIGHTS = frozenset(("height", "building:height", "est_height", "building:levels"))


def inherited(part: Tags, building: Tags) -> Tags:
    """A part's tags, and those of the building that it is silent about: colours, materials, and its height if the
    part says neither height nor levels.
    """
    found = {k: building[k] for k in _INHERITED if k in building}
    if _HEIGHTS & part.keys():
        found = {k: v for k, v in found.items() if k not in _HEIGHTS}
    return {**found, **part}


def volume_of(outline: Polygon, tags: Tags, notes: Counter[str]) -> Volume:
    """One polygon with its tags; what cannot be understood is counted and taken as not stated."""
    stated = _lengths(tags, notes)
    levels = values.levels(tags.get("building:levels"))
    notes["levels that are no number"] += levels is None and "building:levels" in tags
    if levels is None and stated["height"] is None and tags.get("building") in ONE_STOREY:
        levels = 1.0
    shape = roof_shape(tags, notes)
    return Volume(
        outline,
        base=stated["base"] or 0.0,
        height=stated["height"],
        levels=levels,
        base_levels=values.levels(tags.get("building:min_level")) or 0.0,
        roof=shape,
        roof_height=_roof_height(outline, tags, shape, stated["roof"]),
        roof_levels=values.levels(tags.get("roof:levels")),
        orientation=o if (o := tags.get("roof:orientation", "")) in ("along", "across") else "",
        direction=values.direction(tags.get("roof:direction")),
        roof_colour=_colour(tags, "roof", notes) or material_colour(tags.get("roof:material"), "roofs"),
        wall_colour=_colour(tags, "building", notes) or material_colour(tags.get("building:material"), "walls"),
    )


def _lengths(tags: Tags, notes: Counter[str]) -> Mapping[str, float | None]:
    """Height, foot and height of the roof in metres."""
    found: dict[str, float | None] = {}
    for name, keys in (
        ("height", ("height", "building:height", "est_height")),
        ("base", ("min_height", "building:min_height")),
        ("roof", ("roof:height", "building:roof:height")),
    ):
        texts = [tags[key] for key in keys if key in tags]
        found[name] = next((n for text in texts if (n := values.length(text)) is not None), None)
        notes["lengths that are no number of metres"] += bool(texts) and found[name] is None
    if found["height"] is not None and found["height"] < LEAST_HEIGHT:
        found["height"] = None
        notes["heights of nothing taken as unknown"] += 1
    return found


def roof_shape(tags: Tags, notes: Counter[str]) -> str:
    """The shape's name as :class:`Volume` wants it; empty where it is not stated or not known."""
    stated = tags.get("roof:shape") or tags.get("building:roof:shape") or tags.get("building:roof", "")
    shape = _SHAPES.get(stated.strip().lower().replace("_", "-").replace(" ", "-"), "")
    notes["roof shapes that are not known"] += bool(tags.get("roof:shape")) and not shape
    return shape


def _roof_height(outline: Polygon, tags: Tags, shape: str, stated: float | None) -> float | None:
    """As stated, or out of the slope of its faces."""
    angle = values.number(tags.get("roof:angle"))
    if stated is not None or angle is None or not 0 < angle < 80 or shape in ("", "flat"):
        return stated
    run = span(outline) if shape == "skillion" else span(outline) / 2
    return float(np.tan(np.radians(angle)) * run)


def _colour(tags: Tags, part: str, notes: Counter[str]) -> tuple[int, int, int] | None:
    stated = tags.get(f"{part}:colour") or tags.get(f"{part}:color")
    colour = colour_of(stated)
    notes["colours that are not known"] += stated is not None and colour is None
    return colour


def canopy(volume: Volume) -> list[Volume]:
    """A roof on posts: the roof as a slab, and a post at each corner of the smallest rectangle that is under it."""
    top = CANOPY_HEIGHT if volume.height is None else volume.height
    rise = 0.0 if volume.roof in ("", "flat") else min(volume.roof_height or 0.0, top / 2)
    under = max(top - rise - CANOPY_THICKNESS, top / 2)
    slab = Volume(
        volume.outline,
        base=under,
        height=top,
        roof=volume.roof or "flat",
        roof_height=rise or None,
        orientation=volume.orientation,
        direction=volume.direction,
        roof_colour=volume.roof_colour,
        wall_colour=volume.wall_colour,
    )
    within = volume.outline.buffer(-2 * POST)
    if within.is_empty:
        return [slab]
    corners = shapely.get_coordinates(within.minimum_rotated_rectangle)[:4]
    posts = [shapely.box(x - POST, y - POST, x + POST, y + POST) for x, y in corners.tolist()]
    return [
        slab,
        *(Volume(post, height=under, roof="flat") for post in posts if volume.outline.contains(post)),
    ]
