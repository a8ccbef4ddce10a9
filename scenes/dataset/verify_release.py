"""Checking a release: its checksums, and that every document says what ``release.json`` and the dataset say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mage.scenes.dataset.index import TABLE, open_dataset, read_index
from mage.scenes.dataset.released import (
    CITATION,
    COLLECTION,
    CROISSANT,
    DATACITE,
    DOCUMENTS,
    ITEMS,
    README,
    RELEASE,
    SPLITS,
    SUMS,
    TILES,
    ZENODO,
    ReleaseRecord,
    digests_of,
    open_release,
    read_sums,
    release_files,
    split_counts,
)
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.dataset.store import SHARDS, Store, open_store, read_text
from mage.scenes.errors import DatasetError, RecipeError
from mage.scenes.yamlio import parse_yaml


def verify_release(root: Store | str | Path, *, quick: bool = False, progress: bool = False) -> list[str]:
    """What is wrong with a release beside its dataset: files that are missing, changed or not listed, and documents
    that say something else than ``release.json`` and the dataset. Each a sentence; none for a good release.

    Args:
        root: its folder or store.
        quick: believe ``dataset.json`` about the shards' checksums, and compute those of all else.
        progress: draw a progress bar on standard error, if that is a terminal.
    """
    store = open_store(root)
    present = release_files(store)
    problems = [f"{name}: is missing" for name in DOCUMENTS if present.get(name) is None]
    try:
        record, manifest = open_release(store), open_dataset(store)
        problems += _check_sums(store, present, manifest if quick else None, progress=progress)
        counts = split_counts(store, manifest)
    except DatasetError as error:
        return [*problems, str(error)]
    if record.index_sha256 != manifest.index_sha256 or record.dataset != manifest.name or record.splits != counts:
        problems.append(f"{RELEASE}: is of another dataset than the one beside it")
    for name, check in _CHECKS.items():
        try:
            problems += [f"{name}: {reason}" for reason in check(store, record, manifest)]
        except (DatasetError, RecipeError) as error:
            problems.append(str(error))
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            problems.append(f"{name}: is not such a document: {type(error).__name__}: {error}")
    return problems


def _check_sums(
    store: Store, present: dict[str, int | None], manifest: DatasetRecord | None, *, progress: bool
) -> Iterator[str]:
    """``manifest`` is believed about shards, None where they are hashed."""
    sums = read_sums(store)
    odd = sorted(name for name, size in present.items() if size is None)
    yield from (f"{name}: is no plain file, and a release holds nothing else" for name in odd)
    yield from (f"{name}: is missing" for name in sorted(set(sums) - set(present) - set(DOCUMENTS)))
    yield from (f"{name}: is not in {SUMS}" for name in sorted(set(present) - set(sums) - {SUMS}))
    known = {} if manifest is None else {f"{SHARDS}/{shard.name}": shard.sha256 for shard in manifest.shards}
    names = sorted((set(present) & set(sums)) - set(odd))
    hashed = [name for name in names if name not in known]
    found = known | dict(zip(hashed, digests_of(store, hashed, progress=progress), strict=True))
    for name in names:
        if found[name] != sums[name]:
            yield f"{name}: sha256 is wrong; expected {sums[name]}; found {found[name]}"


def _read_json(store: Store, name: str) -> Any:
    try:
        return json.loads(read_text(store, name))
    except (ValueError, RecursionError):
        raise DatasetError("damaged: not JSON", file=store.where(name)) from None


def _differ(stated: dict[str, tuple[Any, Any]]) -> Iterator[str]:
    """A sentence for each pair of expected and found that are not equal."""
    for what, (expected, found) in stated.items():
        if expected != found:
            yield f"{what} is wrong; expected {expected}; found {found}"


def _front_matter(text: str, file: str) -> Any:
    head = text.split("\n---\n", 1)[0].removeprefix("---\n") if text.startswith("---\n") else ""
    return parse_yaml(head, file)


def _check_readme(store: Store, record: ReleaseRecord, _: DatasetRecord) -> Iterator[str]:
    stated = _front_matter(read_text(store, README), README)["mage"]
    samples = {name: split.samples for name, split in record.splits.items()}
    yield from _differ(
        {
            "release": (f"{record.name} {record.version}", stated["release"]),
            "licence": (record.licence, stated["licence"]),
            "samples": (samples, stated["samples"]),
        }
    )


def _check_croissant(store: Store, record: ReleaseRecord, manifest: DatasetRecord) -> Iterator[str]:
    stated = _read_json(store, CROISSANT)
    shards = {f"{SHARDS}/{shard.name}": shard.sha256 for shard in manifest.shards}
    files = {f["contentUrl"]: f["sha256"] for f in stated["distribution"] if "contentUrl" in f}
    rows = next(r["data"] for r in stated["recordSet"] if r["@id"] == "splits")
    found = {row["splits/name"]: (row["splits/samples"], row["splits/buildings"]) for row in rows}
    yield from _differ(
        {
            "version": (record.version, stated["version"]),
            "date": (record.date, stated["datePublished"]),
            "splits": ({name: (s.samples, s.buildings) for name, s in record.splits.items()}, found),
        }
    )
    if files != shards | {TABLE: manifest.index_sha256}:
        yield "its files are not those of the dataset"


def _check_stac(store: Store, record: ReleaseRecord, manifest: DatasetRecord) -> Iterator[str]:
    stated = _read_json(store, COLLECTION)
    items = [link["href"] for link in stated["links"] if link["rel"] == "item"]
    yield from _differ(
        {
            "version": (record.version, stated["version"]),
            "splits": ({k: s.model_dump() for k, s in record.splits.items()}, stated["mage:splits"]),
            "number of items": (len(manifest.shards), len(items)),
        }
    )
    for shard in manifest.shards:
        name = shard.name.removesuffix(".tar")
        item, tiles = (_read_json(store, f"{folder}/{name}.json") for folder in (ITEMS, TILES))
        if item["assets"]["shard"]["file:checksum"] != f"1220{shard.sha256}":
            yield f"the checksum in {ITEMS}/{name}.json is wrong"
        if [tile["id"] for tile in tiles["features"]] != shard.keys:
            yield f"the samples in {TILES}/{name}.json are not those of {shard.name}"


def _check_metadata(store: Store, record: ReleaseRecord, _: DatasetRecord) -> Iterator[str]:
    datacite, zenodo = _read_json(store, DATACITE), _read_json(store, ZENODO)
    citation = parse_yaml(read_text(store, CITATION), CITATION)
    yield from _differ(
        {
            "version in datacite.json": (record.version, datacite["version"]),
            "licence in datacite.json": (record.licence, datacite["rightsList"][0]["rightsIdentifier"]),
            "version in .zenodo.json": (record.version, zenodo["version"]),
            "licence in .zenodo.json": (record.licence.lower(), zenodo["license"]),
            "version in CITATION.cff": (record.version, citation["version"]),
            "licence in CITATION.cff": (record.licence, citation["license"]),
        }
    )


def _check_splits(store: Store, record: ReleaseRecord, manifest: DatasetRecord) -> Iterator[str]:
    table = read_index(store, manifest.index_sha256)
    keys: dict[str, list[str]] = {}
    for key, split in zip(table["key"].to_pylist(), table["split"].to_pylist(), strict=True):
        keys.setdefault(split, []).append(key)
    for split in record.splits:
        if read_text(store, f"{SPLITS}/{split}.txt").split() != keys[split]:
            yield f"{split}.txt lists other samples than the index"


_CHECKS = {
    README: _check_readme,
    CROISSANT: _check_croissant,
    COLLECTION: _check_stac,
    DATACITE: _check_metadata,
    SPLITS: _check_splits,
}
