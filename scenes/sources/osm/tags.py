"""Values of tags as numbers: lengths in their many spellings, levels, directions, years and uses."""

from __future__ import annotations

import re

from mage.scenes.sources.osm.elements import Tags

LONGEST = 2_000.0  # metres; no building or street is taller or wider
MOST_LEVELS = 200.0

_FEET, _INCH = 0.3048, 0.0254
_UNITS = {"": 1.0, "m": 1.0, "meter": 1.0, "metre": 1.0, "meters": 1.0, "metres": 1.0, "cm": 0.01, "mm": 0.001} | {
    "km": 1000.0,
    "mi": 1609.344,
    "ft": _FEET,
    "feet": _FEET,
    "foot": _FEET,
    "in": _INCH,
}
_NUMBER = r"(\d{1,9}(?:[.,]\d{1,9})?|[.,]\d{1,9})"
_METRIC = re.compile(rf"[~+]?\s*{_NUMBER}\s*([a-z]*)\.?", re.IGNORECASE)
_IMPERIAL = re.compile(rf"""(?:{_NUMBER}\s*(?:'|’|′|ft))?\s*(?:{_NUMBER}\s*(?:"|''|”|″|in))?""")
_SIGNED = re.compile(rf"([+-]?)\s*{_NUMBER}")
_POINTS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")
_WORDS = {"NORTH": "N", "EAST": "E", "SOUTH": "S", "WEST": "W"}


def length(text: str | None) -> float | None:
    """Metres, 0 to 2000: ``12``, ``12 m``, ``7,5``, ``40'``, ``12'6"``, ``30 ft``; None for all else."""
    text = (text or "").strip()[:40]
    value = None
    if match := _METRIC.fullmatch(text):
        unit = _UNITS.get(match[2].lower())
        value = None if unit is None else _decimal(match[1]) * unit
    elif text and (match := _IMPERIAL.fullmatch(text)):
        value = _decimal(match[1] or "0") * _FEET + _decimal(match[2] or "0") * _INCH
    return value if value is not None and value <= LONGEST else None


def number(text: str | None) -> float | None:
    """A plain number, of either sign; None for all else."""
    match = _SIGNED.fullmatch((text or "").strip()[:40])
    return (-1 if match[1] == "-" else 1) * _decimal(match[2]) if match else None


def levels(text: str | None) -> float | None:
    """Storeys, 0 to 200, also halves; of a list (``3;4``) the most."""
    found = [n for part in (text or "")[:40].split(";") if (n := number(part)) is not None and 0 <= n <= MOST_LEVELS]
    return max(found, default=None)


def direction(text: str | None) -> float | None:
    """Degrees clockwise from north, 0 to 360, from degrees or the 16 points of the compass."""
    text = (text or "").strip().upper()
    text = _WORDS.get(text, text)
    if text in _POINTS:
        return _POINTS.index(text) * 22.5
    value = number(text.removesuffix("°"))
    return value % 360 if value is not None and abs(value) <= 720 else None


def _decimal(text: str) -> float:
    return float(text.replace(",", "."))


def is_yes(tags: Tags, key: str) -> bool:
    """Whether the key is there with anything but a denial."""
    return tags.get(key, "no") not in ("no", "false", "0", "none", "")


def layer(tags: Tags) -> int:
    """Above (positive) or below (negative) the ground, -9 to 9; 0 where nothing is said."""
    value = number(tags.get("layer"))
    return int(max(-9, min(9, value))) if value is not None else 0


def is_underground(tags: Tags) -> bool:
    """Whether it cannot be seen from above."""
    return tags.get("location") in ("underground", "indoor") or is_yes(tags, "tunnel") or layer(tags) < 0


def year(tags: Tags) -> int | None:
    """Year of construction, 1000 to 2999, out of ``start_date`` (``1987-05``, ``~1900``, ``1890s``, ``C19``)."""
    text = tags.get("start_date") or tags.get("building:year") or ""
    if match := re.search(r"(?<!\d)[12]\d{3}(?!\d)", text[:40]):
        return int(match.group())
    if match := re.search(r"(?:early |mid |late )?C(1\d|20|21)(?!\d)", text[:40]):
        return (int(match[1]) - 1) * 100 + 50
    return None


def words(text: str) -> frozenset[str]:
    """The words of a list of values."""
    return frozenset(text.split())


_COMMERCIAL = words(
    "commercial office retail shop supermarket kiosk hotel mall store bank restaurant civic public government townhall "
    "school university college kindergarten hospital church cathedral chapel mosque synagogue temple museum theatre "
    "cinema library stadium sports_hall sports_centre grandstand train_station transportation terminal parking "
    "fire_station police courthouse post_office community_centre cafe fast_food pub bar pharmacy clinic pavilion "
    "place_of_worship fuel casino arts_centre public_building religious monastery"
)
_INDUSTRIAL = words(
    "industrial warehouse factory manufacture hangar farm_auxiliary barn stable cowshed sty silo storage_tank "
    "greenhouse service transformer_tower water_tower power power_substation works digester slurry_tank"
)
_RESIDENTIAL = words(
    "residential house detached semidetached_house semi terrace apartments bungalow cabin dormitory farm houseboat "
    "static_caravan stilt_house tree_house villa hut shed garage garages carport annexe outbuilding"
)
_OFFICES = ("shop", "office", "tourism", "healthcare", "government")


def occupancy(tags: Tags) -> str | None:
    """``residential``, ``commercial`` (so are public buildings) or ``industrial``; None where nothing tells."""
    for value in (tags.get("building", ""), tags.get("building:use", ""), tags.get("amenity", "")):
        for kind, words in (
            ("residential", _RESIDENTIAL),
            ("commercial", _COMMERCIAL),
            ("industrial", _INDUSTRIAL),
        ):
            if value.lower() in words:
                return kind
    if is_yes(tags, "industrial") or tags.get("man_made") in _INDUSTRIAL or tags.get("landuse") == "industrial":
        return "industrial"
    return "commercial" if any(is_yes(tags, key) for key in _OFFICES) else None
