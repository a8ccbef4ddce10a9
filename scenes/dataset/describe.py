"""A dataset in a few figures, for ``mage info``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from mage.scenes.dataset.index import open_dataset
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.dataset.store import Store


def describe_dataset(root: Store | str | Path) -> dict[str, Any]:
    """What a dataset's manifest says, JSON types only.

    Raises:
        DatasetError: see :func:`mage.scenes.dataset.index.open_dataset`.
    """
    manifest = open_dataset(root)
    return {
        "kind": "dataset",
        "name": manifest.name,
        "counts": manifest.counts,
        "events": len(manifest.events),
        "cities": len({event.city for event in manifest.events}),
        "splits": _samples_by(manifest, "split"),
        "hazards": _samples_by(manifest, "hazard"),
        "size": manifest.size,
        "gsd": manifest.gsd or sorted({event.gsd for event in manifest.events}),
        "bands": manifest.bands,
        "sensors": [sensor.name for sensor in manifest.sensors],
        "classes": manifest.classes,
        "shards": len(manifest.shards),
        "bytes": sum(shard.bytes for shard in manifest.shards),
        "recipe_hash": manifest.recipe_hash,
        "seed": manifest.seed,
        "versions": manifest.versions,
        "sources": manifest.sources,
    }


def _samples_by(manifest: DatasetRecord, name: str) -> dict[str, int]:
    """Samples of each split, or of each hazard."""
    counts: Counter[str] = Counter()
    for event in manifest.events:
        counts[getattr(event, name)] += event.samples
    return dict(counts)
