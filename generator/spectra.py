"""What surfaces reflect beyond the visible, from the colour that they have and the kind of material that they are."""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from mage.generator.props import BARE, FALLEN, STANDING
from mage.scenes.dataset.fields import LandClass
from mage.scenes.mesh import Surface
from mage.scenes.yamlio import parse_yaml

Floats = NDArray[np.float64]

BANDS = ("red", "green", "blue", "red-edge", "nir", "swir1", "swir2")  # of a spectral picture, in this order
VISIBLE = 3  # how many of them are painted and rendered


class Kind(IntEnum):
    """Rows of ``surfaces`` in ``assets/materials.yaml``."""

    GRASS = 0
    DRY_GRASS = 1
    LEAVES = 2
    NEEDLES = 3
    DRY_LEAVES = 4
    BARK = 5
    SOIL = 6
    SAND = 7
    ASPHALT = 8
    CONCRETE = 9
    GRAVEL = 10
    PAINT = 11
    CLAY_TILE = 12
    SHINGLE = 13
    MEMBRANE = 14
    METAL = 15
    PLASTER = 16
    TIMBER = 17
    GLASS = 18
    SOLAR_PANEL = 19
    TARPAULIN = 20
    RUBBLE = 21
    CHAR = 22
    ASH = 23
    DUST = 24
    MUD = 25
    WATER = 26
    TURBID_WATER = 27
    POOL = 28
    CLOUD = 29


