"""The local server: one address on this machine alone, that only reads."""

from __future__ import annotations

import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from mage.scenes.dataset.browse.catalogue import Catalogue
from mage.scenes.dataset.browse.site import KINDS, Reply, Site, failure
from mage.scenes.errors import MageError

ADDRESS = "127.0.0.1"
LONGEST_TARGET = 4096  # characters of a request's address
PATIENCE = 60  # seconds that a connection may be silent
HEADERS = {
    # nothing but this server's own files and pictures, no script inside the page, none that strings could become
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",  # other sites cannot even show the pictures
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # the same port may show another dataset tomorrow
}


class BrowseServer(socketserver.ThreadingTCPServer):
    """Serves one dataset at ``http://127.0.0.1:PORT/``.

    Args:
        root: the dataset's folder.
        port: 0 takes one that is free.

    Raises:
        DatasetError: the folder holds no finished dataset.
        MageError: the port cannot be had.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, root: Path, port: int = 0) -> None:
        self.site = Site(Catalogue(root))
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise MageError(f"port {port} cannot be had: {error.strerror}; --port 0 takes a free one") from None
        self.port = int(self.server_address[1])
        self.url = f"http://{ADDRESS}:{self.port}/"
        # a name that a stranger's page made point here is another Host, and is refused
        self.hosts = {f"{name}:{self.port}" for name in (ADDRESS, "localhost")}
        if self.port == 80:  # which browsers leave out
            self.hosts |= {ADDRESS, "localhost"}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke, as they do when a page is left, is nobody's concern."""


class _Handler(BaseHTTPRequestHandler):
    server: BrowseServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mage", ""
    timeout = PATIENCE
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._send(self._reply())

    do_HEAD = do_GET  # noqa: N815 - the names that http.server looks for

    def _refuse(self) -> None:
        self.close_connection = True  # a body that nobody reads must not pass for the next request
        self._send(failure(405, "this page can only be read"), {"Allow": "GET, HEAD"})

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def _reply(self) -> Reply:
        if self.headers.get_all("Host", []) not in [[host] for host in self.server.hosts]:
            return failure(403, f"open {self.server.url}: other names are refused")
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return failure(400, "a request to read has no body")
        if len(self.path) > LONGEST_TARGET:
            return failure(414, "the address is too long")
        path, _, query = self.path.partition("?")
        try:
            return self.server.site.answer(path, query)
        except Exception as error:  # a fault of ours is told to the page, and the server goes on
            return failure(500, f"a fault in MAGE: {type(error).__name__}: {error}")

    def _send(self, reply: Reply, more: dict[str, str] | None = None) -> None:
        self.send_response(reply.status)
        length = {"Content-Type": KINDS[reply.kind], "Content-Length": str(len(reply.body))}
        for name, value in {**HEADERS, **length, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Requests are not told."""
