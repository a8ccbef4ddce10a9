"""A dataset in a few figures, for ``mage info``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mage.scenes.dataset.index import open_dataset
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
        "size": manifest.size,
        "gsd": manifest.gsd,
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
