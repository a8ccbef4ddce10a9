"""Imagery from map services: WMS 1.3.0 (GetMap) and WMTS 1.0.0 (GetTile), as BD ORTHO is served."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mage.learning.collect.area import on_map, tile_places
from mage.learning.collect.tiles import Content, Provenance, tile_of
from mage.learning.collect.web import Web
from mage.learning.pictures import decode_picture
from mage.scenes.dataset.unlabelled import Tile
from mage.scenes.errors import DatasetError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

PART = 64  # tiles of a shard
BANDS = ("red", "green", "blue")
MERCATOR = "EPSG:3857"
WEST_NORTH, FIRST_GSD, MATRIX = 20_037_508.342789244, 156_543.03392804097, 256  # OGC 17-083r2, WebMercatorQuad


@dataclass(frozen=True)
class Service:
    """What both kinds of service are asked for.

    Attributes:
        url: of the service, without the question.
        layer: its name there.
        area: in longitude and latitude.
        licence: of the imagery: services do not state one that a program could read.
        attribution: whom to name.
        size: side of a tile in pixels.
        style: of the layer, the server's own by default.
        form: media type of the images, ``image/jpeg`` or ``image/png``.
        delay: least time between two questions, in seconds.
    """

    url: str
    layer: str
    area: BaseGeometry
    licence: str
    attribution: str = ""
    size: int = 256
    style: str = ""
    form: str = "image/jpeg"
    delay: float = 0.2

    def _request(self) -> Content:
        from shapely.geometry import mapping

        names = ("url", "layer", "licence", "attribution", "size", "style", "form")
        return {n: getattr(self, n) for n in names} | {"area": mapping(self.area)}

    def _parts(self, crs: str, gsd: float, west: float, north: float) -> list[Content]:
        places = tile_places(on_map(self.area, crs), self.size * gsd, west, north)
        return [{"tiles": places[first : first + PART]} for first in range(0, len(places), PART)]

    def _tile(
        self, place: tuple[int, int], corner: tuple[float, float], gsd: float, crs: str, pixels: NDArray[np.uint8]
    ) -> Tile:
        origin = Provenance(self.url, self.layer, self.layer, self.licence, self.attribution)
        bands = {name: np.ascontiguousarray(pixels[..., k]) for k, name in enumerate(BANDS)}
        return tile_of(origin, place, corner, gsd, crs, bands, np.ones(pixels.shape[:2], bool), {})


@dataclass(frozen=True)
class WmsSource(Service):
    """Tiles of a WMS in a projected CRS.

    Attributes:
        crs: of the map, such as ``EPSG:2154``.
        gsd: side of a pixel in the CRS's units.
    """

    crs: str = MERCATOR
    gsd: float = 0.5

    @property
    def request(self) -> Content:
        """All that decides what is collected, as JSON."""
        return {"kind": "wms", "crs": self.crs, "gsd": self.gsd} | self._request()

    def plan(self) -> list[Content]:
        """Tiles that meet the area, by columns and rows from the map's origin, some to a part."""
        if not 0 < self.gsd < np.inf:
            raise DatasetError("no size of a pixel", expected="above 0", found=str(self.gsd))
        return self._parts(self.crs, self.gsd, 0.0, 0.0)

    def tiles(self, part: Content) -> Iterator[Tile]:
        """The tiles of a part that are not of one colour, which servers send where they have nothing.

        Raises:
            DatasetError: no answer, an error of the server, an image of another size.
        """
        web, side = Web(self.delay), self.size * self.gsd
        try:
            for column, row in part["tiles"]:
                west, north = column * side, -row * side
                pixels = _picture(web, self.url, self._question(west, north, side), self.size)
                if not _blank(pixels):
                    yield self._tile((column, row), (west, north), self.gsd, self.crs, pixels)
        finally:
            web.close()

    def _question(self, west: float, north: float, side: float) -> dict[str, str]:
        box = (west, north - side, west + side, north)
        if _north_first(self.crs):
            box = (box[1], box[0], box[3], box[2])  # WMS 1.3.0 has the axes in the order of the CRS
        return {
            "SERVICE": "WMS",
            "VERSION": "1.3.0",
            "REQUEST": "GetMap",
            "LAYERS": self.layer,
            "STYLES": self.style,
            "CRS": self.crs,
            "BBOX": ",".join(f"{value:.10g}" for value in box),
            "WIDTH": str(self.size),
            "HEIGHT": str(self.size),
            "FORMAT": self.form,
        }


@dataclass(frozen=True)
class WmtsSource(Service):
    """Tiles of a WMTS in the matrix set that all web maps share (WebMercatorQuad; ``PM`` at the French IGN).

    Attributes:
        level: of the pyramid; a pixel is 156543 m / 2^level at the equator.
        matrix_set: the server's name of the set.
    """

    level: int = 18
    matrix_set: str = "PM"

    @property
    def request(self) -> Content:
        """All that decides what is collected, as JSON."""
        return {"kind": "wmts", "level": self.level, "matrix_set": self.matrix_set} | self._request()

    @property
    def gsd(self) -> float:
        """Side of a pixel in metres of EPSG:3857."""
        return FIRST_GSD / 2**self.level

    def plan(self) -> list[Content]:
        """Tiles that meet the area, by columns and rows, some to a part.

        Raises:
            DatasetError: a level or size that the set does not have.
        """
        if not 0 <= self.level <= 24 or self.size < MATRIX or self.size % MATRIX:
            found = f"level {self.level}, {self.size} px"
            raise DatasetError(
                "no such tiles", expected="a level 0-24, and a size of 256, 512, 768 ... px", found=found
            )
        return self._parts(MERCATOR, self.gsd, -WEST_NORTH, WEST_NORTH)

    def tiles(self, part: Content) -> Iterator[Tile]:
        """The tiles of a part that are not of one colour; each is joined from those of the server.

        Raises:
            DatasetError: no answer, an error of the server, an image of another size.
        """
        web, side, times = Web(self.delay), self.size * self.gsd, self.size // MATRIX
        try:
            for column, row in part["tiles"]:
                pixels = np.concatenate(
                    [
                        np.concatenate(
                            [self._asked(web, column * times + x, row * times + y) for x in range(times)], axis=1
                        )
                        for y in range(times)
                    ]
                )
                if not _blank(pixels):
                    corner = column * side - WEST_NORTH, WEST_NORTH - row * side
                    yield self._tile((column, row), corner, self.gsd, MERCATOR, pixels)
        finally:
            web.close()

    def _asked(self, web: Web, column: int, row: int) -> NDArray[np.uint8]:
        question = {
            "SERVICE": "WMTS",
            "VERSION": "1.0.0",
            "REQUEST": "GetTile",
            "LAYER": self.layer,
            "STYLE": self.style or "normal",
            "TILEMATRIXSET": self.matrix_set,
            "TILEMATRIX": str(self.level),
            "TILEROW": str(row),
            "TILECOL": str(column),
            "FORMAT": self.form,
        }
        return _picture(web, self.url, question, MATRIX)


def _picture(web: Web, url: str, question: dict[str, str], size: int) -> NDArray[np.uint8]:
    pixels = decode_picture(web.image(url, question), url)[..., ::-1]
    if pixels.shape[:2] != (size, size):
        raise DatasetError("an image of another size", file=url, expected=f"{size} px", found=str(pixels.shape[:2]))
    return np.asarray(pixels, np.uint8)


def _blank(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels == pixels[0, 0]).all())


def _north_first(crs: str) -> bool:
    from pyproj import CRS

    return bool(CRS.from_user_input(crs).axis_info[0].direction == "north")
