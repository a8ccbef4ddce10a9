"""Making a release: check the dataset, measure it, write all documents aside, and let the folder appear in one step."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mage.generator.release import baselines
from mage.generator.release.card import card
from mage.generator.release.citation import citation_cff, datacite, zenodo
from mage.generator.release.croissant import croissant
from mage.generator.release.datasheet import datasheet
from mage.generator.release.licences import LICENCES, SourceTerms, conflicts, licences_document, source_terms, warnings
from mage.generator.release.previews import Place, write_previews
from mage.generator.release.publication import Publication
from mage.generator.release.stac import write_collection, write_shard_items
from mage.generator.release.survey import Survey, surveyed
from mage.generator.release.words import Words, recipes_of, words_for
from mage.scenes.dataset import released
from mage.scenes.dataset.index import MANIFEST, RECIPE, TABLE, open_dataset, read_index, shard_records
from mage.scenes.dataset.released import ReleaseRecord, is_release, read_sums, split_counts, write_sums
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.dataset.store import SHARDS, Store, open_store, side_name
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.errors import DatasetError

PLAN = "plan.json"
SHOWN = 3  # problems that a refusal tells


def release(
    dataset: Store | str | Path,
    out: Path,
    publication: Publication,
    *,
    results: Path | None = None,
    stated: Mapping[str, str] | None = None,
    full: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: bool = False,
) -> ReleaseRecord:
    """Make a release of a dataset.

    The same dataset and arguments give the same bytes. Shards are hard links where the file system can, else copies.

    Args:
        dataset: its folder or store, finished.
        out: the release's folder, which must not exist; it appears whole or not at all.
        publication: what the publisher says.
        results: a file of the publisher's own results, shown beside the baselines.
        stated: licences of sources that state none themselves, by the source's name.
        full: recompute every checksum, count and label rule before, instead of sizes and side files.
        say: told of warnings, a line at a time.
        progress: draw progress bars on standard error.

    Raises:
        DatasetError: the dataset is unfinished, empty or does not verify; a source's licence is missing or forbids this
            release's; ``out`` exists or cannot be written.
    """
    store, out = open_store(dataset), Path(out)
    manifest = _checked(store, out, full=full, progress=progress)
    splits = split_counts(store, manifest)
    _tell_of_paths(manifest, say)
    further = [Path(path).name for path in _data_files(manifest)]
    terms = source_terms(manifest.sources, further, stated or {})
    _keep(publication, terms, say)
    own = [] if results is None else baselines.read_results(results, list(splits))
    with _aside(out) as folder:
        _take_dataset(store, folder, manifest, progress=progress)
        survey = _write_items(folder, publication.name, manifest, progress=progress)
        words = words_for(publication, manifest, survey, terms)
        record = _record(publication, manifest, splits, words)
        _write_documents(folder, record, manifest, survey, words, terms)
        _write_shown(folder, record, manifest, survey, words, own, progress=progress)
        write_sums(folder, progress=progress)
        _compare_shards(folder, manifest)
    return record


def _checked(store: Store, out: Path, *, full: bool, progress: bool) -> DatasetRecord:
    """The manifest of a dataset that can be released to ``out``."""
    manifest = open_dataset(store)
    if is_release(store):
        raise DatasetError("is a release already; make a new one from its dataset", file=store.place)
    if not manifest.samples:
        raise DatasetError("holds no samples, so there is nothing to release", file=store.place)
    if out.exists() or out.is_symlink():
        raise DatasetError("exists already, and a release is never changed; choose another folder", file=out)
    if not out.resolve().parent.is_dir():
        raise DatasetError("no such folder", file=out.resolve().parent, expected="the folder to put the release into")
    found = verify_dataset(store, quick=not full, workers=None, progress=progress)
    if not found.ok:
        more = len(found.problems) - SHOWN
        told = "; ".join(found.problems[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise DatasetError(f"does not verify, so it cannot be released: {told}", file=store.place)
    return manifest


def _data_files(manifest: DatasetRecord) -> list[str]:
    """Files of data beside the cities' own that recipes read: elevation, surfaces, ShakeMaps, rasters of water."""
    found: dict[str, None] = {}
    for recipe in recipes_of(manifest):
        maps = [getattr(part, name, None) for part in recipe.hazards for name in ("shakemap", "file")]
        found |= dict.fromkeys(path for path in (*recipe.city.terrain, recipe.city.surface, *maps) if path)
    return list(found)


def _compare_shards(folder: Path, manifest: DatasetRecord) -> None:
    """See that the shards, hashed by now, are those that the manifest lists: a quick verification opens none."""
    sums = read_sums(folder)
    for shard in manifest.shards:
        found = sums[f"{SHARDS}/{shard.name}"]
        if found != shard.sha256:
            raise DatasetError(
                "is another shard than the manifest lists", file=shard.name, expected=shard.sha256, found=found
            )


