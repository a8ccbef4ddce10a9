"""A worker process: jobs come in as JSON lines on standard input, events go out as JSON lines on standard output.

Blender writes to standard output as it likes, so the events' stream is moved to a descriptor of its own first.
"""

from __future__ import annotations

import json
import os
import queue
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
        from mage.generator.plan import ShardJob
        from mage.generator.portrait import portray
        from mage.generator.runners.share import Share
        from mage.generator.shards import open_studio, render_shard
        from mage.scenes.dataset.png import encode_png
        from mage.scenes.dataset.store import open_store
        from mage.scenes.recipe import Recipe
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "bpy", "generator") from None
    setup["recipe"]["render"]["device"] = setup["device"]
    recipe = Recipe.model_validate(setup["recipe"])
    event = {name: setup[name] for name in ("recipe_hash", "allow_plugins", "split", "event")}
    share = Share(setup["rank"], setup["workers"], tuple(setup["gpus"]) if setup["gpus"] else None)
    store = open_store(setup["root"])
    studio = None
    for line in orders:
        order = json.loads(line)
        job = ShardJob(order["name"], order["first"], order["count"], recipe, **event)
        if studio is None:
            studio = open_studio(job, setup["threads"], share)
            sources = [_source(s) for s in studio.place.city.sources]
            facts = {"buildings": len(studio.place.city.buildings), "inferred": list(studio.place.city.inferred)}
            device = {"device": str(studio.device), "kind": studio.device.kind, "gpus": studio.device.available}
            _tell(events, event="ready", rank=share.rank, **device, seconds=studio.seconds, sources=sources, city=facts)

        if order["task"] == "portrait":
            picture = encode_png(portray(job, studio))
            store.publish(job.name, partial(_fill, picture))
            _tell(events, event="portrait")
            continue

        def heard(key: str, seconds: dict[str, float]) -> None:
            _tell(events, event="sample", key=key, seconds={k: round(v, 3) for k, v in seconds.items()})

        record = render_shard(job, store, studio, heard)
        _tell(events, event="shard", record=record.model_dump(mode="json"))


def _fill(picture: bytes, path: Path) -> None:
    path.write_bytes(picture)


def _orders() -> Iterator[str]:
    """Lines of standard input. When it ends the driver is gone, killed perhaps, and the worker goes at once: what it
    would still write could only be in the way of the next run.
    """
    mail: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            mail.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield mail.get()


def _source(source: Any) -> dict[str, Any]:
    return {"name": source.name, "format": source.format, "licence": source.licence, "sha256": source.sha256}


def _tell(events: TextIO, **what: Any) -> None:
    events.write(json.dumps(what) + "\n")
    events.flush()


if __name__ == "__main__":
    main()
