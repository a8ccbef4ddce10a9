"""Imagery from a STAC API: Cloud Optimised GeoTIFFs over an area, read by the windows that are wanted."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import numpy as np

from mage.learning.collect.area import on_map, tile_places
from mage.learning.collect.tiles import Content, Provenance, tile_of, unsigned
from mage.learning.collect.web import TIMEOUT, Pace, retries
from mage.learning.rasters import AGENT, Raster, is_url, percentiles
from mage.scenes.dataset.unlabelled import Tile, band_name
from mage.scenes.errors import DatasetError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MOST_ITEMS = 10_000
COLOURS = ("red", "green", "blue")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class StacSource:
    """Images of a STAC API's collections over an area.

    Attributes:
        url: of the API.
        collections: their ids.
        area: in longitude and latitude.
        assets: names of the items' assets, whose bands are taken in this order; the first one's pixels are the tiles'.
        size: side of a tile in its pixels.
        dates: a day or an interval as STAC has it (``2023-02-06/2023-03-01``), None for all.
        cloud: per cent above which images are left out, and those that do not state theirs; None takes all.
        valid: least share of a tile that is data.
        licence: to note where neither an item nor its collection states one.
        delay: least time between two tiles, in seconds.
    """

    url: str
    collections: Sequence[str]
    area: BaseGeometry
    assets: Sequence[str]
    size: int = 256
    dates: str | None = None
    cloud: float | None = None
    valid: float = 0.75
    licence: str = UNKNOWN
    delay: float = 0.0

    @property
    def request(self) -> Content:
        """All that decides what is collected, as JSON."""
        from shapely.geometry import mapping

        names = ("url", "dates", "cloud", "size", "valid", "licence")
        lists = {"collections": list(self.collections), "assets": list(self.assets)}
        return {"kind": "stac"} | {n: getattr(self, n) for n in names} | lists | {"area": mapping(self.area)}

    def plan(self) -> list[Content]:
        """The items in the order of their names, each with where its assets are.

        Raises:
            DatasetError: no answer, an answer that is not STAC, no such collection, an item without one of the assets.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of an API that conforms to less than it could
                return self._planned()
        except DatasetError:
            raise
        except Exception as error:  # what the client raises of a hostile answer is of any kind
            found = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise DatasetError("the STAC API cannot be searched", file=self.url, found=found) from None

    def tiles(self, part: Content) -> Iterator[Tile]:
        """The tiles of an item that meet the area and are data.

        Raises:
            DatasetError: an asset that cannot be read, or is on another map than the first.
        """
        rasters = {name: Raster(href) for name, href in part["assets"].items()}
        first = next(iter(rasters.values()))
        west, gsd, north = _grid(first)
        crs, (rows, columns) = str(first.layout.crs), first.layout.shape
        for raster in rasters.values():
            if raster.layout.crs != first.layout.crs:
                found, expected = str(raster.layout.crs), crs
                raise DatasetError(
                    "on another map than the first asset", file=raster.place, expected=expected, found=found
                )
        origin = Provenance(**part["origin"])
        limits, pace = _all_limits(rasters), Pace(self.delay)
        for column, row in tile_places(on_map(self.area, crs), self.size * gsd, west, north):
            inside = 0 <= column < columns // self.size and 0 <= row < rows // self.size
            corner = west + column * self.size * gsd, north - row * self.size * gsd
            if not inside:
                continue
            pace.wait()
            bands, valid = _read(rasters, corner, self.size, gsd)
            if valid.mean() >= self.valid:
                yield tile_of(origin, (column, row), corner, gsd, crs, bands, valid, limits)

    def _planned(self) -> list[Content]:
        from pystac_client import Client
        from pystac_client.stac_api_io import StacApiIO
        from shapely.geometry import mapping

        talk = StacApiIO(headers={"User-Agent": AGENT}, timeout=TIMEOUT, max_retries=retries())
        try:
            client = Client.open(self.url, stac_io=talk)
            stated = {name: _stated(client.get_collection(name)) for name in self.collections}
            search = client.search(
                collections=list(self.collections),
                intersects=mapping(self.area),
                datetime=self.dates,
                max_items=MOST_ITEMS,
            )
            items = [item.to_dict(include_self_link=True, transform_hrefs=False) for item in search.items()]
        finally:
            talk.session.close()
        chosen = [item for item in items if self._clear(item)]
        return [self._part(item, stated) for item in sorted(chosen, key=lambda i: (i["collection"], i["id"]))]

    def _clear(self, item: Content) -> bool:
        cloud = item["properties"].get("eo:cloud_cover")
        return self.cloud is None or (isinstance(cloud, int | float) and cloud <= self.cloud)

    def _part(self, item: Content, stated: dict[str, tuple[str | None, str]]) -> Content:
        collection, properties = str(item["collection"]), item["properties"]
        licence, attribution = stated.get(collection, (None, ""))
        here = next((link["href"] for link in item.get("links", []) if link.get("rel") == "self"), self.url)
        assets = {name: self._href(item, name, here) for name in self.assets}
        origin = Provenance(
            source=self.url,
            collection=collection,
            item=str(item["id"]),
            licence=properties.get("license") or licence or self.licence,
            attribution=attribution,
            date=properties.get("datetime") or properties.get("start_datetime"),
            cloud=properties.get("eo:cloud_cover"),
        )
        return {"origin": {n: getattr(origin, n) for n in Provenance.__slots__}, "assets": assets}

    def _href(self, item: Content, name: str, here: str) -> str:
        assets = item.get("assets", {})
        if name not in assets:
            raise DatasetError(
                f"item '{item['id']}' has no asset '{name}'", file=here, expected=", ".join(assets) or "any"
            )
        href = urljoin(here, str(assets[name]["href"]))
        if not is_url(href):  # whatever an answer says, no file of this machine is read
            raise DatasetError("an asset that is not on the web", file=here, expected="http:// or https://", found=href)
        return href


