"""What the page may ask for, and the answers: an allow-list of addresses, apart from any socket."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from mage.scenes.dataset.browse.catalogue import SORTS, AbsentError, Catalogue, QueryError, parse_query
from mage.scenes.dataset.browse.layers import TITLES
from mage.scenes.dataset.browse.pictures import THUMBNAILS, Pictures
from mage.scenes.dataset.browse.shelf import Shelf
from mage.scenes.dataset.codec import encode_record, raster_kinds
from mage.scenes.dataset.fields import DAMAGE_COLOURS, SENSOR_MEMBER, label_members
from mage.scenes.errors import DatasetError, MageError
from mage.scenes.grades import JDS_NAMES

KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
    "png": "image/png",
    "jpg": "image/jpeg",
}
PAGE = "index.html"
KEY = r"(?P<key>[a-z0-9][a-z0-9_-]{0,99})"
MEMBER = r"(?P<member>[a-z0-9_-]{1,99})"
SHOWN_COLUMNS = ("key", "city", "event", "hazard", "split", "buildings", "tents", "flooded_share", "post_date")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: HTTP status, kind of content by its file suffix, and content."""

    status: int
    kind: str
    body: bytes


class Site:
    """The page and its data over one dataset.

    Raises:
        DatasetError: see :class:`Catalogue`.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.shelf = Shelf(catalogue)
        self.pictures = Pictures(self.shelf)
        self._files = _page_files()
        routes: dict[str, Callable[[dict[str, str]], Reply]] = {
            r"/": lambda _: self._file(PAGE),
            r"/page/(?P<name>[a-z]+\.(?:css|js|svg))": lambda ask: self._file(ask["name"]),
            r"/api/dataset": lambda _: _json(self._dataset()),
            r"/api/samples": lambda ask: _json(self._samples(ask["query"])),
            rf"/api/sample/{KEY}": lambda ask: _json(self._sample(ask["key"], ask["query"])),
            rf"/api/legend/{KEY}/{MEMBER}": lambda ask: self._legend(ask["key"], ask["member"]),
            rf"/api/pixel/{KEY}/(?P<column>[0-9]{{1,5}})/(?P<row>[0-9]{{1,5}})": self._pixel,
            rf"/picture/{KEY}/{MEMBER}\.png": lambda ask: self._picture(ask["key"], ask["member"]),
            rf"/thumbnail/{KEY}/(?P<kind>{'|'.join(THUMBNAILS)})\.jpg": self._thumbnail,
        }
        self._routes = [(re.compile(pattern), answer) for pattern, answer in routes.items()]

    def answer(self, path: str, query: str) -> Reply:
        """The reply to a path and the query after it. Whatever was asked for, an error is a reply, not an exception:
        400 a bad query, 404 nothing that the site has, 422 a sample that cannot be read.
        """
        for pattern, answer in self._routes:
            match = pattern.fullmatch(path)
            if match is not None:
                try:
                    return answer({**match.groupdict(), "query": query})
                except QueryError as error:
                    return failure(400, str(error))
                except AbsentError as error:
                    return failure(404, str(error))
                except MageError as error:
                    return failure(422, str(error))
        return failure(404, "no such address")

    def _file(self, name: str) -> Reply:
        if name not in self._files:
            return failure(404, "no such address")
        return Reply(200, name.rpartition(".")[2], self._files[name])

    def _dataset(self) -> dict[str, Any]:
        manifest = self.catalogue.manifest
        shown = {name: getattr(manifest, name) for name in ("name", "counts", "size", "gsd", "seed", "recipe_hash")}
        return shown | {
            "samples": self.catalogue.table.num_rows,
            "grades": [{"name": n, "colour": c} for n, c in zip(JDS_NAMES, DAMAGE_COLOURS[1:], strict=True)],
            "sorts": {name: words for name, (_, _, words) in SORTS.items()},
            "sensors": [sensor.model_dump() for sensor in manifest.sensors],
            "sources": manifest.sources,
            "versions": manifest.versions,
        }

    def _samples(self, query: str) -> dict[str, Any]:
        wanted = parse_query(query)
        columns = [*SHOWN_COLUMNS, *(f"jds_{grade}" for grade in range(len(JDS_NAMES)))]
        rows = [{name: row[name] for name in columns} for row in self.catalogue.page(wanted)]
        return {"total": len(self.catalogue.order(wanted)), "rows": rows, "facets": self.catalogue.facets(wanted)}

    def _sample(self, key: str, query: str) -> dict[str, Any]:
        """A sample's record, its rasters, and its place among those that the query finds."""
        order = self.catalogue.order(parse_query(query))
        place = np.flatnonzero(order == self.catalogue.row(key))
        position = int(place[0]) if len(place) else None
        record = self.shelf.record(key)
        if record.key != key:
            raise DatasetError("the record is of another sample", file=key, found=repr(record.key))
        return {
            "record": json.loads(encode_record(record)),
            "position": position,
            "total": len(order),
            "previous": self._key(order, position, -1),
            "next": self._key(order, position, +1),
            "layers": _layers(record.label_style),
            "bands": _bands([image.model_dump() for image in record.images]),
        }

    def _key(self, order: Any, position: int | None, step: int) -> str | None:
        """The key beside a position of an order."""
        if position is None or not 0 <= position + step < len(order):
            return None
        return str(self.catalogue.table["key"][int(order[position + step])].as_py())

    def _has(self, key: str, member: str) -> bool:
        return member in raster_kinds(self.shelf.record(key))

    def _legend(self, key: str, member: str) -> Reply:
        if not self._has(key, member) or member in ("pre", "post"):
            return failure(404, "no such raster")
        return _json(self.pictures.legend(key, member))

    def _picture(self, key: str, member: str) -> Reply:
        if not self._has(key, member):
            return failure(404, "no such raster")
        return Reply(200, "png", self.pictures.picture(key, member))

    def _thumbnail(self, ask: dict[str, str]) -> Reply:
        return Reply(200, "jpg", self.pictures.thumbnail(ask["key"], ask["kind"]))

    def _pixel(self, ask: dict[str, str]) -> Reply:
        return _json(self.pictures.pixel(ask["key"], int(ask["column"]), int(ask["row"])))


