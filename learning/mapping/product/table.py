"""A layer as arrays: geometries of one kind and columns that files can hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.findings import Source

Column = NDArray[Any]  # (n,) text, whole numbers, flags, or numbers that are masked where not known
POINT, LINE, AREA = "Point", "LineString", "MultiPolygon"
POLYGON = int(shapely.GeometryType.POLYGON)
LETTER = {POINT: "P", LINE: "L", AREA: "A", None: ""}


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A table of the product.

    Attributes:
        feature: what it holds, without the letter for its geometry: builtUp.
        kind: of its geometries, ``POINT``, ``LINE`` or ``AREA``; None for a table without.
        geometry: (n,) valid, in the map's frame; None for a table without.
        columns: (n,) each, by name.
        about: in words.
    """

    feature: str
    kind: str | None
    geometry: NDArray[np.object_] | None
    columns: Mapping[str, Column]
    about: str

    @property
    def suffix(self) -> str:
        """``builtUpA``."""
        return self.feature + LETTER[self.kind]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))


def text(values: Iterable[Any]) -> Column:
    """A column of text without what files cannot hold: control characters and halves of characters."""
    clean = [_clean(str(value)) for value in values]
    return np.array(clean, dtype=str)


def number(values: Any) -> Column:
    """A column of numbers to six decimals, masked where they are not finite."""
    found = np.asarray(values, float)
    return masked(np.round(found, 6), ~np.isfinite(found))


def masked(values: NDArray[Any], unknown: NDArray[np.bool_]) -> Column:
    """A column with holes."""
    return np.ma.MaskedArray(values, mask=unknown)  # type: ignore[no-untyped-call]


def whole(values: Iterable[int]) -> Column:
    """A column of whole numbers."""
    return np.array(list(values), np.int32)


def polygons(shapes: Iterable[shapely.Geometry]) -> NDArray[np.object_]:
    """Valid multipolygons, outer rings counter-clockwise; lines and points that come of mending are left out."""
    given = list(shapes)
    found = np.empty(len(given), dtype=object)
    found[:] = given
    plain = (shapely.get_type_id(found) == POLYGON) & shapely.is_valid(found) & ~shapely.has_z(found)
    at = np.flatnonzero(plain)
    shapely.multipolygons(found[at], indices=at, out=found)
    for k in np.flatnonzero(~plain):
        found[k] = _polygon(found[k])
    return np.asarray(shapely.orient_polygons(found))


def source_of(sources: Sequence[Source], count: int, *roles: str) -> Column:
    """A column of ``src_id`` of the first source of one of the roles, asked for in turn; masked where there is none."""
    ids = {source.role: k for k, source in reversed(list(enumerate(sources, 1)))}
    found = next((ids[role] for role in roles if role in ids), 0)
    return masked(np.full(count, found, np.int32), np.full(count, found == 0))


def _clean(value: str) -> str:
    if value.isprintable():  # as nearly all are
        return value
    sound = value.encode("utf-8", "replace").decode("utf-8")
    return "".join(" " if ord(letter) < 32 or 127 <= ord(letter) < 160 else letter for letter in sound)


def _polygon(shape: shapely.Geometry) -> shapely.MultiPolygon:
    sound = shape if shapely.is_valid(shape) else shapely.make_valid(shape)
    flat = shapely.get_parts(shapely.get_parts(shapely.force_2d(sound)))  # twice, for a collection's multipolygons
    parts = [part for part in flat if part.geom_type == "Polygon"]
    return shapely.MultiPolygon(parts)
