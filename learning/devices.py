"""Where to compute, in which precision, and in which memory layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from mage.scenes.errors import ModelError

ModelType = TypeVar("ModelType", bound=nn.Module)

DEVICES = ("auto", "cpu", "cuda", "mps")


def pick_device(name: str = "auto") -> torch.device:
    """The device of this name (``cuda:1`` too); ``auto`` takes the GPU if there is one.

    Raises:
        ModelError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind not in there or not (number == "" or number.isdecimal()):
        raise ModelError("no such device", expected=f"one of {', '.join(DEVICES)}", found=name)
    if int(number or 0) >= there[kind]:
        raise ModelError(f"torch finds no device '{name}' here", expected=f"one of {', '.join(_found(there))}")
    return torch.device(name)


def _found(there: dict[str, int]) -> list[str]:
    return [kind for kind, number in there.items() if number]


def reduced_precision(device: torch.device) -> torch.dtype | None:
    """bfloat16 where it pays, else None for float32.

    It pays on GPUs with bfloat16 units and on CPUs with AVX512-BF16 or AMX; elsewhere CPUs emulate it at a loss.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    if device.type == "cpu" and _cpu_has_bfloat16():
        return torch.bfloat16
    return None


def _cpu_has_bfloat16() -> bool:
    # The probe has no public name in the oldest torch that is supported; without it float32 is right everywhere.
    probes = (getattr(torch.cpu, f"_is_{unit}_supported", None) for unit in ("avx512_bf16", "amx_tile"))
    return any(probe() for probe in probes if probe is not None)


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context in which convolutions run in :func:`reduced_precision`."""
    dtype = reduced_precision(device)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


def channels_last(module: nn.Module) -> None:
    """Lay out kernels of two-dimensional convolutions as the fastest of them want it, channels last."""
    for kernel in (m.weight for m in module.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)):
        kernel.data = kernel.data.contiguous(memory_format=torch.channels_last)


def ready(model: ModelType, device: torch.device) -> ModelType:
    """The model on the device, in evaluation mode, laid out for the fastest convolutions: channels last, which bfloat16
    units want, and which without them gave 7-15 % on a CPU (``benchmarks/learning.py``).
    """
    model.to(device).eval()
    channels_last(model)
    return model


def place(image: Tensor, device: torch.device) -> Tensor:
    """uint8 images of any shape as float 0-1 on the device; bytes travel, floats do not. Floats stay as they are."""
    return unit(image.to(device, non_blocking=True))


def unit(image: Tensor) -> Tensor:
    """uint8 images as float 0-1; floating-point ones in float32, as they are."""
    return image.float() if image.is_floating_point() else image.float() / 255


@contextmanager
def explained() -> Iterator[None]:
    """Turn torch's reports of exhausted memory and dead loading processes into one sentence.

    Raises:
        ModelError: in their place.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if "out of memory" in text or "can't allocate memory" in text:
            raise ModelError("out of memory: try a smaller batch, size or width") from error
        if text.startswith("DataLoader worker"):
            raise ModelError(f"a loading process died: try fewer workers ({text.splitlines()[0]})") from error
        raise