_Reflectance = Annotated[float, Field(gt=0, le=1)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    reflectance: tuple[(_Reflectance,) * len(BANDS)]  # type: ignore[valid-type]
    follows: float = Field(1.0, gt=0, le=1)
    source: str = Field(min_length=1)


@cache
def centres() -> Floats:
    """Wavelengths (7,) of the middles of :data:`BANDS`, µm."""
    stated = _materials()["centres"]
    return np.array([stated[band] for band in BANDS])


@cache
def table() -> tuple[Floats, Floats]:
    """Reflectance (kinds, 7) in :data:`BANDS` and the power ``follows`` (kinds,) of every :class:`Kind`."""
    content = _materials()
    rows = [_Row.model_validate(content["surfaces"][kind.name.lower().replace("_", "-")]) for kind in Kind]
    order = [list(content["centres"]).index(band) for band in BANDS]
    return np.array([row.reflectance for row in rows])[:, order], np.array([row.follows for row in rows])


@cache
def _materials() -> Any:
    text = files("mage.assets").joinpath("materials.yaml").read_text(encoding="utf-8")
    return parse_yaml(text, "materials.yaml")


def beyond_visible(
    rgb: NDArray[Any], kind: NDArray[Any] | Kind, withered: NDArray[Any] | Kind | None = None
) -> NDArray[np.float32]:
    """Reflectance in red edge, NIR, SWIR 1 and SWIR 2, float32 (..., 4), of surfaces of a visible reflectance.

    A brighter roof of one kind is brighter in every band: see ``assets/materials.yaml``. Where ``withered`` is given,
    ``kind`` is alive, and how green the colour is says how much of it: by the index (G - R) / (G + R), from that of
    the withered row to that of the living one. Water is as turbid as it is bright in the red.

    Args:
        rgb: reflectance (..., 3) in red, green and blue.
        kind: :class:`Kind` of each, (...) or one for all.
        withered: kind of what it becomes when it dries or is worn away.
    """
    rgb = np.maximum(np.asarray(rgb, np.float32), 1e-4)
    kinds = np.broadcast_to(np.asarray(kind), rgb.shape[:-1])
    result = _scaled(rgb, kinds)
    rows = table()[0].astype(np.float32)
    if withered is not None:
        other = np.broadcast_to(np.asarray(withered), kinds.shape)
        greenness = (rows[:, 1] - rows[:, 0]) / (rows[:, 1] + rows[:, 0])
        index = (rgb[..., 1] - rgb[..., 0]) / (rgb[..., 1] + rgb[..., 0])
        share = np.clip((index - greenness[other]) / (greenness[kinds] - greenness[other]), 0, 1)[..., None]
        result = result * share + _scaled(rgb, other) * (1 - share)
    water = kinds == Kind.WATER
    if water.any():
        clear, turbid = rows[Kind.WATER, 0], rows[Kind.TURBID_WATER, 0]
        share = np.clip((rgb[..., 0] - clear) / (turbid - clear), 0, 1)[..., None]
        mixed = result * (1 - share) + _scaled(rgb, np.broadcast_to(np.asarray(Kind.TURBID_WATER), kinds.shape)) * share
        result = np.where(water[..., None], mixed, result)
    return np.clip(result, 0.001, 0.95).astype(np.float32)


def _scaled(rgb: NDArray[np.float32], kinds: NDArray[Any]) -> NDArray[np.float32]:
    rows, follows = table()
    tone = rgb.mean(axis=-1) / rows[:, :VISIBLE].mean(axis=1).astype(np.float32)[kinds]
    return rows[:, VISIBLE:].astype(np.float32)[kinds] * (tone ** follows.astype(np.float32)[kinds])[..., None]


_OF_SURFACE = {
    Surface.WALL: Kind.PLASTER,
    Surface.CLOSURE: Kind.CONCRETE,
    Surface.CLUTTER: Kind.METAL,
    Surface.OPENING: Kind.GLASS,
    Surface.RUBBLE: Kind.RUBBLE,
    Surface.TIMBER: Kind.TIMBER,
    Surface.DECKING: Kind.TIMBER,
    Surface.TARPAULIN: Kind.TARPAULIN,
    Surface.SLAB: Kind.CONCRETE,
    Surface.CHAR: Kind.CHAR,
    Surface.ASH: Kind.ASH,
    Surface.GROUND: Kind.CONCRETE,
}
RUDDY, PALE, GREY = (
    1.7,
    0.45,
    0.2,
)  # red over blue of fired clay; mean reflectance of coatings, and of what is no bitumen
PANEL_BLUE, PANEL_DARK = 1.3, 0.05  # blue over red, and mean reflectance, of solar panels


def fabric_kinds(surface: NDArray[np.uint8], rgb: NDArray[Any], pattern: NDArray[Any]) -> NDArray[np.int64]:
    """What the faces (m,) of buildings and their remains are most likely made of.

    Sources and styles state colours, not materials: a roof with the ribs of sheet metal (``pattern``) is that, a ruddy
    one is fired clay, a very pale one a coating, a grey one concrete, a dark one bitumen or shingle. Ruddy walls are
    brick, dark blue things on roofs solar panels.
    """
    kinds = np.full(len(surface), Kind.CONCRETE, np.int64)
    for value, kind in _OF_SURFACE.items():
        kinds[surface == value] = kind
    tone = rgb.mean(axis=-1)
    ruddy = rgb[:, 0] > RUDDY * rgb[:, 2]
    roof = np.select([pattern[:, 1] > 0, ruddy, tone > PALE, tone > GREY], _ROOFS, int(Kind.SHINGLE))
    kinds = np.where(surface == Surface.ROOF, roof, kinds)
    kinds[(surface == Surface.WALL) & ruddy] = Kind.CLAY_TILE
    panel = (surface == Surface.CLUTTER) & (tone < PANEL_DARK) & (rgb[:, 2] > PANEL_BLUE * rgb[:, 0])
    kinds[panel] = Kind.SOLAR_PANEL
    return kinds


_ROOFS = [int(k) for k in (Kind.METAL, Kind.CLAY_TILE, Kind.MEMBRANE, Kind.CONCRETE)]
BROWN = 1.25  # red over blue of wood


def standing_kinds(cover: NDArray[np.uint8], rgb: NDArray[Any]) -> NDArray[np.int64]:
    """What the faces (m,) of things that are no buildings are most likely made of, by their :class:`LandClass`: hedges
    of leaves, heaps of soil; of the rest what is brown of wood and all else coated or of concrete.
    """
    brown = np.where(rgb[:, 0] > BROWN * rgb[:, 2], int(Kind.TIMBER), int(Kind.PAINT))
    kinds = [cover == LandClass.TREE, cover == LandClass.BARE, cover == LandClass.ROAD]
    return np.select(kinds, [int(Kind.LEAVES), int(Kind.SOIL), int(Kind.CONCRETE)], brown)


def tree_kinds(prototype: NDArray[np.int64]) -> NDArray[np.int64]:
    """What crowns (n,) are of, by their prototype: leaves, needles, or bark where they are bare."""
    conifer = ((prototype >= STANDING[1]) & (prototype < STANDING[2])) | (
        (prototype >= FALLEN[0] + STANDING[1]) & (prototype < FALLEN[1])
    )
    return np.select([prototype >= BARE[0], conifer], [int(Kind.BARK), int(Kind.NEEDLES)], int(Kind.LEAVES))
