"""What happened in a run: JSON lines in the store, lines for people, progress, and sums for the report."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from mage.generator.runners.desk import Event
from mage.scenes.dataset.store import Store, publish_text, read_text

LOGS = "logs"
EVERY = 20.0  # seconds; a log is published whole, since object stores cannot add to a file


@dataclass(slots=True)
class Journal:
    """A run's own log ``logs/TIME-RANDOM.jsonl``: a line for each shard, and for what else happens."""

    store: Store
    recipe_hash: str
    say: Callable[[str], None]
    bar: tqdm[Any]
    seconds: dict[str, float] = field(default_factory=dict)
    samples: int = 0
    devices: list[str] = field(default_factory=list)
    workers: int = 0
    _lines: list[str] = field(default_factory=list)
    _of_shards: dict[str, dict[str, float]] = field(default_factory=dict)
    _name: str = field(default_factory=lambda: f"{LOGS}/{time.strftime('%Y%m%dT%H%M%S')}-{os.urandom(4).hex()}.jsonl")
    _published: float = 0.0

    def hear(self, event: Event) -> None:
        """Take in one event."""
        kind = event["event"]
        _add(self.seconds, event.get("seconds", {}))
        self.workers = max(self.workers, event.get("rank", -1) + 1)
        if kind == "sample":
            self.samples += 1
            self.bar.update()
            _add(self._of_shards.setdefault(event["shard"], {}), event["seconds"])
            return
        if kind == "ready":
            self._hear_ready(event)
        if kind == "shard":
            event = self._of_shard(event)
        if kind in ("retry", "failed"):
            self.samples -= event["lost"]
            self.bar.update(-event["lost"])
            self._of_shards.pop(event["shard"], None)
            self.say(f"{event['message']}; " + ("tried again" if kind == "retry" else "given up"))
        if kind == "fallback":
            self.say(event["message"])
        self._write(event)

    def publish(self) -> None:
        """Have the store hold all lines so far, if there are any."""
        if self._lines:
            publish_text(self.store, self._name, "".join(self._lines))
        self._published = time.monotonic()

    def _hear_ready(self, event: Event) -> None:
        if event["device"] in self.devices:
            return
        if not self.devices:
            inferred = ", ".join(event["city"]["inferred"])
            made_up = f"; inferred, since no source holds them: {inferred}" if inferred else ""
            self.say(f"{event['city']['buildings']} buildings, rendering on {event['device']}{made_up}")
        self.devices.append(event["device"])

    def _of_shard(self, event: Event) -> Event:
        """The line of a shard: its record without the samples' names, and the seconds that their stages took."""
        record = {
            name: value for name, value in event["record"].items() if name not in ("keys", "event", "recipe_hash")
        }
        seconds = self._of_shards.pop(record["name"], None)
        if seconds is None:  # made by another run
            self.bar.update(record["samples"])
        if "note" in event:
            self.say(f"{record['name']}: {event['note']}")
        told = {name: event[name] for name in ("rank", "tries", "note") if name in event}
        return {"event": "shard", **record, **told, "seconds": {k: round(v, 3) for k, v in (seconds or {}).items()}}

    def _write(self, event: Event) -> None:
        stamp = {"time": round(time.time(), 3), "recipe_hash": self.recipe_hash}
        self._lines.append(json.dumps(stamp | event) + "\n")
        # a city's sources are needed by whoever finishes the dataset, even if this run is killed
        if event["event"] == "ready" or time.monotonic() - self._published > EVERY:
            self.publish()


def known_sources(store: Store, recipe_hash: str) -> list[dict[str, Any]]:
    """The sources of all cities that any run of the dataset wrote down, each once, in one order."""
    sources: dict[str, dict[str, Any]] = {}
    for name in sorted(store.sizes(LOGS)):
        for line in read_text(store, f"{LOGS}/{name}").splitlines():
            event = json.loads(line)
            if event["event"] == "ready" and event["recipe_hash"] == recipe_hash:
                sources |= {json.dumps(source, sort_keys=True): source for source in event["sources"]}
    return [sources[text] for text in sorted(sources)]


def _add(sums: dict[str, float], seconds: dict[str, float]) -> None:
    for stage, spent in seconds.items():
        sums[stage] = sums.get(stage, 0.0) + spent
