"""The same bytes out of shards: webdataset, litdata after its own conversion, or mapped tars."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from beside.measure import Rows, Ways, either, row, timed

from learning import FIELDS, decoded, drawn, first_epoch, later_epoch  # noqa: TID251 - the benchmark beside this folder
from mage.scenes.dataset.tar import TarIndex


def readers(repeats: int) -> Rows:
    """Bytes and pictures of 48 pairs of 256 px with their labels."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        dataset = drawn(folder / "dataset")
        with quiet():
            yield row("bytes of an epoch, files opened and indexed", "webdataset", timed(first_epoch(dataset), repeats))
            yield row("bytes of a later epoch", "webdataset", timed(later_epoch(dataset), repeats))
            yield row("pictures of an epoch", "webdataset and Pillow", timed(decoded(dataset), repeats))
            lit = partial(converted, dataset, folder / "chunks")
            yield either("bytes of an epoch, files opened and indexed", "litdata", lit, repeats, "litdata")
            lit = partial(again, dataset, folder / "chunks")
            yield either("bytes of a later epoch, random order", "litdata", lit, repeats, "litdata")


def converted(dataset: Path, chunks: Path) -> Ways:
    """An epoch in order, everything opened in it."""
    from litdata import StreamingDataset, optimize

    shards = sorted((dataset / "shards").glob("*.tar"))

    def ours() -> list[list[bytes]]:
        opened = (TarIndex(shard) for shard in shards)
        return [[tar.read(key, field) for field in FIELDS] for tar in opened for key in tar.keys]

    def theirs() -> list[list[bytes]]:
        return [[sample[field] for field in FIELDS] for sample in StreamingDataset(str(chunks))]

    samples = [dict(zip(FIELDS, fields, strict=True)) for fields in ours()]
    optimize(
        fn=partial(sample_of, samples),
        inputs=list(range(len(samples))),
        output_dir=str(chunks),
        chunk_bytes="8MB",
        num_workers=1,
    )
    assert sorted(theirs()) == sorted(ours())
    return theirs, ours


def again(dataset: Path, chunks: Path) -> Ways:
    """An epoch in random order of what is open already; after :func:`converted`."""
    from litdata import StreamingDataset

    opened = [TarIndex(shard) for shard in sorted((dataset / "shards").glob("*.tar"))]
    places = [(tar, key) for tar in opened for key in tar.keys]
    order = np.random.default_rng(0).permutation(len(places))
    samples = StreamingDataset(str(chunks), shuffle=True)

    def theirs() -> list[list[bytes]]:
        return [[sample[field] for field in FIELDS] for sample in samples]

    def ours() -> list[list[bytes]]:
        return [[tar.read(key, field) for field in FIELDS] for tar, key in (places[i] for i in order)]

    assert sorted(theirs()) == sorted(ours())
    return theirs, ours


def sample_of(samples: list[dict[str, bytes]], number: int) -> dict[str, bytes]:
    """What litdata is to store; a function of its own, since it goes to another process."""
    return samples[number]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing on the standard output: litdata speaks of itself."""
    with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
        yield
