"""Work on many items in processes of our own, which end with us."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from mage.scenes.errors import MageError

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_processes(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    begin: Callable[..., None],
    given: tuple[Any, ...],
) -> Iterator[Result]:
    """``work`` on each item, results in their order; every process calls ``begin(*given)`` first.

    When the caller stops, by Ctrl-C or otherwise, the processes are ended at once.

    Raises:
        MageError: a process was killed.
    """
    others = set(multiprocessing.active_children())
    # spawned: threads of a store's connections do not survive a fork
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(begin, given))
    try:
        yield from pool.map(work, items)
        pool.shutdown()
    except BrokenProcessPool:
        reason = "a process that checked shards was killed (for lack of memory perhaps: try fewer --workers)"
        raise MageError(reason) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()


def _begin(begin: Callable[..., None], given: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all: the first process sees to the others
    begin(*given)
