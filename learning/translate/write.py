"""Translated datasets on disk: the images are new, every other byte of a sample is copied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
from tqdm import tqdm

from mage.learning.translate.translator import Translator, style_rng
from mage.scenes.dataset.fields import IMAGE_FIELDS
from mage.scenes.dataset.index import MANIFEST, RECIPE, TABLE, open_dataset
from mage.scenes.dataset.png import decode_png, encode_png
from mage.scenes.dataset.schema import DatasetRecord, ShardRecord
from mage.scenes.dataset.store import (
    SHARDS,
    LocalStore,
    file_sha256,
    publish_side,
    publish_text,
    read_side,
    read_text,
    shard_is_done,
    side_name,
)
from mage.scenes.dataset.tar import TarIndex, write_tar
from mage.scenes.errors import DatasetError

NOTE = "translation.json"


def write_translated(
    root: str | Path,
    translator: Translator,
    out: str | Path,
    *,
    styled_by: Mapping[str, Any],
    styles: bool = True,
    progress: bool = False,
) -> DatasetRecord:
    """Write a dataset whose RGB images are those of another in the target's style.

    Labels, records and images of further sensors are copied to the byte, so that the result verifies, and the index
    and the split with them. ``translation.json`` in its folder tells the translator, and whose style it has; shards
    that are done are kept, so that an interrupted translation goes on when it is started again.

    Args:
        root: the dataset's folder.
        translator: fitted.
        out: the new dataset's folder.
        styled_by: ``name``, ``format`` and ``licence`` of the images that the translator was fitted to; joins the
            dataset's sources.
        styles: draw one target image's style for each place; False gives all the mean style.
        progress: a bar on standard error.

    Raises:
        DatasetError: no such dataset, a shard that is damaged, ``out`` holds something else, a full disk.
        ModelError: the translator is not fitted or does not fit the images.

    >>> import tempfile
    >>> from mage.learning import LinearColour, ShardDataset
    >>> tiles = ShardDataset(root)  # a dataset's folder
    >>> translator = LinearColour().fit([tiles[0]])
    >>> by = {"name": "its first tile", "format": "MAGE dataset", "licence": "CC0-1.0", "sha256": None}
    >>> out = tempfile.mkdtemp()
    >>> record = write_translated(root, translator, out, styled_by=by)
    >>> len(ShardDataset(out)) == len(tiles)
    True
    """
    root, out = Path(root), Path(out)
    manifest = open_dataset(root)
    note = {
        "translator": type(translator).__name__,
        "settings": translator.settings(),
        "fingerprint": translator.fingerprint(),
        "styles": styles,
        "styled_by": dict(styled_by),
        "dataset_sha256": file_sha256(root / MANIFEST),
    }
    store = _prepare(out, json.dumps(note, indent=1) + "\n")
    shards, firsts = [], accumulate((len(shard.keys) for shard in manifest.shards), initial=0)
    with tqdm(total=manifest.samples, disable=not progress, unit="sample") as bar:
        for shard, first in zip(manifest.shards, firsts, strict=False):
            done = shard_is_done(store, shard.name, shard.recipe_hash)
            shards.append(done or _translate_shard(root, shard, first, store, translator, styles))
            bar.update(len(shard.keys))
    return _finish(root, store, manifest, shards, note)


def _prepare(out: Path, note: str) -> LocalStore:
    """The folder of the new dataset, new or begun by the same translation."""
    store = LocalStore(out)
    if (out / NOTE).exists() and read_text(store, NOTE) == note:
        return store
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError("is not empty", file=out, expected="a new folder, or the same translation begun")
    publish_text(store, NOTE, note)
    return store


def _translate_shard(
    root: Path, shard: ShardRecord, first: int, store: LocalStore, translator: Translator, styles: bool
) -> ShardRecord:
    """Publish a shard, then its side file; ``first`` is the number of its first sample in the dataset."""
    source = root / SHARDS / shard.name
    if not source.is_file() or file_sha256(source) != shard.sha256:
        raise DatasetError("a shard is missing, cut or was changed", file=source)

    def _members() -> Iterator[tuple[str, bytes]]:
        with TarIndex(source) as tar:
            if tar.keys != shard.keys:
                raise DatasetError("holds other samples than its side file says", file=source)
            for index, key in enumerate(tar.keys, first):
                pictures = _pictures(tar, source, key, translator, style_rng(index) if styles else None)
                for member in tar.members(key):
                    yield f"{key}.{member}", pictures.get(member) or tar.read(key, member)

    store.remove(side_name(shard.name))  # an old one must not vouch for the new tar
    store.publish(f"{SHARDS}/{shard.name}", lambda path: write_tar(path, _members()))
    path = store.root / SHARDS / shard.name
    stated = read_side(LocalStore(root), shard.name)
    side = stated.model_copy(update={"bytes": path.stat().st_size, "sha256": file_sha256(path)})
    publish_side(store, side)
    return side.shard


def _pictures(
    tar: TarIndex, file: Path, key: str, translator: Translator, rng: np.random.Generator | None
) -> dict[str, bytes]:
    names = [f"{date}.png" for date in IMAGE_FIELDS]
    images = [decode_png(tar.read(key, name), file=f"{file}: {key}.{name}") for name in names]
    if len({image.shape for image in images}) > 1:
        raise DatasetError("the images of a sample differ in size", file=file, found=key)
    pair = translator.transform(np.stack(images).transpose(0, 3, 1, 2), rng)
    return {name: encode_png(image.transpose(1, 2, 0)) for name, image in zip(names, pair, strict=True)}


def _finish(
    root: Path, store: LocalStore, manifest: DatasetRecord, shards: list[ShardRecord], note: Mapping[str, Any]
) -> DatasetRecord:
    for name in (TABLE, RECIPE):
        if (root / name).exists():
            store.publish(name, lambda path, name=name: copyfile(root / name, path))  # type: ignore[misc]
    how = f"{note['translator']} {note['fingerprint'][:12]}"
    record = manifest.model_copy(
        update={
            "shards": shards,
            "versions": dict(sorted((manifest.versions | {"translation": how}).items())),
            "sources": [*manifest.sources, dict(note["styled_by"])],
        }
    )
    publish_text(store, MANIFEST, record.model_dump_json(indent=1) + "\n")
    return record
