"""A release: a dataset with the documents that go with it, a list of checksums, and ``release.json`` that ties them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field, ValidationError
from tqdm import tqdm

from mage.scenes.campaign import SPLIT
from mage.scenes.dataset.codec import first_mistake
from mage.scenes.dataset.index import read_index
from mage.scenes.dataset.schema import DatasetRecord, Record
from mage.scenes.dataset.store import SHARDS, Store, file_sha256, open_store, read_text
from mage.scenes.errors import DatasetError

FORMAT = "mage-release/1"
RELEASE, SUMS = "release.json", "SHA256SUMS"
README, DATASHEET, LICENCES = "README.md", "DATASHEET.md", "LICENSES.md"
CROISSANT, DATACITE, ZENODO, CITATION = "croissant.json", "datacite.json", ".zenodo.json", "CITATION.cff"
BASELINES, BASELINE_TABLE = "baselines.json", "baselines.md"
COLLECTION, ITEMS, TILES, SPLITS, PREVIEWS = "stac/collection.json", "stac/shards", "stac/samples", "splits", "previews"
FOLDERS = ("", SHARDS, SPLITS, PREVIEWS, "stac", ITEMS, TILES)
DOCUMENTS = (README, DATASHEET, LICENCES, CROISSANT, DATACITE, ZENODO, CITATION, BASELINES, BASELINE_TABLE, COLLECTION)
NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,94}[A-Za-z0-9])?$"
VERSION = r"^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]{1,40})?$"


class SplitCounts(Record):
    """What a split holds."""

    samples: int = Field(ge=0)
    buildings: int = Field(ge=0)
    damaged: int = Field(ge=0, description="buildings of which the Joint Damage Scale is not 0")


class ReleaseRecord(Record):
    """``release.json``: what is stated once here is stated likewise by every document of the release."""

    format: str = FORMAT
    name: str = Field(pattern=NAME)
    version: str = Field(pattern=VERSION)
    title: str
    description: str
    licence: str
    authors: list[str] = Field(min_length=1)
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    doi: str | None
    dataset: str
    index_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    splits: dict[Annotated[str, Field(pattern=rf"^{SPLIT}$")], SplitCounts]


def is_release(root: Store | str | Path) -> bool:
    """Whether a folder claims to be a release."""
    store = open_store(root)
    return any(store.size(name) is not None for name in (RELEASE, SUMS))


def open_release(root: Store | str | Path) -> ReleaseRecord:
    """The record of the release in a folder.

    Raises:
        DatasetError: no such record, or one that is damaged or of a newer format.
    """
    store = open_store(root)
    try:
        record = ReleaseRecord.model_validate_json(read_text(store, RELEASE))
    except ValidationError as error:
        raise DatasetError(f"damaged: {first_mistake(error)}", file=store.where(RELEASE)) from None
    if record.format != FORMAT:
        reason = "in a format that this MAGE cannot read"
        raise DatasetError(reason, file=store.where(RELEASE), expected=FORMAT, found=record.format)
    return record


def split_counts(root: Store | str | Path, manifest: DatasetRecord) -> dict[str, SplitCounts]:
    """Samples and buildings of each split, in the order of their names, as the index has them."""
    table = read_index(root, manifest.index_sha256)
    totals: dict[str, list[int]] = {}
    columns = [table[name].to_pylist() for name in ("split", "buildings", "jds_0")]
    for split, buildings, unharmed in zip(*columns, strict=True):
        total = totals.setdefault(split, [0, 0, 0])
        for k, count in enumerate((1, buildings, buildings - unharmed)):
            total[k] += count
    return {
        split: SplitCounts(samples=total[0], buildings=total[1], damaged=total[2])
        for split, total in sorted(totals.items())
    }


def write_sums(root: Path, *, progress: bool = False) -> None:
    """Write the checksums of all files of a release, as ``sha256sum -c`` reads them."""
    names = sorted(name for name in release_files(root) if name != SUMS)
    digests = digests_of(open_store(root), names, progress=progress)
    lines = [f"{digest}  {name}\n" for name, digest in zip(names, digests, strict=True)]
    (root / SUMS).write_text("".join(lines), encoding="utf-8")


def read_sums(root: Store | str | Path) -> dict[str, str]:
    """Checksums by file name.

    Raises:
        DatasetError: no such file, or a line that is not ``DIGEST  NAME`` or leads out of the folder.
    """
    store = open_store(root)
    sums: dict[str, str] = {}
    for number, line in enumerate(read_text(store, SUMS).splitlines(), 1):
        digest, blank, name = line.partition("  ")
        parts = PurePosixPath(name).parts
        if len(digest) != 64 or not blank or not parts or name.startswith("/") or ".." in parts or name in sums:
            raise DatasetError(
                f"line {number} is refused", file=store.where(SUMS), expected="DIGEST  NAME", found=repr(line[:120])
            )
        sums[name] = digest
    return sums


def release_files(root: Store | str | Path) -> dict[str, int | None]:
    """Names of all that lies in the folders of a release, with their bytes; None for what is no plain file."""
    store, found = open_store(root), {}
    for folder in FOLDERS:
        for name, size in store.sizes(folder).items():
            found[f"{folder}/{name}" if folder else name] = size
    return {name: size for name, size in sorted(found.items()) if name not in FOLDERS}


def digests_of(store: Store, names: Iterable[str], *, progress: bool = False) -> Iterator[str]:
    """Checksums of files, several at once: hashing lets other threads run."""

    def _digest(name: str) -> str:
        with store.fetch(name) as path:
            return file_sha256(path)

    names = list(names)
    with ThreadPoolExecutor() as pool:
        hashed = pool.map(_digest, names)
        yield from tqdm(hashed, total=len(names), desc="checksums", unit="file", disable=None if progress else True)