def failure(status: int, reason: str) -> Reply:
    """A reply that says what went wrong."""
    return Reply(status, "json", json.dumps({"error": reason}).encode())


def _json(content: Any) -> Reply:
    return Reply(200, "json", json.dumps(content, ensure_ascii=False, allow_nan=False).encode(errors="replace"))


def _page_files() -> dict[str, bytes]:
    folder = files("mage.scenes.dataset.browse").joinpath("page")
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.name.rpartition(".")[2] in KINDS}


def _layers(style: str) -> list[dict[str, Any]]:
    """The label rasters of a sample, those of both dates together: name, title for people, dates, meaning by date."""
    layers: dict[str, dict[str, Any]] = {}
    for member, label in sorted(label_members(style).items(), reverse=True):  # before comes before after
        layer = layers.setdefault(label.name, {"name": label.name, "title": TITLES.get(label.name), "meanings": {}})
        layer["meanings"][member.partition("_")[0]] = label.meaning
    order = {name: place for place, name in enumerate(TITLES)}
    return sorted(layers.values(), key=lambda layer: order.get(layer["name"], len(order)))


def _bands(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The further images of a sample, those of both dates together, by sensor and band."""
    bands = {}
    for image in images:
        match = SENSOR_MEMBER.fullmatch(image["member"])
        assert match is not None  # the record's schema says so
        sensor, band = match[2], match[3]
        bands[sensor, band] = {"sensor": sensor, "band": band, **{n: image[n] for n in ("rows", "columns", "gsd")}}
    return list(bands.values())
