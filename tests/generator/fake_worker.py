"""A worker without Blender that fails as a machine may: it speaks the protocol of ``mage.generator.runners.worker``.

Environment: ``FAKE_KIND`` is what ``auto`` takes (``CPU`` without it); ``FAKE_FAULT`` is what goes wrong, one of the
names below; ``FAKE_NOTES`` is a folder for what must outlast a process. With ``FAKE_DRAWS`` it publishes shards that
are drawn, not rendered, so that a dataset can be finished.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

FAULT, NOTES = os.environ.get("FAKE_FAULT", ""), Path(os.environ["FAKE_NOTES"])


def _tell(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _fails(job: str, kind: str) -> bool:
    """Whether the fault strikes now: on a GPU always, at a first try only, or whenever it is told to."""
    first = not (NOTES / f"{job}-{FAULT}").exists()
    (NOTES / f"{job}-{FAULT}").touch()
    return {
        "dies once": first and job == "train-000001.tar",
        "dies on a GPU": kind != "CPU",
        "hangs once": first and job == "train-000001.tar",
        "fails": job == "train-000001.tar",
        "no city": True,
        "full disk": job == "train-000001.tar",
        "dies": job == "train-000001.tar",
        "no memory on the GPU": kind != "CPU" and job == "train-000001.tar",
        "no kernel": kind not in ("CPU", "CUDA") if os.environ.get("FAKE_CUDA") else kind != "CPU",
    }.get(FAULT, False)


def _draw(order: dict[str, Any], place: str) -> None:
    from fake_dataset import fake_sample

    from mage.scenes.dataset.store import open_store, write_shard

    def samples() -> Iterator[Any]:
        for index in range(order["first"], order["first"] + order["count"]):
            sample = fake_sample(index, order["recipe"]["output"]["size"])
            yield replace(sample, record=sample.record.model_copy(update={"recipe_hash": order["recipe_hash"]}))
            _tell(event="sample", key=sample.record.key, seconds={"render": 0.5})

    record = write_shard(open_store(place), order["name"], samples(), order["recipe_hash"])
    _tell(event="shard", record=record.model_dump(mode="json"))


def main() -> None:
    """Serve jobs, and say in a line of the notes what came in."""
    setup = json.loads(sys.stdin.readline())
    kind = {"auto": os.environ.get("FAKE_KIND", "CPU")}.get(setup["device"], setup["device"].upper())
    if FAULT == "dies at the start":
        sys.stderr.write("no context\n")
        sys.stderr.flush()
        os.abort()
    Path(os.environ["TMPDIR"], "half.exr").touch()
    ready = False
    for line in sys.stdin:
        order = json.loads(line)["job"]
        with (NOTES / "orders").open("a") as notes:
            notes.write(f"{order['name']} {kind} {setup['rank']}\n")
        if FAULT == "no city":
            _tell(event="error", kind="CityError", message="city.gml: no city")
            return
        if not ready:
            gpus = int(os.environ.get("FAKE_GPUS", "1")) if kind != "CPU" else 0
            city = {"buildings": 1, "inferred": []}
            _tell(
                event="ready", rank=setup["rank"], device=kind, kind=kind, gpus=gpus, seconds={}, sources=[], city=city
            )
            ready = True
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        if _fails(order["name"], kind):
            if FAULT in ("no memory on the GPU", "no kernel"):
                _tell(event="error", kind="DeviceError", message=f"rendering on {kind} failed: {FAULT}")
                return
            if FAULT == "hangs once":
                time.sleep(600)
            if FAULT in ("fails", "full disk"):
                kind = "HazardError" if FAULT == "fails" else "DatasetError"
                _tell(event="error", kind=kind, message=FAULT)
                return
            os.kill(os.getpid(), signal.SIGSEGV)
        if os.environ.get("FAKE_DRAWS"):
            _draw(order, setup["root"])
            continue
        _tell(event="sample", key=order["name"], seconds={})
        record = {"name": order["name"], "bytes": 1, "sha256": "0" * 64, "labels_sha256": "0" * 64, "samples": 1}
        _tell(
            event="shard",
            record=record | {"event": "run", "recipe_hash": order["recipe_hash"], "keys": [order["name"]]},
        )


if __name__ == "__main__":
    main()
