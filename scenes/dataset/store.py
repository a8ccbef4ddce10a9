"""Where datasets lie: files that are there whole or not at all, and shards that are done when their side file says so.

A store is a folder (:class:`LocalStore`) or a prefix of an object store (:mod:`mage.scenes.dataset.remote`). Several
processes and machines may write the same dataset at the same time: a shard is a pure function of its job, so whoever is
first wins, and the others find what they would have written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from pydantic import ValidationError

from mage.scenes.dataset.codec import encode_sample
from mage.scenes.dataset.fields import label_members
from mage.scenes.dataset.folder import LARGEST_TEXT
from mage.scenes.dataset.folder import LocalStore as LocalStore  # one import for all that is about stores
from mage.scenes.dataset.rows import SampleRow, SideRecord, add_pixels, sample_row
from mage.scenes.dataset.schema import SampleRecord, ShardRecord
from mage.scenes.dataset.tar import write_tar
from mage.scenes.errors import DatasetError

SHARDS = "shards"
READERS = 16  # side files read at a time: of a distant store, most of the time is waiting
AHEAD = 256  # side files that may have been read and wait for their turn
LABEL_FILES = frozenset(f"{name}.png" for name in label_members("annotator"))

Item = TypeVar("Item")
Result = TypeVar("Result")


class Recorded(Protocol):
    """What a sample's record says whatever the sample is."""

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def event(self) -> str: ...  # noqa: D102


class Storable(Protocol):
    """What can be in a shard: a labelled sample, or a tile without labels."""

    @property
    def record(self) -> Recorded:
        """Its record."""


class Store(Protocol):
    """Named files under one roof; a name is relative, its parts parted by ``/``.

    Every method raises DatasetError, which names the file, where the store cannot be reached, read or written.
    """

    @property
    def place(self) -> str:
        """The store's path or URL."""

    def where(self, name: str) -> str:
        """Path or URL of a file, for errors."""

    def check(self) -> None:
        """Raise DatasetError where there is no such folder, bucket or prefix."""

    def publish(self, name: str, write: Callable[[Path], object], *, once: bool = False) -> bool:
        """Let ``write`` fill an empty local file aside, then have it appear as ``name`` in one step.

        Whatever ``write`` raises, nothing is left behind. With ``once`` a file that is there already stays.

        Returns:
            Whether this file is the one that is there now.
        """

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""

    def size(self, name: str) -> int | None:
        """Bytes of a file, None where there is no plain file of this name."""

    def sizes(self, folder: str = "") -> dict[str, int | None]:
        """Names in a folder with their bytes, None for what is not a plain file; empty where there is no folder."""

    def read(self, name: str, largest: int = LARGEST_TEXT) -> bytes:
        """Content of a plain file of at most ``largest`` bytes."""

    def fetch(self, name: str) -> AbstractContextManager[Path]:
        """A plain file as a local one, which may be a copy that goes when the context ends."""

    def clean_partial(self) -> None:
        """Remove what killed processes left behind, and nothing that another still writes."""


def open_store(place: Store | str | Path, aside: Path | None = None) -> Store:
    """The store at a path or URL (``s3://bucket/prefix``); a store is handed back as it is.

    Nothing is read or written yet. ``aside`` is a folder for files on their way to or from a URL, None the system's.

    Raises:
        DatasetError: a URL of no kind that is known.
        MissingExtraError: one that needs a package which is not installed.
    """
    if not isinstance(place, str | Path):
        return place
    kind, mark, rest = str(place).partition("://")
    if mark and kind not in ("file", "local"):
        from mage.scenes.dataset.remote import RemoteStore  # fsspec's file systems take a moment to import

        return RemoteStore(str(place), aside)
    return LocalStore(Path(rest if mark else place))


class TakenError(DatasetError):
    """Another writer was first with a shard of the same name and other bytes, which stays; ``record`` describes it."""

    def __init__(self, store: Store, record: ShardRecord, ours: ShardRecord) -> None:
        same = "the labels agree" if record.labels_sha256 == ours.labels_sha256 else "the labels differ as well"
        super().__init__(
            f"another writer was first, with other bytes; its shard stays ({same})",
            file=store.where(f"{SHARDS}/{record.name}"),
            expected=f"sha256 {ours.sha256}",
            found=record.sha256,
        )
        self.record = record


