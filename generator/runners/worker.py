"""A worker process: jobs come in as JSON lines on standard input, events go out as JSON lines on standard output.

Blender writes to standard output as it likes, so the events' stream is moved to a descriptor of its own first.
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from mage.scenes.errors import MageError, MissingExtraError


def main() -> None:
    """Serve jobs until the driver is gone; leave by os._exit, since Blender may crash while it is torn down."""
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    code = 0
    try:
        _serve(events)
    except MageError as error:
        _tell(events, event="error", kind=type(error).__name__, message=str(error))
    except MemoryError:
        _tell(
            events, event="error", kind="RenderError", message="out of memory: try a smaller --size or fewer --workers"
        )
    except OSError as error:
        _tell(events, event="error", kind="DatasetError", message=f"{error.filename or 'output'}: {error.strerror}")
    except KeyboardInterrupt:
        code = 130
    sys.stderr.flush()
    os._exit(code)


def _serve(events: TextIO) -> None:
    orders = _orders()
    setup = json.loads(next(orders))
    try:
        from mage.generator.portrait import portray
        from mage.generator.runners.desk import job_of
        from mage.generator.runners.share import Share
        from mage.generator.runners.task import Task, on_device
        from mage.scenes.dataset.png import encode_png
        from mage.scenes.dataset.store import open_store
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "bpy", "generator") from None
    share = Share(setup["rank"], setup["workers"], tuple(setup["gpus"]) if setup["gpus"] else None)
    store = open_store(setup["root"], Path(setup["aside"]))
    task = Task(store, setup["threads"], share, partial(_tell, events))
    for line in orders:
        order = json.loads(line)
        job = on_device(job_of(order["job"]), setup["device"])
        if order["task"] == "portrait":
            picture = encode_png(portray(job, task.studio(job)))
            store.publish(job.name, partial(_fill, picture))
            _tell(events, event="portrait")
        else:
            task.render(job)


def _fill(picture: bytes, path: Path) -> None:
    path.write_bytes(picture)


def _orders() -> Iterator[str]:
    """Lines of standard input. When it ends the driver is gone, killed perhaps, and the worker goes at once, with its
    files on their way: what it would still write could only be in the way of the next run.
    """
    mail: queue.SimpleQueue[str] = queue.SimpleQueue()
    folders: list[str] = [os.environ["TMPDIR"]]

    def _listen() -> None:
        for line in sys.stdin:
            if not folders[1:]:
                folders.append(json.loads(line)["aside"])
            mail.put(line)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)

    threading.Thread(target=_listen, daemon=True).start()
    while True:
        yield mail.get()


def _tell(events: TextIO, **what: Any) -> None:
    events.write(json.dumps(what) + "\n")
    events.flush()


if __name__ == "__main__":
    main()
