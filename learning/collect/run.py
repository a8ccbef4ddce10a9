"""Collecting: the plan is written down first, then shard after shard, so that the same command goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from tqdm import tqdm

from mage.learning.collect.tiles import Content, Source
from mage.scenes.dataset.schema import ShardRecord
from mage.scenes.dataset.store import Store, open_store, publish_text, read_text, shard_is_done, write_shard
from mage.scenes.dataset.unlabelled import Tile, UnlabelledRecord, encode_tile, finish_unlabelled
from mage.scenes.errors import DatasetError

PLAN, EMPTY = "plan.json", "empty"


def collect(
    source: Source, out: Path, *, name: str, limit: int | None = None, versions: dict[str, str], progress: bool = False
) -> UnlabelledRecord:
    """Write the imagery of a source as a dataset without labels; what is there already stays.

    Args:
        source: a :class:`~mage.learning.collect.stac.StacSource`, or one of :mod:`~mage.learning.collect.services`.
        out: the folder to write: not there, empty, or that of the same request.
        name: of the dataset.
        limit: no more tiles than this.
        versions: of all that decides what is written, by name, for the record.
        progress: draw a progress bar on standard error, if that is a terminal.

    Raises:
        DatasetError: the folder is of another request; nothing was found; a server does not answer; a full disk. Shards
            that are done stay, and the same call goes on after them.
    """
    store = open_store(out)
    request = source.request | {"limit": limit}
    parts = _planned(store, source, request)
    mark = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    shards: list[ShardRecord] = []
    left = limit
    with tqdm(total=len(parts), unit="part", disable=None if progress else True, desc="collect") as bar:
        for number, part in enumerate(parts):
            if left is None or left > 0:
                shard = _shard(store, source, number, part, left, mark)
                shards += [shard] if shard else []
                left = None if limit is None else limit - sum(done.samples for done in shards)
            bar.update()
            bar.set_postfix(tiles=sum(done.samples for done in shards))
    store.clean_partial()
    if not shards:
        raise DatasetError("no imagery was found there", file=out, expected="an area, dates and bands that have some")
    return finish_unlabelled(store, name, shards, request, versions)


def _planned(store: Store, source: Source, request: Content) -> list[Content]:
    """The parts of the work as they were first planned, so that a catalogue that grows does not change it."""
    asked = json.loads(json.dumps(request))
    if store.size(PLAN) is None:
        if store.sizes():
            raise DatasetError("not empty, and nothing that was collected", file=store.place)
        text = json.dumps({"request": asked, "parts": source.plan()}, indent=1)
        publish_text(store, PLAN, text + "\n")
    try:
        content = json.loads(read_text(store, PLAN))
        before, parts = content["request"], list(content["parts"])
    except (ValueError, RecursionError, TypeError, KeyError):
        raise DatasetError("damaged: not a plan of collecting", file=store.where(PLAN)) from None
    if before != asked:
        odd = sorted(key for key in {*before, *asked} if before.get(key) != asked.get(key))
        raise DatasetError(
            "was collected for another request; take another folder",
            file=store.place,
            expected=f"the same {', '.join(odd)}",
            found=", ".join(str(asked.get(key)) for key in odd)[:200],
        )
    return parts


def _shard(store: Store, source: Source, number: int, part: Content, left: int | None, mark: str) -> ShardRecord | None:
    """The shard of a part: the one that is there, or a new one; None where there is no imagery."""
    name, nothing = f"unlabelled-{number:06d}.tar", f"{EMPTY}/{number:06d}.json"
    done = shard_is_done(store, name, mark, bare=True)
    if done is not None or store.size(nothing) is not None:
        return done
    tiles: Iterator[Tile] = islice(source.tiles(part), left)
    first = next(tiles, None)
    if first is None:
        publish_text(store, nothing, "{}\n")
        return None
    return write_shard(store, name, chain([first], tiles), mark, encode_tile)
