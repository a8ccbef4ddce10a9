"""What a dataset holds: classes, label fields, and the records of samples, shards and datasets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

FORMAT = "mage-dataset/1"


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


class Record(BaseModel):
    """A strict, frozen record; its numbers are finite, since JSON has no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GridRecord(Record):
    """Where the pixels are: map coordinates (m) of the outer north-west corner, side of a pixel, CRS or None for a
    local frame.
    """

    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    west: float
    north: float
    gsd: float = Field(gt=0)
    crs: str | None


class DateRecord(Record):
    """How an image was taken; names as in xBD's metadata. Angles in degrees, azimuths clockwise from north.

    ``target_azimuth`` is that of the sensor as seen from the ground: what stands there leans the other way.
    ``shift_px`` is by how many columns and rows the image and its labels are displaced: what polygons and lines in
    pixels place at (x, y) shows at (x, y) + ``shift_px``.
    """

    capture_date: str
    sun_azimuth: float
    sun_elevation: float
    off_nadir_angle: float
    target_azimuth: float
    sensor: str
    shift_px: tuple[float, float] = (0.0, 0.0)
    cloud_cover: float = Field(0.0, ge=0, le=1, description="share of the tile under cloud that is half opaque or more")
    haze: float = Field(0.0, ge=0, le=1, description="share of the light at 0.55 µm that haze scatters into view")


class ImageRecord(Record):
    """One band's image of a further sensor, by its member; its north-west corner is the tile's."""

    member: str = Field(pattern=rf"^{SENSOR_MEMBER.pattern}$")
    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    gsd: float = Field(gt=0)
    bits: Literal[8, 16]


class SensorBandRecord(Record):
    """A band of a further sensor: its name in members, centre and width in nm, GSD in m, bits of its files, and the
    digital numbers per unit of reflectance, None where a stretch to sRGB leaves no such number.
    """

    name: str = Field(pattern=rf"^{SENSOR_NAME}$")
    centre: float = Field(gt=0)
    width: float = Field(gt=0)
    gsd: float = Field(gt=0)
    bits: Literal[8, 16]
    scale: float | None = Field(gt=0)


class SensorRecord(Record):
    """A further sensor of a dataset; ``depth`` is the bits that its instrument tells apart. How large its images are,
    :class:`SampleRecord` says.
    """

    name: str = Field(pattern=rf"^{SENSOR_NAME}$")
    source: str
    depth: int = Field(ge=1, le=16)
    bands: list[SensorBandRecord] = Field(min_length=1)

    @property
    def members(self) -> dict[str, SensorBandRecord]:
        """Its images of a sample by their members, with the band of each."""
        return {f"{date}_{self.name}_{band.name}": band for date in IMAGE_FIELDS for band in self.bands}


Ring = list[tuple[float, float]]


class ViewedRecord(Record):
    """How a building, as it was before and hidden by nothing, shows in an image off nadir, in that image's own pixels
    (``shift_px`` of the date is in them): ``outline_px`` of walls and roof, ``roof_px`` of its roof, and ``offset_px``,
    columns and rows from its footprint in ``polygons_px`` to where its eaves show.
    """

    outline_px: list[list[Ring]]
    roof_px: list[list[Ring]]
    offset_px: tuple[float, float]


class BuildingRecord(Record):
    """A building in a sample. ``id`` is its value in the ``building`` raster; polygons, of its outline before, are
    lists of rings, the first outer, per part. They lie where its ground shows; ``pre_view`` and ``post_view`` say
    where it shows itself, None in an image from nadir.

    ``causes`` are the hazards that damaged it, in order; ``collapse`` how it failed and ``burn`` its state, in lower
    case (``none`` where it did not); ``roof_lost`` the share of its roof's plan that is no roof at its old height any
    more; ``intensities`` by hazard: peak ground acceleration (g) of an ``earthquake``, highest gust (m/s) of ``wind``,
    arrival (minutes, None where it never came) of ``fire``. Of water there are ``depth_max``, at its peak, and
    ``depth_at_image``, metres at the walls.
    """

    id: int = Field(ge=1)
    source_id: str
    polygons_px: list[list[Ring]]
    polygons_map: list[list[Ring]]
    height: float
    occupancy: str
    causes: list[str]
    collapse: str
    burn: str
    roof_lost: float = Field(ge=0, le=1)
    intensities: dict[str, float | None]
    depth_max: float
    depth_at_image: float
    velocity: float | None = Field(
        None, ge=0, description="highest speed of the water at the walls, m/s; None where the flood's model has none"
    )
    wet_share: float
    p_grade: list[float] = Field(min_length=6, max_length=6)
    ems98: int = Field(ge=0, le=5)
    visible: int = Field(ge=0, le=5)
    jds: int = Field(ge=0, le=3)
    loss: float = Field(ge=0, le=1)
    buried: float = Field(
        0.0, ge=0, le=1, description="share of its roof under others' debris: why `visible` may exceed `ems98`"
    )
    roof_seen_pre: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of its pixels in the image before that no crown, vehicle, bridge or other building's debris "
        "hides; None where it has none",
    )
    roof_seen_post: float | None = Field(
        None, ge=0, le=1, description="as `roof_seen_pre`, of the image after: of its roof, or what is left of it"
    )
    new: bool = Field(False, description="built between the dates: only the image after shows it, undamaged")
    pre_view: ViewedRecord | None = None
    post_view: ViewedRecord | None = None
    inferred: list[str]