def open_folder(place: str) -> Path:
    """The folder at a path, for what reads samples here and there.

    Raises:
        DatasetError: it is a place in an object store.
    """
    store = open_store(place)
    if isinstance(store, LocalStore):
        return store.root
    raise DatasetError("only a folder can be read here: copy the dataset into one", file=place, expected="a path")


class OlderError(DatasetError):
    """A side file without the rows of its shard's samples, as MAGE wrote them before they were kept there."""

    def __init__(self, file: str) -> None:
        super().__init__(
            "a side file by an older MAGE: render into a new folder, or go on with the MAGE that began here",
            file=file,
            expected="rows and pixels of its samples",
            found="none",
        )


def write_shard(
    store: Store,
    name: str,
    samples: Iterable[Storable],
    recipe_hash: str,
    encode: Callable[[Any], list[tuple[str, bytes]]] | None = None,
) -> ShardRecord:
    """Publish samples as the tar ``shards/NAME``, then its side file, which makes it done.

    Samples are taken one by one and held no longer than it takes to write them. Of several writers of one shard the
    first wins; the others return the same record. ``encode`` makes the members of samples that are not labelled ones;
    the side file of such a shard has no rows.

    Raises:
        DatasetError: no samples, samples of two events or of another recipe, a key that stands twice, a sample that
            does not fit the schema, a full disk.
        TakenError: the shard is done already, with other bytes.
    """
    if shard_is_done(store, name, recipe_hash, bare=encode is not None) is None:
        store.remove(side_name(name))  # first, so that an old one never vouches for a new tar
        store.remove(f"{SHARDS}/{name}")
    written: list[ShardRecord] = []
    fresh = store.publish(
        f"{SHARDS}/{name}", lambda path: written.append(_write(path, name, samples, recipe_hash, encode)), once=True
    )
    side = written[0]
    record = side.shard if isinstance(side, SideRecord) else side
    if not fresh:
        _check_agreement(store, record, bare=encode is not None)
    publish_side(store, side)
    return record


def _write(
    path: Path,
    name: str,
    samples: Iterable[Storable],
    recipe_hash: str,
    encode: Callable[[Any], list[tuple[str, bytes]]] | None,
) -> ShardRecord:
    """Write a tar and describe it."""
    keys: list[str] = []
    events: list[str] = []
    rows: list[SampleRow] = []
    pixels: dict[str, dict[str, int]] = {}
    labels = hashlib.sha256()

    def _members() -> Iterator[tuple[str, bytes]]:
        for sample in samples:
            encoded = (encode or encode_sample)(cast("Any", sample))
            keys.append(sample.record.key)
            events.append(sample.record.event)
            if events[-1] != events[0]:
                raise DatasetError("samples of two events in a shard", file=name, found=f"{events[0]}, {events[-1]}")
            if encode is None:
                rows.append(_row(sample.record, name, recipe_hash))
                add_pixels(pixels, cast("SampleRecord", sample.record).pixels)
            for member, data in encoded:
                if member.partition(".")[2] in LABEL_FILES:
                    labels.update(member.encode() + data)
                yield member, data
        if not keys:
            raise DatasetError("a shard needs a sample", file=name)

    write_tar(path, _members())
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
    return record if encode else SideRecord(**record.model_dump(), rows=rows, pixels=pixels)


def _row(record: Any, shard: str, recipe_hash: str) -> SampleRow:
    """The row of a labelled sample, which must be of the shard's recipe."""
    row = sample_row(record)
    if row.recipe_hash != recipe_hash:
        raise DatasetError(
            "a sample of another recipe than the shard", file=shard, expected=recipe_hash, found=row.recipe_hash
        )
    return row


