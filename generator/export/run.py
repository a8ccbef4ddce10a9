"""Exporting a dataset: shard by shard, in any number of processes, from where an interrupted export stopped."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache, partial
from importlib import metadata
from itertools import islice
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mage.generator.export.card import readme
from mage.generator.export.formats import Entry, Format, Labels, Summary, choose_labels, load_format, to_json
from mage.generator.export.output import ExportRecord, Folder
from mage.generator.export.tiles import Task, choose, tiles_of
from mage.scenes.dataset.index import MANIFEST, open_dataset
from mage.scenes.dataset.processes import undisturbed
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.dataset.store import LocalStore, Store, open_store
from mage.scenes.doctor import DISTRIBUTION
from mage.scenes.errors import DatasetError

AHEAD = 2  # tasks for each worker that may wait for their turn in the journal


def export_dataset(
    root: Store | str | Path,
    out: Path,
    kind: str,
    *,
    split: str | None = None,
    keys: Sequence[str] | None = None,
    limit: int | None = None,
    labels: str = "auto",
    workers: int = 1,
    progress: bool = False,
) -> ExportRecord:
    """Write samples of a dataset in another format; an export that was interrupted goes on, a whole one stays.

    Args:
        root: the dataset's folder or store.
        out: the folder to write: empty, not there, or that of the same export.
        kind: one of :data:`mage.generator.export.formats.FORMATS`.
        split: samples of this split only.
        keys: these samples only.
        limit: no more samples than this, the first of those.
        labels: ``exact``, ``annotated`` (what annotators drew), or ``auto``: annotated where the format's own grades
            were given.
        workers: processes.
        progress: draw a progress bar on standard error, if that is a terminal.

    Raises:
        MageError: no such format, or a module that it needs is not installed.
        DatasetError: the dataset is damaged, nothing is chosen, the folder is of something else, or the disk is full.
    """
    store = open_store(root)
    form, manifest = load_format(kind), open_dataset(store)
    chosen = choose_labels(labels, kind, form, manifest)
    tasks = choose(store, manifest, split=split, keys=keys, limit=limit)
    folder = Folder(out, store, _planned(store, manifest, kind, form, chosen, tasks))
    if folder.record.whole:
        return folder.record
    try:
        done = folder.open()
        with _bar(tasks, done, progress) as bar:
            work = partial(write_task, store.place, out, kind, chosen)
            for entries in _results(work, tasks[done:], workers):
                folder.add(entries)
                bar.update(len(entries))
        return _finish(folder, form, Summary(manifest, chosen, folder.counts(), folder.entries))
    finally:
        folder.close()


_opened = lru_cache(maxsize=1)(open_store)  # by every process: a client of an object store takes a moment to make


def write_task(place: str, out: Path, kind: str, labels: Labels, task: Task) -> list[Entry]:
    """Write the files of one task, each in one step, and return the entries of its samples."""
    store, entries = LocalStore(out), []
    for output in load_format(kind).write(tiles_of(_opened(place), task), labels):
        for name, data in output.files.items():
            store.publish(name, partial(Path.write_bytes, data=data))
        entries += output.entries
    return entries


def _results(work: Any, tasks: Sequence[Task], workers: int) -> Iterator[list[Entry]]:
    """What ``work`` returns for each task, in their order."""
    if workers == 1 or len(tasks) < 2:
        yield from map(work, tasks)
        return
    spawn = multiprocessing.get_context("spawn")  # no locks of libraries are inherited
    pool = ProcessPoolExecutor(min(workers, len(tasks)), mp_context=spawn)
    waiting: deque[Future[list[Entry]]] = deque()
    coming = iter(tasks)
    try:
        with undisturbed():  # here the processes start
            waiting.extend(pool.submit(work, task) for task in islice(coming, AHEAD * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(work, task) for task in islice(coming, 1))
    except BrokenProcessPool:
        raise DatasetError("a worker died: out of memory? try fewer --workers") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _planned(
    store: Store, manifest: DatasetRecord, kind: str, form: Format, labels: Labels, tasks: Sequence[Task]
) -> ExportRecord:
    picks = [[pick.key, pick.split, pick.stem] for task in tasks for pick in task.picks]
    return ExportRecord(
        kind=kind,
        labels=f"annotated ({labels.policy})" if labels.policy else "exact",
        mage=metadata.version(DISTRIBUTION),
        dataset=manifest.name,
        dataset_sha256=hashlib.sha256(store.read(MANIFEST)).hexdigest(),
        selection_sha256=hashlib.sha256(to_json(picks)).hexdigest(),
        samples=len(picks),
        notes=list(form.notes),
    )


def _finish(folder: Folder, form: Format, summary: Summary) -> ExportRecord:
    for name, chunks in form.finish(summary):
        folder.write(name, chunks)
    names = ({name: e[name] for name in ("key", "split", "name")} for e in summary.entries())
    folder.write("samples.jsonl", (to_json(line) + b"\n" for line in names))
    record = folder.record.model_copy(update={"whole": True, "counts": summary.counts})
    folder.write("README.md", [(form.card(summary) + readme(form, record, summary.manifest)).encode()])
    folder.finish(record)
    return record


def _bar(tasks: Sequence[Task], done: int, progress: bool) -> tqdm[Any]:
    counts = [len(task.picks) for task in tasks]
    return tqdm(total=sum(counts), initial=sum(counts[:done]), unit="sample", disable=None if progress else True)
