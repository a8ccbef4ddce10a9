"""Pictures of a release: a contact sheet a split, and a few samples with every label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from mage.generator.panels import Picture, overlay, shrunk
from mage.generator.preview import contact_sheet
from mage.scenes.dataset.codec import decode_sample
from mage.scenes.dataset.png import encode_png
from mage.scenes.dataset.released import PREVIEWS
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.store import SHARDS
from mage.scenes.dataset.tar import TarIndex

SHOWN = 12  # samples on a sheet
COLUMNS = 2  # of them side by side, each three pictures wide
SIDE = 224  # pixels of a picture on a sheet
WIDEST = 1600  # pixels of the picture of one sample
GAP, MARGIN = 4, 22

Place = tuple[str, str]  # a shard's name and a sample's key


def write_previews(root: Path, places: Mapping[str, Sequence[Place]]) -> dict[str, str]:
    """Draw the previews of a release's splits into it; ``places`` are the samples of each.

    Returns:
        The pictures' paths within the release by what they show.
    """
    pictures: dict[str, str] = {}
    for split, all_of_it in places.items():
        chosen = list(samples_at(root, spread(all_of_it, SHOWN)))
        sheet = f"{PREVIEWS}/{split}.png"
        _save(root / sheet, sheet_of(chosen))
        pictures[f"samples of {split}: before, after, damage over after"] = sheet
        richest = max(
            chosen, key=lambda sample: (len({b.jds for b in sample.record.buildings}), len(sample.record.buildings))
        )
        single = f"{PREVIEWS}/{split}-labels.png"
        _save(root / single, shrunk(contact_sheet(richest), WIDEST))
        pictures[f"{richest.record.key}: every layer"] = single
    return pictures


def spread(places: Sequence[Place], most: int) -> list[Place]:
    """Up to ``most`` of them, spread evenly."""
    picks = np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int))
    return [places[i] for i in picks]


def samples_at(root: Path, places: Sequence[Place]) -> Iterator[Sample]:
    """The samples at these places, decoded one by one; a shard is opened once for those that follow each other."""
    for name, members in groupby(places, key=lambda place: place[0]):
        with TarIndex(root / SHARDS / name) as tar:
            for _, key in members:
                yield decode_sample(partial(tar.read, key), file=f"{name}: {key}")


def sheet_of(samples: Sequence[Sample]) -> Picture:
    """Before, after, and damage over after of each sample, with its key, uint8 RGB."""
    strips = [_strip(sample) for sample in samples]
    height, width = (max(strip.shape[k] for strip in strips) for k in (0, 1))
    columns = min(COLUMNS, len(strips))
    rows = -(-len(strips) // columns)
    sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for k, strip in enumerate(strips):
        top, left = k // columns * height, k % columns * width
        sheet[top : top + strip.shape[0], left : left + strip.shape[1]] = strip
    return sheet


def _strip(sample: Sample) -> Picture:
    pictures = [shrunk(picture, SIDE) for picture in (sample.images["pre"], sample.images["post"], overlay(sample))]
    framed = [cv2.copyMakeBorder(p, MARGIN, GAP, GAP, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255)) for p in pictures]
    strip = np.concatenate([*framed, np.full((framed[0].shape[0], 2 * GAP, 3), 255, np.uint8)], axis=1)
    place, font = (GAP, MARGIN - 7), cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(strip, sample.record.key, place, font, 0.42, (30, 30, 30), 1, cv2.LINE_AA)
    return np.asarray(strip, np.uint8)


def _save(path: Path, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(picture))
