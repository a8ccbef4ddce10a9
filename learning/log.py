"""What a training tells while it runs: a line a step on disk, a bar on the screen, and whoever else listens."""

from __future__ import annotations

import atexit
import csv
import io
import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

from mage.learning.runs import LOG, TABLE, Run, publish
from mage.scenes.errors import MissingExtraError

FLUSH = 10  # seconds that TensorBoard may lag behind
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


class TensorBoard:
    """Writes the lines of a training as event files that TensorBoard shows while they grow.

    A run that is resumed goes on in the same folder; what TensorBoard knew of later steps it forgets.

    Args:
        folder: for the event files, such as ``tensorboard`` in the run's.

    Raises:
        MissingExtraError: the package ``tensorboard`` is not installed.

    >>> from mage.learning import fit
    >>> fit(method, tiles, out="out/run", watch=TensorBoard("out/run/tensorboard"))  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path) -> None:
        if find_spec("tensorboard") is None:
            raise MissingExtraError("tensorboard", "tensorboard")
        self.folder = Path(folder)
        self._writer: Any = None

    def __call__(self, line: Line) -> None:
        """Take in the line of a step."""
        step = int(line["step"])
        if self._writer is None:  # not before: of several processes one is called
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.folder), purge_step=step, flush_secs=FLUSH)
            atexit.register(self.close)
        for name in line.keys() - {"step"}:
            self._writer.add_scalar(name, line[name], step)

    def close(self) -> None:
        """Put all on disk. It happens at the end of the process as well."""
        if self._writer is not None:
            self._writer.close()


def write_table(run: Run) -> None:
    """Write the log as ``log.csv`` beside it: a row a step, a column for whatever any step tells."""
    lines = run.log()
    columns = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(lines)
    publish(run.path / TABLE, text.getvalue().encode())