class ChangeRecord(Record):
    """Benign change: what looks otherwise or stands there at one date only (``seen``), without any damage.

    ``kind``: ``mown`` or ``long`` grass, ``ploughed`` fields, ``soil`` of building sites, ``covered``
    pools; a ``skip``, ``container``, ``stack``, ``heap``, ``slab``, ``wall`` or ``shed``. Polygons as a building's.
    """

    kind: str
    seen: str = Field(pattern="^(pre|post)$")
    polygons_px: list[list[Ring]]
    polygons_map: list[list[Ring]]


class TentRecord(Record):
    """A tent of a camp. ``id`` is its value in the ``tent`` raster; polygons, of its plan, as a building's. ``colour``
    of its tarpaulin: ``white``, ``blue`` or ``beige``; ``form``: ``ridge`` or ``tunnel``; ``length`` and ``width`` in
    metres.
    """

    id: int = Field(ge=1)
    polygons_px: list[list[Ring]]
    polygons_map: list[list[Ring]]
    colour: str
    form: str
    length: float = Field(gt=0)
    width: float = Field(gt=0)


class RoadRecord(Record):
    """A road edge in a sample. ``id`` is its value in the ``road`` raster; lines in pixels (column, row) and map
    metres.

    Over the whole edge, not the tile's part of it: ``depth_max`` and ``depth_at_image`` are the deepest water (m) at
    the flood's peak and at the image; ``debris`` is the greatest width (m) that lies under debris,
    ``free_width`` the least (m) in one piece that it leaves open, ``car`` and ``truck`` whether each can pass, and
    ``reason`` what keeps one of them from it: ``water``, ``debris``, ``water and debris``, or nothing.
    """

    id: int = Field(ge=1)
    edge: int = Field(ge=0)
    lines_px: list[Ring]
    lines_map: list[Ring]
    width: float
    kind: str
    depth_max: float
    depth_at_image: float
    debris: float = Field(ge=0)
    free_width: float = Field(ge=0)
    car: bool
    truck: bool
    reason: str
    inferred: bool


class AnnotationRecord(Record):
    """An outline as an annotator drew it on the image before; the image after has the same, in the same pixels.

    ``id`` is its value in ``pre_annotated``, ``buildings`` the numbers of all that it was drawn around, ``grade`` its
    value in ``post_annotated``, the worst of theirs.
    """

    id: int = Field(ge=1)
    polygons_px: list[list[Ring]]
    buildings: list[int]
    grade: int = Field(ge=1, le=4)


class SampleRecord(Record):
    """The ``.json`` member of a sample."""

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    index: int = Field(ge=0)
    city: str
    event: str
    hazard: str
    parameters: dict[str, float | int | str | None]
    split: str
    seed: int
    recipe_hash: str
    grid: GridRecord
    pre: DateRecord
    post: DateRecord
    buildings: list[BuildingRecord]
    roads: list[RoadRecord]
    changes: list[ChangeRecord] = Field(default_factory=list)
    tents: list[TentRecord] = Field(default_factory=list, description="of which the image after shows at least a pixel")
    smoke: float = Field(
        0.0, ge=0, le=1, description="share of the image after of which smoke hides at least half; labels ignore it"
    )
    annotations: list[AnnotationRecord] | None = Field(
        None, description="what annotators drew, where the recipe's `label_style` is `annotator`"
    )
    pixels: dict[str, dict[str, int]] = Field(
        description="per label member with few values (class, damage): pixels per value, value as text"
    )
    inferred: list[str]
    images: list[ImageRecord] = Field(default_factory=list, description="of further sensors")

    @property
    def label_style(self) -> str:
        """That of the sample's dataset, see :func:`label_members`."""
        return "exact" if self.annotations is None else "annotator"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One tile in memory: uint8 (rows, columns, 3) RGB images by date, label rasters by member name, its record, and
    the images of further sensors, uint8 or uint16 (rows, columns), by member name.
    """

    record: SampleRecord
    images: dict[str, NDArray[np.uint8]]
    labels: dict[str, NDArray[Any]] = field(default_factory=dict)
    bands: dict[str, NDArray[Any]] = field(default_factory=dict)


class ShardRecord(Record):
    """The side file of a shard: written after the tar, it makes the shard done."""

    name: str = Field(pattern=r"^[a-z]+-\d{6}\.tar$")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    labels_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="over all label members in order, images apart")
    samples: int = Field(ge=1)
    keys: list[str]
    recipe_hash: str


class DatasetRecord(Record):
    """``dataset.json``: self-describing, written last, so that a folder without it is not yet a dataset."""

    format: str = FORMAT
    name: str
    samples: int = Field(ge=0)
    size: int
    gsd: float
    bands: list[str]
    classes: dict[str, int]
    colours: dict[str, tuple[int, int, int]]
    fields: dict[str, dict[str, Any]]
    counts: dict[str, Any]
    shards: list[ShardRecord]
    index_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of samples.parquet")
    recipe: dict[str, Any]
    recipe_hash: str
    seed: int
    versions: dict[str, str]
    sources: list[dict[str, Any]]
    sensors: list[SensorRecord] = Field(default_factory=list, description="beside the RGB image of each date")