def _check_agreement(store: Store, ours: ShardRecord, *, bare: bool) -> None:
    """See that the shard which another writer published is the one that we wrote."""
    done = shard_is_done(store, ours.name, ours.recipe_hash, bare=bare)
    if done is not None and done != ours:
        raise TakenError(store, done, ours)
    if done is None:  # its writer is about to write the side file, or is gone
        with store.fetch(f"{SHARDS}/{ours.name}") as path:
            found = file_sha256(path)
        if found != ours.sha256:
            raise DatasetError(
                "another writer published other bytes at the same time; render this shard again",
                file=store.where(f"{SHARDS}/{ours.name}"),
                expected=f"sha256 {ours.sha256}",
                found=found,
            )


def shard_is_done(
    store: Store, name: str, recipe_hash: str, *, full: bool = False, bare: bool = False
) -> ShardRecord | None:
    """The shard's record when its side file, size and recipe agree, else None; ``full`` compares its content too.
    ``bare`` is for shards of samples without labels, whose side files have no rows.
    """
    file = f"{SHARDS}/{name}"
    size = store.size(file)
    if size is None or store.size(side_name(name)) is None:
        return None
    record = _stated(store, name, bare)
    if record is None or (record.name, record.recipe_hash, record.bytes) != (name, recipe_hash, size):
        return None
    if full:
        with store.fetch(file) as path:
            return record if file_sha256(path) == record.sha256 else None
    return record


def done_shards(store: Store, wanted: Mapping[str, str]) -> dict[str, ShardRecord]:
    """Records of the shards that are done among those ``wanted``, a recipe hash by name; see :func:`shard_is_done`.

    Asks the store once for its list, and for side files in many threads.
    """
    sizes = store.sizes(SHARDS)
    there = [n for n in wanted if sizes.get(n) is not None and sizes.get(Path(side_name(n)).name) is not None]
    found = zip(there, ahead(lambda name: _stated(store, name), there), strict=True)
    return {
        name: record
        for name, record in found
        if record and (record.name, record.recipe_hash, record.bytes) == (name, wanted[name], sizes[name])
    }


def ahead(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """``work`` on each item in many threads, results in their order; few of them are held at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        for first in range(0, len(items), AHEAD):
            yield from pool.map(work, items[first : first + AHEAD])


def _stated(store: Store, shard: str, bare: bool = False) -> ShardRecord | None:
    """What a side file says of its shard, None where it is damaged."""
    try:
        if bare:
            return ShardRecord.model_validate_json(store.read(side_name(shard)))
        return read_side(store, shard).shard
    except OlderError:
        raise  # the shard may be good: rendering it again behind the user's back could cost days
    except (DatasetError, ValidationError):
        return None


def read_side(store: Store, shard: str) -> SideRecord:
    """The content of a shard's side file.

    Raises:
        OlderError: it is of an older MAGE.
        DatasetError: it is not there or is something else.
    """
    name = side_name(shard)
    try:
        return SideRecord.model_validate_json(store.read(name))
    except ValidationError as error:
        lacking = {mistake["loc"] for mistake in error.errors() if mistake["type"] == "missing"}
        if error.error_count() == len(lacking) and lacking == {("rows",), ("pixels",)}:
            raise OlderError(store.where(name)) from None
        raise DatasetError("not the side file of a shard", file=store.where(name)) from None


def publish_side(store: Store, side: ShardRecord) -> None:
    """Publish a shard's side file, which makes the shard done."""
    publish_text(store, side_name(side.name), side.model_dump_json(indent=1) + "\n")


def side_name(shard: str) -> str:
    """``train-000000.tar`` -> ``shards/train-000000.json``."""
    return f"{SHARDS}/{shard.removesuffix('.tar')}.json"


def publish_text(store: Store, name: str, text: str, *, once: bool = False) -> bool:
    """Publish a text file in UTF-8; as :meth:`Store.publish`."""
    return store.publish(name, lambda path: path.write_bytes(text.encode()), once=once)


def read_text(store: Store, name: str, largest: int = LARGEST_TEXT) -> str:
    """A text file in UTF-8 of at most ``largest`` bytes; DatasetError if it is not one."""
    try:
        return store.read(name, largest).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DatasetError(f"cannot be read as text: {error}", file=store.where(name)) from None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
