"""What the members of a sample are: classes of land cover, label rasters, images."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class LandClass(IntEnum):
    """Values of the ``class`` raster: the top surface at a pixel's centre.

    ``ROAD`` includes the decks of bridges, ``PAVED`` car parks, ``GRASS`` scrub, ``BARE`` sand, ``TREE`` hedges,
    ``VEHICLE`` boats. ``STRUCTURE`` is what is built and is no building: walls, fences, street furniture, piers.
    ``RUBBLE`` is debris outside the outline of the building that it comes from; what lies inside stays ``BUILDING``.
    ``TENT`` is the tents of a camp, whose latrines and tanks are ``STRUCTURE`` and whose worn tracks ``BARE``.
    """

    NODATA = 0
    BUILDING = 1
    ROAD = 2
    PAVED = 3
    GRASS = 4
    BARE = 5
    TREE = 6
    WATER = 7
    FLOOD = 8
    VEHICLE = 9
    AGRICULTURE = 10
    POOL = 11
    RAIL = 12
    PITCH = 13
    STRUCTURE = 14
    RUBBLE = 15
    TENT = 16


CLASS_COLOURS: dict[LandClass, tuple[int, int, int]] = {
    LandClass.NODATA: (0, 0, 0),
    LandClass.BUILDING: (214, 84, 69),
    LandClass.ROAD: (120, 120, 128),
    LandClass.PAVED: (190, 186, 178),
    LandClass.GRASS: (160, 200, 110),
    LandClass.BARE: (205, 170, 125),
    LandClass.TREE: (45, 110, 60),
    LandClass.WATER: (60, 110, 190),
    LandClass.FLOOD: (120, 180, 235),
    LandClass.VEHICLE: (245, 205, 60),
    LandClass.AGRICULTURE: (222, 214, 130),
    LandClass.POOL: (70, 215, 215),
    LandClass.RAIL: (96, 72, 88),
    LandClass.PITCH: (110, 165, 60),
    LandClass.STRUCTURE: (165, 110, 190),
    LandClass.RUBBLE: (132, 104, 92),
    LandClass.TENT: (238, 66, 170),
}

DAMAGE_COLOURS: tuple[tuple[int, int, int], ...] = (
    (0, 0, 0),
    (86, 176, 96),
    (250, 212, 70),
    (242, 140, 40),
    (206, 42, 52),
)  # background, then Joint Damage Scale 0-3


@dataclass(frozen=True, slots=True)
class LabelField:
    """One label raster: its dtype, unit and meaning; ``dates`` are those it is stored for."""

    name: str
    dtype: str
    dates: tuple[str, ...]
    meaning: str
    unit: str | None = None
    largest: int | None = None


BOTH, POST = ("pre", "post"), ("post",)

LABEL_FIELDS: tuple[LabelField, ...] = (
    LabelField("class", "uint8", BOTH, "land cover of the top surface, see `classes`", largest=max(LandClass)),
    LabelField(
        "building",
        "uint16",
        BOTH,
        "number within the sample of the building that stands, or whose remains lie within its outline, 0 none; "
        "ignores vegetation, vehicles, water and debris of others",
    ),
    LabelField("height", "uint16", BOTH, "top surface above bare ground, water not counted", "cm"),
    LabelField("water", "uint8", BOTH, "1 where permanent water is, ignoring vegetation and vehicles", largest=1),
    LabelField(
        "road",
        "uint16",
        BOTH,
        "road edge number within the sample, 0 none; ignores vegetation, vehicles, water and debris",
    ),
    LabelField(
        "damage",
        "uint8",
        POST,
        "Joint Damage Scale plus 1, 0 background, on the pixels of `building` of this date",
        largest=4,
    ),
    LabelField("ems98", "uint8", POST, "EMS-98 physical grade plus 1, 0 background, as `damage`", largest=6),
    LabelField("visible", "uint8", POST, "EMS-98 nadir-visible grade plus 1, 0 background, as `damage`", largest=6),
    LabelField(
        "debris",
        "uint8",
        POST,
        "1 where debris of any building is the top surface, within its outline or outside; ignores vegetation, "
        "vehicles and water",
        largest=1,
    ),
    LabelField(
        "burn",
        "uint8",
        POST,
        "burn severity of the ground, under vegetation, vehicles and debris; on buildings 100 burnt, 50 burning, 0",
        "%",
        largest=100,
    ),
    LabelField(
        "depth", "uint16", POST, "flood water over the ground, 0 under buildings; ignores vegetation and vehicles", "cm"
    ),
    LabelField(
        "flood",
        "uint8",
        POST,
        "1 where flood water is and no permanent water, ignoring vegetation and vehicles",
        largest=1,
    ),
    LabelField(
        "mud",
        "uint8",
        POST,
        "1 where flood water was at its peak and is none any more, no building and no permanent water; ignores "
        "vegetation and vehicles",
        largest=1,
    ),
    LabelField(
        "tent",
        "uint16",
        POST,
        "number within the sample of the tent that stands, 0 none; ignores vegetation and vehicles",
    ),
    LabelField("blocked", "uint8", POST, "1 on road edges that an ordinary car cannot pass", largest=1),
    LabelField(
        "cloud", "uint8", BOTH, "how much of the light cloud keeps from the sensor; no other label heeds it", "%", 100
    ),
)

# of datasets whose recipe's `label_style` is `annotator`, beside the exact truth
ANNOTATED_FIELDS: tuple[LabelField, ...] = (
    LabelField("annotated", "uint16", ("pre",), "number of the outline that an annotator drew before, 0 none"),
    LabelField(
        "annotated",
        "uint8",
        POST,
        "that outline's grade, 0 background, on the same pixels: Joint Damage Scale plus 1, or BRIGHT's class, by the "
        "recipe's `label_policy`",
        largest=4,
    ),
)

IMAGE_FIELDS = ("pre", "post")
SENSOR_NAME = r"[a-z0-9]+(?:-[a-z0-9]+)*"
# the image of one band of a further sensor: DATE_SENSOR_BAND
SENSOR_MEMBER = re.compile(rf"(pre|post)_({SENSOR_NAME})_({SENSOR_NAME})")

# one band of an unlabelled tile, whose dataset holds neither dates nor labels
BAND_MEMBER = re.compile(rf"band_({SENSOR_NAME})")


def label_members(style: str = "exact") -> dict[str, LabelField]:
    """Every label member of a sample by its tar field (``pre_class``, ``post_damage`` ...), sorted; ``style`` is the
    ``label_style`` of its dataset.
    """
    fields = LABEL_FIELDS + (ANNOTATED_FIELDS if style == "annotator" else ())
    members = {f"{date}_{field.name}": field for field in fields for date in field.dates}
    return dict(sorted(members.items()))


def sample_members(style: str = "exact", images: Iterable[str] = ()) -> list[str]:
    """File names of a sample's members after the key and its dot, sorted as they are in the tar; ``images`` are the
    members of further sensors.
    """
    return sorted([*(f"{name}.png" for name in (*IMAGE_FIELDS, *label_members(style), *images)), "json"])
