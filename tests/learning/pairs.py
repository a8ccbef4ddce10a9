"""Processes that train together, for tests: forked, so that they need not import torch again."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import traceback

from mage.scenes.errors import MageError

SECONDS = 60  # in which two processes either end or hang


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def run_as(rank, world, port, work, folder):
    """What a process does: it is told who it is as torchrun tells it, and leaves how it ended."""
    told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in told.items()}
    try:
        end = work(rank)
    except BaseException as error:
        end = f"{type(error).__name__}: {error}"
        if not isinstance(error, MageError | KeyboardInterrupt):
            end += "\n" + traceback.format_exc()
    (folder / f"end-{rank}").write_text(json.dumps(end))
    os._exit(0)


def in_two(work, folder, world=2):
    """How each of two processes ended that did ``work(rank)``: what it returned, or the error; None of one killed."""
    folder.mkdir(exist_ok=True)
    port, fork = free_port(), multiprocessing.get_context("fork")
    started = [fork.Process(target=run_as, args=(rank, world, port, work, folder)) for rank in range(world)]
    for process in started:
        process.start()
    for process in started:
        process.join(SECONDS)
    hanging = [process for process in started if process.is_alive()]
    for process in hanging:
        process.kill()
        process.join()
    assert not hanging, "the processes hang"
    ends = [folder / f"end-{rank}" for rank in range(world)]
    return [json.loads(end.read_text()) if end.exists() else None for end in ends]
