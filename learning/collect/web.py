"""Asking servers politely: a few retries, a pause, time limits, and a name to be known by."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from mage.learning.rasters import AGENT, is_url
from mage.scenes.errors import DatasetError

if TYPE_CHECKING:
    import requests
    from urllib3.util import Retry

TRIES, LONGEST_WAIT = 4, 60.0  # of one question; seconds that a server may ask to wait
TIMEOUT = (10.0, 60.0)  # seconds to connect, and without a byte
LARGEST = 1 << 26  # bytes of an answer
BUSY = (429, 500, 502, 503, 504)


def retries() -> Retry:
    """How often a question is asked again, and after which pauses."""
    from urllib3.util import Retry as Again

    class Bounded(Again):
        """As urllib3's, but for a server that asks to come back in hours."""

        def get_retry_after(self, response: Any) -> float | None:
            wait = super().get_retry_after(response)
            return None if wait is None else min(wait, LONGEST_WAIT)

    return Bounded(TRIES - 1, backoff_factor=0.5, status_forcelist=BUSY, raise_on_status=False)


class Pace:
    """The least time between two questions, ``delay`` seconds."""

    def __init__(self, delay: float) -> None:
        self.delay, self._last = delay, -float("inf")

    def wait(self) -> None:
        """Sleep until the next question may be asked."""
        time.sleep(max(self._last + self.delay - time.monotonic(), 0))
        self._last = time.monotonic()


class Web:
    """A session with servers, of which two questions are ``delay`` seconds apart."""

    def __init__(self, delay: float) -> None:
        import requests
        from requests.adapters import HTTPAdapter

        self._pace = Pace(delay)
        self._session = requests.Session()
        self._session.headers["User-Agent"] = AGENT
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retries()))

    def image(self, url: str, params: dict[str, str]) -> bytes:
        """The image that a server answers with.

        Raises:
            DatasetError: no answer, an error, or something else than an image.
        """
        import requests

        if not is_url(url):
            raise DatasetError("not an address on the web", file=url, expected="http:// or https://")
        self._pace.wait()
        try:
            with self._session.get(url, params=params, timeout=TIMEOUT, stream=True) as answer:
                data = _body(answer)
                kind = answer.headers.get("content-type", "")
                if answer.status_code != 200 or not kind.startswith("image/"):
                    said = " ".join(data[:300].decode("utf-8", "replace").split())
                    found = f"status {answer.status_code}, {kind or 'no type'}: {said}"
                    raise DatasetError("the server sends no image", file=answer.url, expected="image/*", found=found)
        except requests.RequestException as error:
            raise DatasetError("the server does not answer", file=url, found=_brief(error)) from None
        return data

    def close(self) -> None:
        """End the session."""
        self._session.close()


def _body(answer: requests.Response) -> bytes:
    data = b""
    for chunk in answer.iter_content(1 << 16):
        data += chunk
        if len(data) > LARGEST:
            raise DatasetError("too long an answer", file=answer.url, expected=f"at most {LARGEST} bytes")
    return data


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
