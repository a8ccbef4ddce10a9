"""The folder of an export: what it is of, what is done, and how it goes on after an interruption."""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import Field, ValidationError

from mage.generator.export.formats import Entry, to_json
from mage.scenes.dataset.folder import FULL, PARTIAL
from mage.scenes.dataset.schema import Record
from mage.scenes.dataset.store import LocalStore, Store, publish_text, read_text
from mage.scenes.errors import DatasetError

STATE, JOURNAL = "export.json", ".export.jsonl"


class ExportRecord(Record):
    """``export.json``: what an export is of. ``dataset_sha256`` is that of ``dataset.json``; ``selection_sha256`` tells
    which samples were chosen, of which there are ``samples``; ``counts`` are those by split, once all are written.
    """

    format: Literal["mage-export/1"] = "mage-export/1"
    kind: str
    labels: str
    mage: str = Field(description="version of MAGE that wrote it")
    dataset: str
    dataset_sha256: str
    selection_sha256: str
    samples: int = Field(ge=1)
    whole: bool = False
    counts: dict[str, int] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)


class Folder:
    """An export's folder, held by one process at a time.

    Raises:
        DatasetError: it lies inside the dataset, holds something else or another export, is not a folder, or another
            process exports into it.
    """

    def __init__(self, root: Path, dataset: Store, planned: ExportRecord) -> None:
        self.store = LocalStore(root)
        if isinstance(dataset, LocalStore):
            inside, outside = root.resolve(), dataset.root.resolve()
            if inside == outside or outside in inside.parents:
                raise DatasetError("would lie inside the dataset", file=root, expected="a folder of its own")
        found = self._state()
        if found is not None and _identity(found) != _identity(planned):
            raise DatasetError(
                "holds another export",
                file=root,
                expected=f"an empty folder, or one of {_shown(planned)}",
                found=_shown(found),
            )
        self.record = found or planned
        self._journal: IO[bytes] | None = None

    def open(self) -> int:
        """Take hold of the folder, and return how many shards are done already."""
        root = self.store.root
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._journal = (root / JOURNAL).open("a+b")
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatasetError("another process exports into this folder", file=root) from None
        except OSError as error:
            raise DatasetError(f"cannot be written: {error.strerror}", file=root) from None
        self.store.clean_partial()
        publish_text(self.store, STATE, self.record.model_dump_json(indent=1) + "\n")
        return self._whole_lines()

    def add(self, entries: list[Entry]) -> None:
        """Note that a shard is done, with the entries of its samples."""
        assert self._journal is not None
        try:
            self._journal.write(to_json(entries) + b"\n")
            self._journal.flush()
            os.fsync(self._journal.fileno())
        except OSError as error:
            reason = "no space left on the device" if error.errno in FULL else f"cannot be written: {error.strerror}"
            raise DatasetError(reason, file=self.store.root / JOURNAL) from None

    def entries(self) -> Iterator[Entry]:
        """The entries of all samples that are done, in the dataset's order."""
        with (self.store.root / JOURNAL).open("rb") as file:
            for line in file:
                yield from json.loads(line)

    def counts(self) -> dict[str, int]:
        """Samples that are done, by split."""
        return dict(sorted(Counter(e["split"] for e in self.entries()).items()))

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Publish a file."""

        def _fill(path: Path) -> None:
            with path.open("wb") as file:
                file.writelines(chunks)

        self.store.publish(name, _fill)

    def close(self) -> None:
        """Let the folder go."""
        if self._journal is not None:
            self._journal.close()

    def finish(self, record: ExportRecord) -> None:
        """Publish what makes the export whole."""
        publish_text(self.store, STATE, record.model_dump_json(indent=1) + "\n")
        self.store.remove(JOURNAL)
        self.record = record

    def _state(self) -> ExportRecord | None:
        """What the folder says it is of; None for one that is empty or not there."""
        root = self.store.root
        if not os.path.lexists(root):
            return None
        if not root.is_dir():
            raise DatasetError("not a folder", file=root, expected="a folder that is empty or not there")
        if (root / STATE).is_file():
            try:
                return ExportRecord.model_validate_json(read_text(self.store, STATE))
            except ValidationError:
                raise DatasetError("not the record of an export", file=root / STATE) from None
        if {path.name for path in root.iterdir()} - {JOURNAL, PARTIAL}:
            raise DatasetError("is not empty", file=root, expected="an empty folder, or an unfinished export")
        return None

    def _whole_lines(self) -> int:
        """Lines of the journal; one that a crash cut is taken away."""
        assert self._journal is not None
        self._journal.seek(0)
        lines, end = 0, 0
        for line in self._journal:
            if not line.endswith(b"\n"):
                break
            lines, end = lines + 1, end + len(line)
        self._journal.truncate(end)
        return lines


def _identity(record: ExportRecord) -> dict[str, Any]:
    return record.model_dump(exclude={"whole", "counts", "notes"})


def _shown(record: ExportRecord) -> str:
    return (
        f"{record.samples} samples of {record.dataset} as {record.kind}, {record.labels} labels, by MAGE {record.mage}"
    )
