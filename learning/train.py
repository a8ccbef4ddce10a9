"""Training by any method: few choices, none of them made on what is evaluated (the last step is the model)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from mage.learning.devices import explained
from mage.learning.interruption import Interruption
from mage.learning.log import Log, Watch, write_table
from mage.learning.methods import STREAMS, Method, Samples
from mage.learning.origins import origin
from mage.learning.previews import EARLY, Previews
from mage.learning.processes import join
from mage.learning.resume import begin, checked, cut_log, find
from mage.learning.runs import LOG, Origins, Run
from mage.learning.streams import Datasets, samplers, together
from mage.learning.trainer import Training, method_record
from mage.scenes.errors import ModelError

Stream = Dataset[dict[str, Any]] | None


def fit(
    method: Method,
    source: Stream = None,
    target: Stream = None,
    unlabelled: Stream = None,
    *,
    out: str | Path,
    steps: int = 1000,
    batch: int = 8,
    accumulate: int = 1,
    lr: float = 1e-3,
    seed: int = 0,
    device: str = "auto",
    workers: int = 0,
    every: int = 200,
    preview: int = 200,
    resume: bool = False,
    progress: bool = False,
    watch: Watch | None = None,
) -> Run:
    """Train the model of a method and leave it, with its averaged weights, in memory and as a run on disk.

    AdamW, a linear warm-up and a cosine to zero, clipped gradients, an exponential moving average of the model.
    Everything random follows from ``seed`` and the step: two runs on one kind of CPU, and one that was interrupted and
    resumed, end with the same weights to the bit.

    Several processes that ``torchrun`` started, on one machine or more, train together where all call this alike: each
    computes an equal part of every batch on a device of its own, as one process would accumulate these parts, and ends
    with the same weights; the first one writes. Losses are means over parts, as they are over accumulated
    batches, and BatchNorm normalises each part by itself; its running statistics are averaged. Any number of processes
    can go on with a run; only the same number ends with the same weights to the bit.

    The streams are map-style datasets of dicts with TorchGeo's keys, all of one crop's size within a stream, such as
    ``ShardDataset(root, size=128)``: ``image``, uint8 or float of about 0-1, (T, C, H, W) or (C, H, W); and, but for
    ``unlabelled``, ``mask``, integers (H, W), 0 background, 1 + grade for a damage model, 255 ignored. A mask of the
    unlabelled stream is never read.

    Args:
        method: how to learn, such as ``Supervised(SiameseDamageNet())``.
        source: labelled samples of the source domain.
        target: labelled samples of the target domain.
        unlabelled: samples of the target domain.
        out: folder of the run; on several machines one that all of them see.
        steps: updates of the weights in all.
        batch: samples of each stream in a batch, of all processes together.
        accumulate: batches whose gradients make one update.
        lr: highest learning rate.
        seed: of order, crops and all that a method draws.
        device: auto, cpu, cuda or mps.
        workers: processes that load each stream; 0 loads in this one.
        every: steps between checkpoints.
        preview: steps between pictures in ``previews/`` of a few samples, the truth, and what the model makes of them,
            beside those of the steps 10 and 50; 0 draws none.
        resume: go on with the run in ``out``; ``steps`` may grow, the other arguments must be what they were.
        progress: a bar on standard error.
        watch: called with the line of each step, as of :meth:`Run.log`, in the first process: another kind of log, such
            as :class:`TensorBoard`.

    Raises:
        ModelError: ``out`` holds a run and ``resume`` is not given, or the other way round; arguments, streams or
            model do not fit the method; the loss is not finite; another process failed or is gone.
        DatasetError: a sample cannot be read.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; a checkpoint of the last whole step has been saved.

    >>> import tempfile, torch
    >>> from mage.learning import Supervised
    >>> class Halves(torch.utils.data.Dataset):
    ...     def __len__(self): return 4
    ...     def __getitem__(self, index):
    ...         mask = (torch.arange(16) > 7).long().expand(16, 16)
    ...         return {"image": mask.expand(3, 16, 16) * 0.5, "mask": mask}
    >>> net = torch.nn.Conv2d(3, 2, 1)
    >>> run = fit(Supervised(net), Halves(), out=tempfile.mkdtemp(), steps=30, batch=2, lr=0.1, device="cpu")
    >>> run.log()[0]["loss"] > run.log()[-1]["loss"]
    True
    """
    processes, goal = join(device)
    arguments = checked(steps, batch, accumulate, lr, seed)
    pace = Pace(checkpoint=every, preview=preview)
    with Interruption() as interruption, explained(), processes.joined():
        datasets = _streams(method, source, target, unlabelled)
        orders = samplers(datasets, seed, batch, steps * accumulate, processes)
        training = _begin(Path(out), datasets, Training(method, arguments, orders, goal, processes), resume)
        log = Log(Path(out), training.step, steps, progress=progress, watch=watch, silent=not processes.first)
        batches = together(datasets, orders, workers, goal, method.classes, method.wants)
        with closing(batches), log:
            run = _train(training, batches, pace, interruption, log, Previews(log.folder, datasets, orders))
    if run.step < steps:
        raise KeyboardInterrupt(f"stopped after step {run.step} of {steps}; resume to go on")
    method.model.load_state_dict(training.average.weights)
    return run


@dataclass(frozen=True, slots=True)
class Pace:
    """Steps between checkpoints, and between preview pictures; 0 draws none."""

    checkpoint: int
    preview: int

    def __post_init__(self) -> None:
        for name, value, least in (("every", self.checkpoint, 1), ("preview", self.preview, 0)):
            if value < least:
                raise ModelError(f"'{name}' is too small", expected=f"{least} or more", found=str(value))

    def pictures(self, step: int) -> bool:
        """Whether a picture of this step is wanted: early ones, then every so often."""
        return self.preview > 0 and (step in EARLY or step % self.preview == 0)


def _begin(folder: Path, datasets: Datasets, training: Training, resume: bool) -> Training:
    """The training with its folder ready, and the state of the run that is gone on with, if one is."""
    origins = Origins(**{name: origin(dataset) for name, dataset in datasets.items()})
    arguments, method, first = training.arguments, training.method, training.processes.first
    training.processes.agree(on=f"{arguments} {method_record(method)} {origins} {resume}")
    if resume:
        training.restore(find(folder, origins, arguments, method))
        if first:
            cut_log(folder / LOG, training.step)
    elif first:
        begin(folder, origins)
    return training


def _train(
    training: Training,
    batches: Iterable[dict[str, Samples]],
    pace: Pace,
    interruption: Interruption,
    log: Log,
    previews: Previews,
) -> Run:
    """Step through the batches to their end, or until somebody asks to stop; the run with its last checkpoint."""
    steps, first = training.arguments.steps, training.processes.first
    for parts in _grouped(iter(batches), training.arguments.accumulate):
        log.write(training.advance(parts, lambda: interruption.asked))
        if first and pace.pictures(training.step):
            previews.draw(training.method, training.step, training.device)
        if training.stopping:
            break
        if training.step % pace.checkpoint == 0 and training.step < steps:
            training.save(log.folder)
    run = training.save(log.folder)
    if first:
        write_table(run)
    training.processes.agree()  # none ends, and has the others ended, before all is written
    return run


def _grouped(batches: Iterator[dict[str, Samples]], number: int) -> Iterator[list[dict[str, Samples]]]:
    while parts := list(islice(batches, number)):
        yield parts


def _streams(method: Method, *given: Stream) -> Datasets:
    """The streams that are there, by name."""
    there = {name: dataset for name, dataset in zip(STREAMS, given, strict=True) if dataset is not None}
    missing = [name for name in method.needs if name not in there]
    if not missing and method.labelled and not {"source", "target"} & there.keys():
        missing = ["source' or 'target"]
    if not there:
        missing = ["', '".join(STREAMS)]
    if missing:
        name = type(method).__name__
        raise ModelError(f"{name} needs the stream '{missing[0]}'", found=", ".join(there) or "no stream")
    return there
