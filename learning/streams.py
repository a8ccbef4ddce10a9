"""The three streams of samples that a training draws from, side by side: checked, endless, and resumable."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mage.learning.interruption import deaf
from mage.learning.methods import STREAMS, Samples
from mage.learning.origins import length
from mage.learning.processes import ALONE, Processes
from mage.learning.sampling import Draw, EpochSampler
from mage.scenes.dataset.fields import label_members
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE

LARGEST = 64  # a float image beyond is of 0-255 or of digital numbers, and would train without a complaint
LABELS = frozenset({"mask", *label_members("annotator")})  # what no method sees of an unlabelled stream
Datasets = Mapping[str, Dataset[dict[str, Any]]]


def samplers(
    datasets: Datasets, seed: int, batch: int, stop: int, processes: Processes = ALONE
) -> dict[str, EpochSampler]:
    """A sampler of this process's part of each stream; streams of one seed have different orders and crops."""
    return {
        name: EpochSampler(
            length(dataset),
            seed=seed + (STREAMS.index(name) << 64),
            batch=batch,
            stop=stop,
            rank=processes.rank,
            world=processes.world,
        )
        for name, dataset in datasets.items()
    }


def together(
    datasets: Datasets,
    orders: Mapping[str, EpochSampler],
    workers: int,
    device: torch.device,
    classes: int | None,
    wants: Sequence[str] = (),
) -> Generator[dict[str, Samples], None, None]:
    """Batches of all streams, one of each at a time, on the CPU; ``wants`` are those of the method.

    Raises:
        DatasetError: a sample cannot be read, or is of another kind than a method can use.
    """
    with ExitStack() as stack:
        streams: list[Iterator[Samples]] = [
            stack.enter_context(
                closing(_batches(_loader(dataset, orders[name], workers, device, name, wants), classes))
            )
            for name, dataset in datasets.items()
        ]
        for samples in zip(*streams, strict=True):
            yield dict(zip(datasets, samples, strict=True))


def gather(dataset: Dataset[dict[str, Any]], draws: Sequence[Draw], name: str) -> Samples:
    """Samples of a stream, loaded here and now, as a batch of the stream of this name.

    Raises:
        DatasetError: a sample cannot be read.
    """
    return collate([dataset[draw] for draw in draws], labelled=name != "unlabelled")


def collate(samples: list[dict[str, Any]], labelled: bool = True, wants: Sequence[str] = ()) -> Samples:
    """Stack ``image``, of labelled samples ``mask``, and what a method ``wants`` where samples have it.

    Whatever else samples hold is left out, and of an unlabelled stream every label that MAGE's datasets know, so that
    labels of an unlabelled stream cannot be looked at.

    Raises:
        DatasetError: a sample lacks one of the first two, only some samples have what is wanted, or they differ in
            shape or type.
    """
    further = [name for name in wants if any(name in sample for sample in samples)]
    names = ["image", "mask", *further] if labelled else ["image", *(name for name in further if name not in LABELS)]
    return {name: _stack([sample.get(name) for sample in samples], name) for name in names}


def _stack(values: list[Any], name: str) -> Tensor:
    if not all(isinstance(value, Tensor) for value in values):
        raise DatasetError(f"samples lack the tensor '{name}'", expected="dicts that all hold it")
    if len({(value.shape, value.dtype) for value in values}) > 1:
        found = " and ".join(sorted({f"{value.dtype} {tuple(value.shape)}" for value in values}))
        raise DatasetError(f"'{name}' of samples differ in shape or type", expected="equal crops", found=found)
    return torch.stack(values)


def _loader(
    dataset: Dataset[dict[str, Any]],
    order: EpochSampler,
    workers: int,
    device: torch.device,
    name: str,
    wants: Sequence[str],
) -> DataLoader[Any]:
    return DataLoader(
        dataset,
        batch_sampler=order,
        num_workers=workers,
        collate_fn=partial(collate, labelled=name != "unlabelled", wants=wants),
        worker_init_fn=deaf,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # the loader's own draw must not advance the user's generator
    )


def _batches(loader: DataLoader[Any], classes: int | None) -> Generator[Samples, None, None]:
    batches = iter(loader)
    try:
        for batch in batches:
            _check(batch, classes)
            yield batch
    except DatasetError as error:
        # From a worker process the message arrives below its traceback; the last line is the message.
        last = str(error).strip().splitlines()[-1]
        raise DatasetError(last.rpartition("DatasetError: ")[2]) from error
    finally:
        # An error on its way up holds on to the iterator; the processes must end now, not when it is forgotten.
        getattr(batches, "_shutdown_workers", lambda: None)()


def _check(batch: Samples, classes: int | None) -> None:
    image, mask = batch["image"], batch.get("mask")
    of_a_kind = image.dtype == torch.uint8 or image.is_floating_point()
    if mask is not None:
        of_a_kind &= mask.shape == (len(image), *image.shape[-2:]) and not mask.is_floating_point()
    if not of_a_kind or image.ndim not in (4, 5) or image.numel() == 0:
        raise DatasetError(
            "samples of another kind",
            expected="image uint8 or float (T, C, H, W) or (C, H, W), mask integer (H, W)",
            found=", ".join(f"{t.dtype} {tuple(t.shape[1:])}" for t in batch.values()),
        )
    if image.is_floating_point() and not bool((image.abs() <= LARGEST).all()):
        raise DatasetError(
            "a float image that is not finite, or not of about 0-1", expected="uint8, or reflectance, or 0-1"
        )
    for name in batch.keys() - {"image", "mask"}:
        if batch[name].is_floating_point() and not bool(batch[name].isfinite().all()):
            raise DatasetError(f"'{name}' of a sample is not finite")
    if mask is not None:
        _check_mask(mask, classes)


def _check_mask(mask: Tensor, classes: int | None) -> None:
    values = mask[mask != IGNORE]
    if values.numel() and not 0 <= values.min() <= values.max() < (classes or IGNORE):
        largest = "0 or more" if classes is None else f"0-{classes - 1}"
        raise DatasetError("a mask holds more grades than the model", expected=largest, found=str(int(values.max())))
