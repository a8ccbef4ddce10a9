"""The processes of one training, on one machine or several: which of them this is, and what all of them share.

``torchrun`` starts them and tells each its number. Every one computes a share of each batch; gradients are averaged
once an update, in one piece, after they are whole. DistributedDataParallel would send parts of them while others are
still computed, but asks that every process reaches the same parameters, and hangs where one of them fails; methods here
reach what their losses reach, and a failure anywhere ends all.
"""

from __future__ import annotations

import atexit
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, distributed, nn

from mage.learning.devices import pick_device
from mage.scenes.errors import ModelError

TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun puts into the environment


class LostError(ModelError):
    """Another process of the training is gone, and nothing can be agreed on any more."""


@dataclass(frozen=True, slots=True)
class Processes:
    """Which process is this of those that train together? Alone, nothing is sent and every method returns at once.

    All must call the same methods in the same order.

    Attributes:
        rank: number of this process, from 0.
        world: number of all.
        device: where tensors lie while they are sent.
    """

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - immutable

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """A context whose failure the others learn of, at their next :meth:`agree`."""
        try:
            yield
        except LostError:
            raise
        except Exception:
            with suppress(LostError):
                self._highest(1, 0, 0, 0)
            raise

    def agree(self, asked: bool = False, on: str = "") -> bool:
        """Wait for all; whether any of them was asked to stop.

        Args:
            asked: whether this one was.
            on: what must be the same in all.

        Raises:
            ModelError: another process has failed, or ``on`` differs.
        """
        mark = zlib.crc32(on.encode())
        failed, stop, most, least = self._highest(0, int(asked), mark, -mark)
        if failed:
            raise LostError("another process of this training failed, and says why; all end")
        if most != -least:
            raise LostError(
                "the processes of this training differ: give all of them the same method, data and arguments",
                expected=f"process {self.rank} of {self.world} and the others alike",
                found=on if len(on) <= 200 else f"{on[:197]}...",
            )
        return bool(stop)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace floating-point tensors by their means over all processes."""
        for group in self._alike(tensors):
            flat = torch.cat([t.detach().flatten() for t in group])
            self._send(distributed.all_reduce, flat)
            _spread(flat / self.world, group)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Mean gradients. A parameter without one counts as 0, and stays without where no process has one."""
        if self.world == 1:
            return
        there = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        self.average([there, *gradients])
        for parameter, gradient, share in zip(parameters, gradients, there.tolist(), strict=True):
            parameter.grad = gradient if share else None

    def follow_first(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by those of the first process."""
        for group in self._alike(tensors):
            flat = torch.cat([t.detach().flatten() for t in group])
            self._send(distributed.broadcast, flat, 0)
            _spread(flat, group)

    def _highest(self, *numbers: int) -> list[int]:
        if self.world == 1:
            return list(numbers)
        values = torch.tensor(numbers, dtype=torch.int64, device=self.device)
        self._send(distributed.all_reduce, values, distributed.ReduceOp.MAX)
        return [int(value) for value in values.tolist()]

    def _alike(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Tensors that can be sent as one; none where nobody listens."""
        if self.world == 1:
            return []
        return [list(group) for _, group in groupby(sorted(tensors, key=_kind), key=_kind)]

    def _send(self, how: object, *arguments: object) -> None:
        try:
            how(*arguments)  # type: ignore[operator]
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1][:120]
            raise LostError(
                f"another process of this training is gone ({reason}); go on from the last checkpoint, with --resume"
            ) from error


ALONE = Processes()


def join(device: str = "auto") -> tuple[Processes, torch.device]:
    """Which process this is of those that ``torchrun`` started, or alone; and the device that it computes on.

    A process group of the caller's own is used as it is; otherwise one is made and kept until the process ends: gloo
    on CPUs, NCCL on GPUs, one GPU a process.

    Raises:
        ModelError: no such device, more processes than GPUs, or the processes do not find each other.
    """
    ready = distributed.is_available() and distributed.is_initialized()
    if not ready and _number("WORLD_SIZE", 1) <= 1:
        return ALONE, pick_device(device)
    goal = _own_device(device)
    if not ready:
        _meet(goal)
    return Processes(distributed.get_rank(), distributed.get_world_size(), goal), goal


def is_first() -> bool:
    """Whether this process is the one of a training that speaks to people."""
    return _number("RANK", 0) == 0


def _number(name: str, default: int) -> int:
    """What the environment says, or a default."""
    found = os.environ.get(name, str(default))
    if not found.isdecimal():
        raise ModelError(f"{name} in the environment is no number", expected="what torchrun sets", found=found)
    return int(found)


def _own_device(name: str) -> torch.device:
    goal = pick_device(name)
    if goal.type == "cpu":
        return goal
    if goal.type != "cuda" or goal.index is not None:
        raise ModelError("each process takes a GPU of its own", expected="the device auto, cuda or cpu", found=name)
    number, there = _number("LOCAL_RANK", 0), torch.cuda.device_count()
    if number >= there:
        raise ModelError("more processes than GPUs on this machine", expected=f"at most {there}")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def _meet(device: torch.device) -> None:
    if missing := [name for name in TOLD if name not in os.environ]:
        raise ModelError(
            f"WORLD_SIZE is set, but not {missing[0]}: several processes are started by torchrun",
            expected="torchrun --nproc-per-node NUMBER ...",
        )
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"the processes of this training do not find each other ({error})") from error
    atexit.register(_part)


def _part() -> None:
    with suppress(Exception):  # at exit nothing is left to be told
        distributed.destroy_process_group()


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype)


def _spread(flat: Tensor, tensors: Sequence[Tensor]) -> None:
    parts = torch.split(flat, [t.numel() for t in tensors])
    with torch.no_grad():
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))