def _stated(collection: Any) -> tuple[str | None, str]:
    """Licence and attribution of a collection; its licence where it says which."""
    said = None if collection.license in (None, "proprietary", "various", "other") else str(collection.license)
    links = [link.href for link in collection.links if link.rel == "license"]
    if said is None and links:
        said = f"{collection.license}: {links[0]}"
    return said or collection.license, ", ".join(provider.name for provider in collection.providers or [])


def _grid(raster: Raster) -> tuple[float, float, float]:
    """West, side of a pixel and north of a raster that lies straight on its map."""
    a, b, c, d, e, f = raster.layout.transform
    if raster.layout.crs is None or b or d or a <= 0 or not np.isclose(a, -e, rtol=1e-6):
        expected = "a CRS, north up and square pixels"
        raise DatasetError(
            "cannot be cut into tiles", file=raster.place, expected=expected, found=str(raster.layout.transform)
        )
    return c, a, f


def _names(name: str, raster: Raster) -> dict[str, int]:
    """Names of an asset's bands with their numbers."""
    layout = raster.layout
    if len(layout.pictured) == 1:
        return {band_name(name): layout.pictured[0]}
    colours = [layout.colours[n - 1] for n in layout.pictured]
    if set(COLOURS) <= set(colours) and len(colours) == len(COLOURS):
        return dict(zip(colours, layout.pictured, strict=True))
    return {band_name(f"{name}-{n}"): n for n in layout.pictured}


def _all_limits(rasters: dict[str, Raster]) -> dict[str, tuple[float, float]]:
    limits: dict[str, tuple[float, float]] = {}
    for name, raster in rasters.items():
        if raster.layout.dtype != "uint8":
            names = _names(name, raster)
            found = percentiles(raster, list(names.values())).tolist()
            limits |= {band: (low, high) for band, (low, high) in zip(names, found, strict=True)}
    return limits


def _read(rasters: dict[str, Raster], corner: tuple[float, float], size: int, gsd: float) -> tuple[dict[str, Any], Any]:
    bands: dict[str, Any] = {}
    valid = np.ones((size, size), bool)
    for name, raster in rasters.items():
        west, pixel, north = _grid(raster)
        starts = round((north - corner[1]) / pixel), round((corner[0] - west) / pixel)
        side = max(round(size * gsd / pixel), 1)
        window = tuple(
            slice(max(s, 0), min(s + side, whole)) for s, whole in zip(starts, raster.layout.shape, strict=True)
        )
        if any(cut.stop - cut.start != side for cut in window):
            return {}, np.zeros((size, size), bool)
        names = _names(name, raster)
        values, there = raster.read((window[0], window[1]), list(names.values()), (size, size))
        bands |= dict(zip(names, unsigned(np.where(there, values, 0).astype(values.dtype), raster.place), strict=True))
        valid &= there
    return bands, valid
