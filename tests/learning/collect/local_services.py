"""A STAC API, its files by range requests, a WMS and a WMTS, all of them small and on 127.0.0.1."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np

CORE = "https://api.stacspec.org/v1.0.0"
CONFORMS = [f"{CORE}/core", f"{CORE}/collections", f"{CORE}/item-search"]


@dataclass
class Services:
    """What is served: files of a folder, items of a collection; and what was asked."""

    files: Path
    url: str = ""
    items: list = field(default_factory=list)
    licence: str = "CC-BY-4.0"
    asked: list = field(default_factory=list)  # (path with query, agent, bytes sent)
    busy: int = 0  # answers of 503 before others
    broken: dict = field(default_factory=dict)  # answers by path, instead of the right ones: status, type, bytes

    def collection(self):
        return {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": "aerial",
            "description": "drawn",
            "license": self.licence,
            "providers": [{"name": "The Drawers"}],
            "extent": {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[None, None]]}},
            "links": [],
        }

    def landing(self):
        search = {"rel": "search", "href": f"{self.url}/stac/search", "type": "application/geo+json", "method": "POST"}
        data = {"rel": "data", "href": f"{self.url}/stac/collections", "type": "application/json"}
        root = {"rel": "root", "href": f"{self.url}/stac", "type": "application/json"}
        base = {"type": "Catalog", "stac_version": "1.0.0", "id": "local", "description": "drawn"}
        return base | {"conformsTo": CONFORMS, "links": [root, search, data]}

    def page(self, question):
        """Two items a page, so that a client has to turn pages."""
        first = question.get("token", 0)
        links = []
        if first + 2 < len(self.items):
            body = question | {"token": first + 2}
            links = [{"rel": "next", "href": f"{self.url}/stac/search", "method": "POST", "body": body}]
        return {"type": "FeatureCollection", "features": self.items[first : first + 2], "links": links}

    def add(self, name, assets, cloud=10.0, date="2023-02-06T08:11:09Z"):
        properties = {"datetime": date} | ({} if cloud is None else {"eo:cloud_cover": cloud})
        ring = [[-180, -85], [180, -85], [180, 85], [-180, 85], [-180, -85]]
        self.items.append(
            {
                "type": "Feature",
                "stac_version": "1.0.0",
                "id": name,
                "collection": "aerial",
                "geometry": {"type": "Polygon", "coordinates": [ring]},
                "bbox": [-180, -85, 180, 85],
                "properties": properties,
                "links": [{"rel": "self", "href": f"{self.url}/stac/collections/aerial/items/{name}"}],
                "assets": {key: {"href": href} for key, href in assets.items()},
            }
        )


def map_picture(question):
    """A picture that says where it is: red from its column or west, green from its row or north."""
    if question["REQUEST"] == "GetMap":
        west, south, _, north = map(float, question["BBOX"].split(","))
        side, where = int(question["WIDTH"]), (west, north, south)
    else:
        side, where = 256, (int(question["TILECOL"]), int(question["TILEROW"]), 0)
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[..., 2], pixels[..., 1] = int(where[0]) % 251, int(where[1]) % 251
    pixels[: side // 2, :, 0] = 200
    if question.get("LAYERS", question.get("LAYER")) == "nothing":
        pixels[:] = 255
    return cv2.imencode(".png", pixels)[1].tobytes()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do_HEAD(self):
        self._answer(None)

    def do_GET(self):
        self._answer(None)

    def do_POST(self):
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _answer(self, body):
        services, at = self.server.services, urlsplit(self.path)
        if services.busy:
            services.busy -= 1
            return self._send(503, "text/plain", b"busy", {"Retry-After": "0"})
        if at.path in services.broken:
            return self._send(*services.broken[at.path])
        if at.path.startswith("/files/"):
            return self._file(services.files / at.path.removeprefix("/files/"))
        if at.path in ("/wms", "/wmts"):
            question = {key: values[0] for key, values in parse_qs(at.query, keep_blank_values=True).items()}
            return self._send(200, "image/png", map_picture(question))
        known = {"/stac": services.landing, "/stac/": services.landing, "/stac/collections/aerial": services.collection}
        if at.path == "/stac/search" and body is not None:
            return self._send(200, "application/json", json.dumps(services.page(body)).encode())
        if at.path in known:
            return self._send(200, "application/json", json.dumps(known[at.path]()).encode())
        return self._send(404, "application/json", b'{"code": "NotFound"}')

    def _file(self, path):
        if not path.is_file():
            return self._send(404, "text/plain", b"")
        data = path.read_bytes()
        headers = {"Accept-Ranges": "bytes"}
        if wanted := self.headers.get("range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last or len(data)) + 1, len(data))
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
            return self._send(206, "image/tiff", data[start:end], headers)
        return self._send(200, "image/tiff", data, headers)

    def _send(self, status, kind, data, headers=()):
        length = len(data) if self.command != "HEAD" else 0
        self.server.services.asked.append((self.path, self.headers.get("user-agent", ""), length))
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    def handle_error(self, *words):
        """Clients may go away in the middle of an answer."""


@contextmanager
def serve(files):
    """The services, running."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.services = Services(files, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.services
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
