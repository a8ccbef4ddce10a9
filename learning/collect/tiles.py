"""What is collected: an order of work that can be written down, and the tiles of each part of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mage.learning.collect.area import on_earth
from mage.scenes.dataset.schema import GridRecord
from mage.scenes.dataset.unlabelled import Tile, TileBand, TileRecord
from mage.scenes.errors import DatasetError

Content = dict[str, Any]


class Source(Protocol):
    """Where imagery is from: a STAC API or a map service."""

    @property
    def request(self) -> Content:
        """All that decides what is collected, as JSON."""

    def plan(self) -> list[Content]:
        """The parts of the work in order, as JSON; each becomes a shard."""

    def tiles(self, part: Content) -> Iterator[Tile]:
        """The tiles of a part, in order."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where an image is from; see :class:`~mage.scenes.dataset.unlabelled.TileRecord`."""

    source: str
    collection: str
    item: str
    licence: str
    attribution: str
    date: str | None = None
    cloud: float | None = None


def tile_of(
    origin: Provenance,
    place: tuple[int, int],
    corner: tuple[float, float],
    gsd: float,
    crs: str,
    bands: dict[str, NDArray[Any]],
    valid: NDArray[np.bool_],
    limits: dict[str, tuple[float, float]],
) -> Tile:
    """A tile whose north-west corner is at ``corner`` of the map; ``place`` is its column and row, for its key."""
    rows, columns = valid.shape
    west, north = corner
    ring = [
        (west, north),
        (west + columns * gsd, north),
        (west + columns * gsd, north - rows * gsd),
        (west, north - rows * gsd),
    ]
    record = TileRecord(
        key=f"{slug(origin.item)}-{_mark(origin)}-{slug(str(place[0]))}-{slug(str(place[1]))}",
        source=origin.source,
        collection=origin.collection,
        item=origin.item,
        licence=origin.licence,
        attribution=origin.attribution,
        date=origin.date,
        cloud=origin.cloud,
        grid=GridRecord(rows=rows, columns=columns, west=west, north=north, gsd=gsd, crs=crs),
        footprint=on_earth(ring, crs),
        bands=[TileBand(name=name, bits=_bits(values)) for name, values in bands.items()],
        limits=limits,
        valid=round(float(valid.mean()), 6),
    )
    return Tile(record, {name: np.where(valid, values, 0).astype(values.dtype) for name, values in bands.items()})


def _bits(values: NDArray[Any]) -> Literal[8, 16]:
    return 8 if values.dtype == np.uint8 else 16


def _mark(origin: Provenance) -> str:
    """Six hex digits that tell images of one slug apart."""
    return hashlib.sha256(f"{origin.source}\n{origin.collection}\n{origin.item}".encode()).hexdigest()[:6]


def slug(text: str) -> str:
    """Letters, digits, hyphens and underscores of a name, the last 40, for a key; ``m7`` for -7."""
    text = f"m{text[1:]}" if re.fullmatch(r"-\d+", text) else text
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-_")[-40:].lstrip("-_") or "image"


def unsigned(values: NDArray[Any], where: str) -> NDArray[Any]:
    """Values as uint8 or uint16, which a PNG can hold.

    Raises:
        DatasetError: they are neither, nor whole numbers of 16 bits of which none is below 0.
    """
    if values.dtype in (np.uint8, np.uint16):
        return values
    if values.dtype == np.int16 and (not values.size or values.min() >= 0):
        return values.astype(np.uint16)
    raise DatasetError(
        "values that a tile cannot hold", file=where, expected="whole numbers 0-255 or 0-65535", found=str(values.dtype)
    )
