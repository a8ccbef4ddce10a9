"""The records of a dataset: of samples and all that is in them, of shards, of the whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from mage.scenes.campaign import SPLIT
from mage.scenes.dataset.fields import IMAGE_FIELDS, SENSOR_MEMBER, SENSOR_NAME

FORMAT = "mage-dataset/1"


class Record(BaseModel):
    """A strict, frozen record; its numbers are finite, since JSON has no others."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GridRecord(Record):
    """Where the pixels are: map coordinates (m) of the outer north-west corner, side of a pixel, CRS or None for a
    local frame.
    """

    rows: int = Field(ge=1, lt=2**31)
    columns: int = Field(ge=1, lt=2**31)
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
    seed: int = Field(ge=0, lt=2**63)
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
    """A shard, as the manifest and the shard's side file state it."""

    name: str = Field(pattern=rf"^{SPLIT}-\d{{6}}\.tar$")
    event: str = Field(description="of all its samples")
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    labels_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="over all label members in order, images apart")
    samples: int = Field(ge=1)
    keys: list[str]
    recipe_hash: str


DEEPEST = 32  # levels that free content, as of a recipe, may be nested


def _shallow(content: Any, levels: int = DEEPEST) -> Any:
    """The content, if it is not nested so deep that what walks through it would not come back."""
    if levels == 0:
        raise ValueError(f"nested more than {DEEPEST} deep")
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    for part in parts:
        _shallow(part, levels - 1)
    return content


Content = Annotated[dict[str, Any], AfterValidator(lambda content: _shallow(content))]


class EventRecord(Record):
    """A disaster in one place, see :class:`mage.scenes.campaign.Event`; all its samples are of one split."""

    name: str
    city: str
    hazard: str
    split: str = Field(pattern=rf"^{SPLIT}$")
    samples: int = Field(ge=1)
    gsd: float = Field(gt=0)
    seed: int
    recipe_hash: str
    recipe: Content = Field(
        default_factory=dict, description="what its recipe holds beside the dataset's, see mage.scenes.campaign.whole"
    )


class DatasetRecord(Record):
    """``dataset.json``: self-describing, written last, so that a folder without it is not yet a dataset.

    ``recipe`` is what the recipes of all events have in common, the whole of it where there is one event; each of
    ``events`` holds the rest of its own. ``recipe_hash`` is that of a recipe on its own, or of all events.
    """

    format: str = FORMAT
    name: str
    samples: int = Field(ge=0)
    size: int
    gsd: float | None = Field(gt=0, description="None where events differ: each states its own")
    bands: list[str]
    classes: dict[str, int]
    colours: dict[str, tuple[int, int, int]]
    fields: dict[str, Content]
    counts: Content
    shards: list[ShardRecord]
    index_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of samples.parquet")
    recipe: Content
    recipe_hash: str
    seed: int
    mixture: Content | None = Field(None, description="what the events were drawn from; None for a recipe alone")
    events: list[EventRecord] = Field(min_length=1)
    versions: dict[str, str]
    sources: list[Content]
    sensors: list[SensorRecord] = Field(default_factory=list, description="beside the RGB image of each date")