def _tell_of_paths(manifest: DatasetRecord, say: Callable[[str], None]) -> None:
    """Warn of a recipe that shows how the publisher's disk is laid out."""
    paths = {path for recipe in recipes_of(manifest) for path in recipe.files if Path(path).is_absolute()}
    for path in sorted(paths)[:1]:
        say(
            f"note: {RECIPE} and {MANIFEST} show paths of this machine, such as {path}; generate from a relative path "
            "to keep them to yourself"
        )


def _keep(publication: Publication, terms: Sequence[SourceTerms], say: Callable[[str], None]) -> None:
    broken = conflicts(publication.terms, terms)
    if broken:
        raise DatasetError(f"cannot be released under {publication.licence}: {'; '.join(broken)}")
    for warning in warnings(terms):
        say(f"note: {warning}")


@contextmanager
def _aside(out: Path) -> Iterator[Path]:
    """A new folder beside ``out`` that becomes it in the end, or vanishes."""
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.resolve().parent))
    try:
        folder.chmod(0o755)
        yield folder
        if out.exists():
            raise DatasetError("appeared while the release was made; nothing was changed there", file=out)
        folder.rename(out)
    except OSError as error:
        raise DatasetError(f"cannot be written: {error.strerror}", file=error.filename or out) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take_dataset(store: Store, folder: Path, manifest: DatasetRecord, *, progress: bool) -> None:
    """Link or copy all files of the dataset into the release's folder."""
    (folder / SHARDS).mkdir()
    names = [MANIFEST, TABLE, RECIPE, *([PLAN] if PLAN in store.sizes() else [])]
    names += [name for shard in manifest.shards for name in (f"{SHARDS}/{shard.name}", side_name(shard.name))]
    for name in tqdm(names, desc="files", unit="file", disable=None if progress else True):
        with store.fetch(name) as path:
            try:
                os.link(path, folder / name)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(path, folder / name)


def _write_items(folder: Path, name: str, manifest: DatasetRecord, *, progress: bool) -> Survey:
    """Read the record of every sample once: for STAC, and for all that is counted."""
    survey = Survey()
    with tqdm(total=manifest.samples, desc="records", unit="sample", disable=None if progress else True) as bar:
        for shard in manifest.shards:
            write_shard_items(folder, name, shard, surveyed(shard_records(folder, shard), survey))
            bar.update(shard.samples)
    return survey.finish()


def _record(publication: Publication, manifest: DatasetRecord, splits: dict[str, Any], words: Words) -> ReleaseRecord:
    return ReleaseRecord(
        name=publication.name,
        version=publication.version,
        title=publication.heading,
        description=publication.description or words.summary,
        licence=publication.licence,
        authors=list(publication.creators),
        date=publication.date,
        doi=publication.doi,
        dataset=manifest.name,
        index_sha256=manifest.index_sha256,
        splits=splits,
    )


def _write_documents(
    folder: Path, record: ReleaseRecord, manifest: DatasetRecord, survey: Survey, words: Words, terms: list[SourceTerms]
) -> None:
    """All that is made from records and the publisher's words."""
    _save(folder, released.RELEASE, record.model_dump())
    _save(folder, released.LICENCES, licences_document(LICENCES[record.licence], terms))
    _save(folder, released.DATASHEET, datasheet(record, manifest, survey, words, terms))
    _save(folder, released.CROISSANT, croissant(record, manifest, survey, words))
    _save(folder, released.CITATION, citation_cff(record))
    _save(folder, released.DATACITE, datacite(record, manifest, survey, terms))
    _save(folder, released.ZENODO, zenodo(record))
    write_collection(folder, record, manifest, survey)


def _write_shown(
    folder: Path,
    record: ReleaseRecord,
    manifest: DatasetRecord,
    survey: Survey,
    words: Words,
    own: list[baselines.Result],
    *,
    progress: bool,
) -> None:
    """Lists of splits, pictures, baselines, and the card that shows them."""
    places = _places(folder, manifest)
    for split, members in places.items():
        _save(folder, f"{released.SPLITS}/{split}.txt", "".join(f"{key}\n" for _, key in members))
    pictures = write_previews(folder, places)
    methods, measured = baselines.measure(folder, places, progress=progress)
    results = baselines.Results(results=[*measured, *own])
    _save(folder, released.BASELINES, results.model_dump())
    _save(folder, released.BASELINE_TABLE, baselines.baseline_table(methods, results.results))
    shards = {split: list(dict.fromkeys(name for name, _ in members)) for split, members in places.items()}
    _save(folder, released.README, card(record, manifest, survey, words, shards, pictures))


def _places(folder: Path, manifest: DatasetRecord) -> dict[str, list[Place]]:
    """Shard and key of every sample by its split, in the order of the index."""
    table = read_index(folder, manifest.index_sha256)
    places: dict[str, list[Place]] = {}
    for split, *place in zip(*(table[name].to_pylist() for name in ("split", "shard", "key")), strict=True):
        places.setdefault(split, []).append((place[0], place[1]))
    return dict(sorted(places.items()))


def _save(folder: Path, name: str, content: str | dict[str, Any]) -> None:
    text = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
