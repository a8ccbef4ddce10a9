"""Datasets for the tests of exports: several splits and events, courtyards, tents, further sensors, slanted views,
annotations, cities without a CRS; and decoded samples to compare with.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby, islice, pairwise

import numpy as np
from fake_dataset import (
    GSD,
    HASH,
    SENSOR,
    SOURCES,
    VERSIONS,
    count_pixels,
    fake_recipe,
    fake_sample,
    with_sensor,
    with_tents,
)

from mage.scenes.dataset.codec import decode_sample
from mage.scenes.dataset.index import finish_dataset
from mage.scenes.dataset.schema import AnnotationRecord, Sample, SampleRecord, ViewedRecord
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.dataset.tar import TarIndex

SIZE = 64


def write_samples(root, samples, *, sensors=(), style=None, policy="xbd", shard_size=2):
    """A dataset of these samples, each in a shard with its neighbours of the same event; returns its record."""
    store, shards, numbers = LocalStore(root), [], Counter()
    for (split, _), mine in groupby(samples, lambda s: (s.record.split, s.record.event)):
        for some in batched(mine, shard_size):
            shards.append(write_shard(store, f"{split}-{numbers[split]:06d}.tar", some, HASH))
            numbers[split] += 1
    recipe = fake_recipe(len(samples), samples[0].record.grid.rows)
    if style:
        recipe = recipe.model_copy(update={"label_style": style, "label_policy": policy})
    return finish_dataset(root, recipe, shards, VERSIONS, SOURCES, sensors)


def batched(items, size):
    """Lists of so many items, the last one of what is left."""
    items = iter(items)
    while some := list(islice(items, size)):
        yield some


def rich_samples(size=SIZE):
    """Three samples of train, two of test: two events, a courtyard, tents, a sensor, one without a CRS."""
    samples = [fake_sample(i, size, 0, "train", "atown") for i in range(3)]
    samples += [fake_sample(i, size, 1, "test", "btown") for i in range(3, 5)]
    samples[0] = with_courtyard(samples[0])
    tented = with_tents(samples[1], hazard="earthquake-camp")
    samples[1] = changed(tented, event="atown-earthquake-camp-0")
    samples[4] = changed(samples[4], grid=samples[4].record.grid.model_copy(update={"crs": None}))
    return [with_sensor(s) for s in samples]


def write_rich_dataset(root, size=SIZE):
    """The dataset of :func:`rich_samples`."""
    return write_samples(root, rich_samples(size), sensors=[SENSOR])


def changed(sample, **values):
    """The sample with another record."""
    record = SampleRecord.model_validate(sample.record.model_dump() | {k: _plain(v) for k, v in values.items()})
    return Sample(record, sample.images, sample.labels, sample.bands)


def _plain(value):
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value.model_dump() if hasattr(value, "model_dump") else value


def with_courtyard(sample):
    """The first house gets a court of two pixels by two."""
    labels = {name: raster.copy() for name, raster in sample.labels.items()}
    house = sample.record.buildings[0]
    left, top = (int(v) + 2 for v in np.min(house.polygons_px[0][0], axis=0))
    for name in ("pre_building", "post_building", "post_damage", "post_ems98", "post_visible"):
        labels[name][top : top + 2, left : left + 2] = 0
    court = [(left, top), (left, top + 2), (left + 2, top + 2), (left + 2, top), (left, top)]
    court = [(float(x), float(y)) for x, y in court]
    grid = sample.record.grid
    on_map = [(grid.west + x * GSD, grid.north - y * GSD) for x, y in court]
    rings = {"polygons_px": [[*house.polygons_px[0], court]], "polygons_map": [[*house.polygons_map[0], on_map]]}
    buildings = [house.model_copy(update=rings), *sample.record.buildings[1:]]
    pixels = {name: count_pixels(labels[name]) for name in sample.record.pixels}
    return changed(Sample(sample.record, sample.images, labels), buildings=buildings, pixels=pixels)


def annotated_sample(index, policy="xbd", split="train"):
    """A sample whose annotator drew each pair of neighbours as one outline, two pixels to the east of the houses."""
    sample = fake_sample(index, SIZE, 0, split)
    number, drawn = np.zeros((SIZE, SIZE), np.uint16), []
    houses = sample.record.buildings
    worst = 3 if policy == "bright" else 4
    for first in range(0, len(houses) - 1, 2):
        pair = houses[first : first + 2]
        corners = np.concatenate([h.polygons_px[0][0] for h in pair])
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        left, right = min(left + 2, SIZE - 2), min(right + 2, SIZE)
        ring = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
        grade = min(worst, 1 + max(h.jds for h in pair))
        free = number[int(top) : int(bottom), int(left) : int(right)]
        if free.size == 0 or free.any():
            continue
        free[:] = len(drawn) + 1
        drawn.append(
            AnnotationRecord(id=len(drawn) + 1, polygons_px=[[ring]], buildings=[h.id for h in pair], grade=grade)
        )
    table = np.array([0, *(a.grade for a in drawn)], np.uint8)
    labels = sample.labels | {"pre_annotated": number, "post_annotated": table[number]}
    return changed(Sample(sample.record, sample.images, labels), annotations=drawn)


def write_annotated_dataset(root, policy="xbd"):
    """Two annotated samples."""
    return write_samples(root, [annotated_sample(i, policy) for i in range(2)], style="annotator", policy=policy)


def slanted_sample(index=0):
    """A sample whose image after is slanted and displaced by (2, 1): houses lean by three pixels to the east."""
    sample, buildings = fake_sample(index, SIZE), []
    for house in sample.record.buildings:
        (left, top), (right, bottom) = np.min(house.polygons_px[0][0], axis=0), np.max(house.polygons_px[0][0], axis=0)
        ring = [(left + 2, top + 1), (right + 5, top + 1), (right + 5, bottom + 1), (left + 2, bottom + 1)]
        view = ViewedRecord(outline_px=[[[*ring, ring[0]]]], roof_px=[[[*ring, ring[0]]]], offset_px=(3.0, 0.0))
        buildings.append(house.model_copy(update={"post_view": view}))
    post = sample.record.post.model_copy(update={"off_nadir_angle": 20.0, "shift_px": (2.0, 1.0)})
    return changed(sample, buildings=buildings, post=post)


def displaced_sample(index=0, shift=(2, 1)):
    """A sample whose image after and its labels are displaced by so many columns and rows."""
    sample = fake_sample(index, SIZE)
    roll = {n: np.roll(r, shift[::-1], (0, 1)) if n.startswith("post") else r for n, r in sample.labels.items()}
    post = sample.record.post.model_copy(update={"shift_px": tuple(map(float, shift))})
    return changed(Sample(sample.record, sample.images, roll), post=post)


def shaken_sample():
    """A sample whose houses show the grades 0 to 5 in turn, as after an earthquake."""
    sample = fake_sample(0)
    seen = enumerate(sample.record.buildings)
    told = [b.model_copy(update={"visible": k % 6, "jds": [0, 0, 0, 1, 2, 3][k % 6]}) for k, b in seen]
    return changed(sample, buildings=told, hazard="earthquake")


def samples_by_key(root):
    """All samples of a dataset, decoded, by key."""
    found = {}
    for shard in sorted((root / "shards").glob("*.tar")):
        with TarIndex(shard) as tar:
            for key in tar.keys:
                found[key] = decode_sample(lambda name, tar=tar, key=key: tar.read(key, name))
    return found


def inside(rings, size):
    """Whether the centre of each pixel lies in a polygon of rings, (size, size): by the even-odd rule."""
    x, y = np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5)
    odd = np.zeros((size, size), bool)
    for ring in rings:
        for (x0, y0), (x1, y1) in pairwise(ring):
            if y0 != y1:
                odd ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return odd
