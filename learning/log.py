"""What a training tells while it runs: a line a step on disk, a bar on the screen, and whoever else listens."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from mage.learning.runs import LOG, TABLE, Run, publish

Line = Mapping[str, float]
Watch = Callable[[Line], object]


class Log:
    """The log of a run, open while it trains.

    Args:
        folder: of the run.
        done: steps that it has behind it.
        steps: that it will have in the end.
        progress: whether to show a bar on standard error.
        watch: called with every line.
        silent: writes, shows and calls nothing: of several processes one speaks.
    """

    def __init__(
        self, folder: Path, done: int, steps: int, *, progress: bool, watch: Watch | None, silent: bool = False
    ) -> None:
        self.folder, self.watch, self.silent = folder, watch, silent
        self._file: TextIO | None = None
        hidden = silent or not progress
        self._bar = tqdm(total=steps, initial=done, disable=hidden, unit="step", mininterval=0.5)

    def __enter__(self) -> Log:
        if not self.silent:
            self._file = (self.folder / LOG).open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bar.close()
        if self._file is not None:
            self._file.close()

    def write(self, line: Line) -> None:
        """Take in the line of a step."""
        if self._file is None:
            return
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._bar.set_postfix(loss=f"{line['loss']:.3f}", lr=f"{line['lr']:.1e}", refresh=False)
        self._bar.update()
        if self.watch is not None:
            self.watch(line)


def write_table(run: Run) -> None:
    """Write the log as ``log.csv`` beside it: a row a step, a column for whatever any step tells."""
    lines = run.log()
    columns = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(lines)
    publish(run.path / TABLE, text.getvalue().encode())
