"""Object stores, and whatever else fsspec reaches, as stores of datasets.

A store that answers with an error of its own is asked again for a while; one that says that a file is there already
(412 to a conditional put) is believed at once.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import numpy as np

from mage.scenes.dataset.folder import FULL, LARGEST_TEXT, PARTIAL
from mage.scenes.errors import DatasetError, MissingExtraError

# what puts a file in one step, and on request only where there is none
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "memory"})
OPTIONS: dict[str, dict[str, Any]] = {
    # fewer and sooner ended tries than by default: they are repeated here
    "s3": {"config_kwargs": {"connect_timeout": 10, "retries": {"mode": "standard", "max_attempts": 3}}}
}
OPTIONS["s3a"] = OPTIONS["s3"]
EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3")}
TRIES, FIRST_PAUSE, LONGEST_PAUSE = 6, 0.5, 20.0  # the pauses double: 15 seconds in all
PASSING = (408, 409, 425, 429)  # HTTP: another moment may do; 409 is a race of conditional puts
NOT_IMPLEMENTED = 501  # as by stores that know no conditional puts
PASSING_NUMBERS = (errno.EBUSY, errno.EIO, errno.ETIMEDOUT, getattr(errno, "EREMOTEIO", errno.EIO))
# by name, so that no backend need be imported: of botocore and of aiohttp
PASSING_KINDS = frozenset({"HTTPClientError", "ClientConnectionError", "ClientPayloadError", "FSTimeoutError"})
NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "ProfileNotFound",
        "TokenRetrievalError",
    }
)

T = TypeVar("T")


class RemoteStore:
    """A prefix of an object store.

    Args:
        place: its URL, ``s3://bucket/prefix``. Endpoint and credentials come from where its library looks for them.
        aside: folder for files on their way, None for the system's.

    Raises:
        DatasetError: not a URL that fsspec knows, or one that chains several.
        MissingExtraError: what it needs is not installed.
    """

    def __init__(self, place: str, aside: Path | None = None) -> None:
        self.kind, _, rest = place.partition("://")
        if not rest.strip("/"):
            raise DatasetError("names no place in the store", file=place, expected=f"{self.kind}://bucket/prefix")
        self.place, self.aside = place.rstrip("/"), aside
        self._files, self._root = _connect(self.place, self.kind)

    def where(self, name: str) -> str:
        """URL of a file."""
        return f"{self.place}/{name}"

    def check(self) -> None:
        """Raise DatasetError where there is no such bucket, or nothing under the prefix."""
        if not self.sizes():
            raise DatasetError("nothing is there", file=self.place, expected="the prefix of a dataset")

    def publish(self, name: str, write: Callable[[Path], object], *, once: bool = False) -> bool:
        """Write a local file, then put it: on object stores conditionally, elsewhere aside and then moved."""
        with self._folder() as folder:
            local = folder / name.rpartition("/")[2]
            local.touch()
            write(local)
            try:
                return self._put(local, name, once)
            except FileNotFoundError:
                raise DatasetError("no such bucket or folder", file=self.place) from None

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        with suppress(FileNotFoundError):
            self._ask(lambda: self._files.rm_file(self._path(name)), name)

    def size(self, name: str) -> int | None:
        """Bytes of a file, None where there is none."""
        try:
            facts = self._ask(lambda: self._files.info(self._path(name)), name)
        except FileNotFoundError:
            return None
        return int(facts["size"]) if facts["type"] == "file" else None

    def sizes(self, folder: str = "") -> dict[str, int | None]:
        """Names in a folder with their bytes, None for folders."""
        path = self._path(folder)
        try:
            entries = self._ask(lambda: self._files.ls(path, detail=True), folder)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        names = {e["name"].rstrip("/").rpartition("/")[2]: e for e in entries if e["name"].rstrip("/") != path}
        return {name: int(e["size"]) if e["type"] == "file" else None for name, e in names.items()}

    def read(self, name: str, largest: int = LARGEST_TEXT) -> bytes:
        """Content of a file of at most ``largest`` bytes."""
        size = self.size(name)
        if size is None:
            raise DatasetError("no such file", file=self.where(name))
        if size > largest:
            raise DatasetError("not a file that is read", file=self.where(name), expected=f"at most {largest} bytes")
        content: bytes = self._found(lambda: self._files.cat_file(self._path(name)), name)
        return content

    @contextmanager
    def fetch(self, name: str) -> Iterator[Path]:
        """A copy of a file in a folder that goes when the context ends."""
        with self._folder() as folder:
            local = folder / name.rpartition("/")[2]
            self._found(lambda: self._files.get_file(self._path(name), str(local)), name)
            yield local

    def clean_partial(self) -> None:
        """Nothing: who still writes aside cannot be told from here; object stores hold nothing that is half there."""

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """A folder for a file on its way, which goes with it."""
        under = self.aside or Path(tempfile.gettempdir())
        try:
            with tempfile.TemporaryDirectory(prefix="mage-", dir=under, ignore_cleanup_errors=True) as folder:
                yield Path(folder)
        except OSError as error:
            if error.errno not in FULL and under.is_dir():
                raise
            raise DatasetError(f"no room for files on their way ({error.strerror})", file=under) from None

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _put(self, local: Path, name: str, once: bool) -> bool:
        path = self._path(name)
        if self.kind in OBJECT_STORES:
            return self._put_at_once(local, name, once)
        if once and self.size(name) is not None:
            return False
        aside = self._path(f"{PARTIAL}/{local.name}.{os.urandom(4).hex()}")
        for parent in (aside, path):
            self._ask(partial(self._files.makedirs, parent.rpartition("/")[0], exist_ok=True), name)
        self._ask(lambda: self._files.put_file(str(local), aside), name)
        self._ask(lambda: self._files.mv(aside, path), name)
        return True

    def _put_at_once(self, local: Path, name: str, once: bool) -> bool:
        mode = "create" if once else "overwrite"
        for _ in range(TRIES):
            try:
                self._ask(lambda: self._files.put_file(str(local), self._path(name), mode=mode), name)
                return True
            except FileExistsError:
                if once and self.size(name) is not None:
                    return False  # else another took it away again
        raise DatasetError("the store says that this file is there already, and it is not", file=self.where(name))

    def _found(self, action: Callable[[], T], name: str) -> T:
        try:
            return self._ask(action, name)
        except FileNotFoundError:
            raise DatasetError("no such file", file=self.where(name)) from None

    def _ask(self, action: Callable[[], T], name: str) -> T:
        """Do something with the store, again and again while its failure may pass.

        Raises:
            FileNotFoundError, NotADirectoryError, FileExistsError: as the store says.
            DatasetError: any other failure.
        """
        for pause in [*_pauses(), None]:
            try:
                return action()
            except Exception as error:  # each backend has errors of its own
                if _is_taken(error):
                    raise FileExistsError(name) from None
                if isinstance(error, FileNotFoundError | NotADirectoryError):
                    raise
                if pause is None or not _may_pass(error):
                    raise self._explained(error, name, gave_up=pause is None) from None
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _explained(self, error: Exception, name: str, *, gave_up: bool) -> DatasetError:
        where = self.where(name) if name else self.place
        words = " ".join(str(error).split()) or type(error).__name__
        if _kinds(error) & NO_CREDENTIALS:
            return DatasetError(f"no credentials for this store: {words}", file=where)
        if isinstance(error, PermissionError) or _status(error) in (401, 403):
            return DatasetError(f"the store refuses: {words}", file=where)
        if isinstance(error, OSError) and error.errno in FULL:
            return DatasetError(f"no space left ({words})", file=where)
        return DatasetError(
            f"the store does not answer as it should{' after many tries' * gave_up}: {words}", file=where
        )


def _connect(place: str, kind: str) -> tuple[Any, str]:
    """The file system of a URL, and the path on it."""
    if "::" in place:
        raise DatasetError("one store at a time", file=place, expected="a URL without ::")
    options = {"skip_instance_cache": True, "use_listings_cache": False}  # others write there as well
    try:
        files, root = fsspec.core.url_to_fs(place, **options, **OPTIONS.get(kind, {}))
    except ImportError as error:
        if kind in EXTRAS:
            raise MissingExtraError(*EXTRAS[kind]) from None
        raise DatasetError(f"this kind of store needs a package that is not installed: {error}", file=place) from None
    except ValueError as error:
        raise DatasetError(f"not a place for datasets: {error}", file=place, expected="a folder or s3://…") from None
    except Exception as error:
        raise DatasetError(f"this store cannot be opened: {error}", file=place) from None
    if hasattr(files, "retries"):
        files.retries = 1
    return files, root.rstrip("/")


def _pauses() -> Iterator[float]:
    """Seconds before each further try, drawn apart so that workers who failed together do not come back together."""
    rng = np.random.default_rng()
    for k in range(TRIES - 1):
        yield min(FIRST_PAUSE * 2**k, LONGEST_PAUSE) * rng.uniform(0.7, 1.3)


def _kinds(error: BaseException) -> set[str]:
    """Names of the classes that an error and its cause are of."""
    return {kind.__name__ for e in (error, error.__cause__) if e is not None for kind in type(e).__mro__}


def _answer(error: BaseException) -> dict[str, Any]:
    """What botocore keeps of a store's answer."""
    for e in (error, error.__cause__):
        if isinstance(answer := getattr(e, "response", None), dict):
            return answer
    return {}


def _status(error: BaseException) -> int:
    """The HTTP status that an error is about, 0 where it is about none."""
    return int(_answer(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_taken(error: BaseException) -> bool:
    return isinstance(error, FileExistsError) or _status(error) == 412


def _may_pass(error: Exception) -> bool:
    status = _status(error)
    if status:
        return (status >= 500 and status != NOT_IMPLEMENTED) or status in PASSING
    if isinstance(error, TimeoutError | ConnectionError) or _kinds(error) & PASSING_KINDS:
        return True
    return isinstance(error, OSError) and error.errno in PASSING_NUMBERS
