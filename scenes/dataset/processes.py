"""Work on many items in processes of our own, which end with us."""

from __future__ import annotations

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
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
    pool = ProcessPoolExecutor(workers, context, initializer=begin, initargs=given)
    try:
        with undisturbed():  # here the processes start
            waiting = deque(pool.submit(work, item) for item in items)
        while waiting:
            yield waiting.popleft().result()
        pool.shutdown()
    except BrokenProcessPool:
        reason = "a process that checked shards was killed (for lack of memory perhaps: try fewer --workers)"
        raise MageError(reason) from None
    finally:
        pool.shutdown(wait=False)  # what is cancelled, the pool's own thread would trip over when its processes end
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put off Ctrl-C. A terminal sends it to all processes, also to those that start now, which are deaf to it for
    good: the first one sees to the others.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *words: heard.append(words))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # those that start inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt
