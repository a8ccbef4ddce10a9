"""Files that are there whole or not at all, and shards that are done when their side file says so."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from mage.scenes.dataset.codec import encode_sample
from mage.scenes.dataset.fields import label_members
from mage.scenes.dataset.schema import Sample, ShardRecord
from mage.scenes.dataset.tar import write_tar
from mage.scenes.errors import DatasetError

SHARDS, PARTIAL = "shards", ".partial"
LABEL_FILES = frozenset(f"{name}.png" for name in label_members("annotator"))
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LARGEST_TEXT = 1 << 30


class LocalStore:
    """A folder in which files appear in one step."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def publish(self, name: str, write: Callable[[Path], object]) -> None:
        """Let ``write`` fill a file aside, then move it to ``name`` (which may lie in a folder) in one step.

        ``write`` is given the path of an empty file. Whatever it raises, nothing is left behind.

        Raises:
            DatasetError: the disk is full, or the folder cannot be written to.
        """
        target = self.root / name
        partial: Path | None = None
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = self._aside(target.name)
            write(partial)
            _sync(partial)
            partial.replace(target)
            _sync(target.parent)
        except OSError as error:
            ours = (partial, target, *target.parents, self.root / PARTIAL)
            if error.filename is not None and Path(error.filename) not in ours:
                raise  # of something else that `write` needed
            raise _of_the_system(error, target) from None
        finally:
            if partial is not None:
                partial.unlink(missing_ok=True)
                self._tidy()

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        (self.root / name).unlink(missing_ok=True)

    def clean_partial(self) -> None:
        """Remove what killed processes left behind. Only for when no other process writes into the folder."""
        for path in sorted((self.root / PARTIAL).glob("*")):
            path.unlink(missing_ok=True)
        self._tidy()

    def _aside(self, name: str) -> Path:
        """A new empty file that no other process has."""
        folder = self.root / PARTIAL
        path = folder / f"{name}.{os.getpid()}.{os.urandom(4).hex()}"
        for _ in range(100):  # another process may remove the empty folder in between
            with suppress(FileNotFoundError, FileExistsError):
                folder.mkdir(exist_ok=True)
                path.touch(exist_ok=False)
                break
        return path

    def _tidy(self) -> None:
        with suppress(OSError):  # others still write there
            (self.root / PARTIAL).rmdir()


def write_shard(store: LocalStore, name: str, samples: Iterable[Sample], recipe_hash: str) -> ShardRecord:
    """Publish samples as the tar ``shards/NAME``, then its side file, which makes it done.

    Samples are taken one by one and held no longer than it takes to write them.

    Raises:
        DatasetError: no samples, samples of two events, a key that stands twice, a sample that does not
            fit the schema, a full disk.
    """
    keys: list[str] = []
    events: list[str] = []
    labels = hashlib.sha256()

    def members() -> Iterator[tuple[str, bytes]]:
        for sample in samples:
            keys.append(sample.record.key)
            events.append(sample.record.event)
            if events[-1] != events[0]:
                raise DatasetError("samples of two events in a shard", file=name, found=f"{events[0]}, {events[-1]}")
            for member, data in encode_sample(sample):
                if member.partition(".")[2] in LABEL_FILES:
                    labels.update(member.encode() + data)
                yield member, data
        if not keys:
            raise DatasetError("a shard needs a sample", file=name)

    store.remove(side_name(name))  # an old one must not vouch for the new tar
    store.publish(f"{SHARDS}/{name}", lambda path: write_tar(path, members()))
    path = store.root / SHARDS / name
    record = ShardRecord(
        name=name,
        event=events[0],
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        labels_sha256=labels.hexdigest(),
        samples=len(keys),
        keys=keys,
        recipe_hash=recipe_hash,
    )
    publish_text(store, side_name(name), record.model_dump_json(indent=1) + "\n")
    return record


def shard_is_done(store: LocalStore, name: str, recipe_hash: str, *, full: bool = False) -> ShardRecord | None:
    """The shard's record when its side file, size and recipe agree, else None; ``full`` compares its content too."""
    path = store.root / SHARDS / name
    try:
        record = read_side(store.root / side_name(name))
        agrees = record.name == name and record.recipe_hash == recipe_hash and path.stat().st_size == record.bytes
        return record if agrees and (not full or file_sha256(path) == record.sha256) else None
    except (DatasetError, OSError):
        return None


def read_side(path: Path) -> ShardRecord:
    """The record in a side file; DatasetError if it is not there or is something else."""
    try:
        return ShardRecord.model_validate_json(read_text(path))
    except ValidationError:
        raise DatasetError("not the side file of a shard", file=path) from None


def side_name(shard: str) -> str:
    """``train-000000.tar`` -> ``shards/train-000000.json``."""
    return f"{SHARDS}/{shard.removesuffix('.tar')}.json"


def publish_text(store: LocalStore, name: str, text: str) -> None:
    """Publish a text file in UTF-8."""
    store.publish(name, lambda path: path.write_bytes(text.encode()))


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """A text file in UTF-8 of at most ``largest`` bytes; DatasetError if it is not one."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > largest:
            raise DatasetError("not a file that is read", file=path, expected=f"at most {largest} bytes")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DatasetError("no such file", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"cannot be read as text: {error}", file=path) from None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or which names a folder has."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _of_the_system(error: OSError, target: Path) -> DatasetError:
    if error.errno in FULL:
        return DatasetError(f"no space left on the device ({error.strerror})", file=target)
    if isinstance(error, FileNotFoundError):
        return DatasetError("vanished while it was written: does another process clean this folder?", file=target)
    return DatasetError(f"cannot be written: {error.strerror}", file=target)
