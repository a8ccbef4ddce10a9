"""An S3 server on this machine that can be told to fail: moto behind a gate."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

BODY = "<Error><Code>{code}</Code><Message>{code}</Message></Error>"
CODES = {412: "PreconditionFailed", 500: "InternalError", 503: "SlowDown"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass
class Gate:
    """A WSGI application in front of another: ``fault`` may answer in its place, with a status, or after it did."""

    behind: Any
    fault: Callable[[str, str], int | None] = lambda method, path: None
    done_and_lost: Callable[[str, str], bool] = lambda method, path: False
    seen: list[tuple[str, str]] = field(default_factory=list)
    sent: int = 0  # bytes of answers
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self.lock:
            self.seen.append((method, path))
            status = self.fault(method, path)
            if status == 412 and "HTTP_IF_NONE_MATCH" not in environ:
                status = None  # no condition can have failed
            lost = status is None and self.done_and_lost(method, path)
        if status is None and not lost:
            return self._counted(self.behind(environ, start))
        if lost:  # the store does as it is told, and its answer gets lost
            b"".join(self.behind(environ, lambda *_: None))
            status = 500
        else:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = BODY.format(code=CODES[status]).encode()
        start(f"{status} {CODES[status]}", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    def _counted(self, answer: Iterable[bytes]) -> Iterator[bytes]:
        for part in answer:
            with self.lock:
                self.sent += len(part)
            yield part


@dataclass
class Server:
    """A running server."""

    gate: Gate
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which clients find it."""
        return CREDENTIALS | {"AWS_ENDPOINT_URL": self.url}


@contextmanager
def serve_s3(bucket: str = "bucket") -> Iterator[Server]:
    """A server that holds one empty bucket."""
    gate = Gate(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, gate, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        running = Server(gate, f"http://127.0.0.1:{server.server_port}")
        _make_bucket(running, bucket)
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _make_bucket(server: Server, bucket: str) -> None:
    import urllib.request

    request = urllib.request.Request(f"{server.url}/{bucket}", method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
