"""Pictures of a few fixed samples while a method learns: what it is shown, what is true, and what it makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mage.learning.devices import autocast, place
from mage.learning.methods import Method, Samples
from mage.learning.runs import publish
from mage.learning.sampling import EpochSampler
from mage.learning.segment import SiameseDamageNet
from mage.learning.streams import Datasets, gather
from mage.scenes.dataset.fields import DAMAGE_COLOURS
from mage.scenes.dataset.png import encode_png
from mage.scenes.metrics import IGNORE

FOLDER, EARLY = "previews", (10, 50)  # steps at which one looks whether a training goes at all
ROWS, SIDE, GAP, HEAD = (
    3,
    128,
    4,
    18,
)  # samples of a stream; least side of a panel, space between, line of words, pixels
PAPER, INK, UNKNOWN = (255, 255, 255), (60, 60, 60), (150, 150, 150)

Pixels = NDArray[np.uint8]


class Previews:
    """Draws ``previews/00000200.png`` in a run's folder.

    The samples are the first of each stream, cropped as training crops them, the same in every picture and after
    resuming. Networks look at them as they are at that step, in evaluation mode, and are left as they were.

    Args:
        folder: of the run.
        datasets: the streams.
        orders: of each stream.
    """

    def __init__(self, folder: Path, datasets: Datasets, orders: Mapping[str, EpochSampler]) -> None:
        self.folder, self.datasets, self.orders = folder / FOLDER, datasets, orders
        self._samples: dict[str, Samples] | None = None

    def draw(self, method: Method, step: int, device: torch.device) -> None:
        """Write the picture of a step; nothing where the method has nothing to show.

        Raises:
            DatasetError: a sample cannot be read.
        """
        if self._samples is None:
            self._samples = {
                name: gather(dataset, self.orders[name].first(ROWS), name) for name, dataset in self.datasets.items()
            }
        colours = class_colours(method)
        rows = [row for name, samples in self._samples.items() for row in _rows(method, name, samples, device, colours)]
        if rows:
            publish(self.folder / f"{step:08d}.png", encode_png(sheet(rows)))


def class_colours(method: Method) -> NDArray[np.uint8]:
    """Colours (256, 3) of the values of a mask: those of a dataset's grades for a damage model, else hues."""
    table = np.full((IGNORE + 1, 3), UNKNOWN, np.uint8)
    if isinstance(method.model, SiameseDamageNet) and method.model.classes == len(DAMAGE_COLOURS):
        table[: len(DAMAGE_COLOURS)] = DAMAGE_COLOURS
        return table
    number = method.classes or IGNORE
    hue = np.arange(number - 1) * 137.508 % 360 / 2  # the golden angle: neighbours differ, and none comes twice soon
    table[0] = 0
    bright = np.stack([hue, np.full_like(hue, 170), np.full_like(hue, 230)], -1)[None].astype(np.uint8)
    table[1:number] = cv2.cvtColor(bright, cv2.COLOR_HSV2RGB)[0] if number > 1 else table[1:number]
    return table


def sheet(rows: Sequence[Mapping[str, Pixels]]) -> Pixels:
    """Panels (H, W, 3) by what they are, a row a sample, with a line of words above each row."""
    panels = [{name: _enlarged(panel) for name, panel in row.items()} for row in rows]
    width = max(sum(p.shape[1] + GAP for p in row.values()) for row in panels) + GAP
    height = sum(next(iter(row.values())).shape[0] + HEAD + GAP for row in panels)
    paper = np.full((height, width, 3), PAPER, np.uint8)
    top = 0
    for row in panels:
        left = GAP
        for name, panel in row.items():
            words = (left, top + HEAD - 5)
            cv2.putText(paper, name, words, cv2.FONT_HERSHEY_SIMPLEX, 0.36, INK, 1, cv2.LINE_AA)
            paper[top + HEAD : top + HEAD + panel.shape[0], left : left + panel.shape[1]] = panel
            left += panel.shape[1] + GAP
        top += next(iter(row.values())).shape[0] + HEAD + GAP
    return paper


def _rows(
    method: Method, stream: str, samples: Samples, device: torch.device, colours: NDArray[np.uint8]
) -> list[dict[str, Pixels]]:
    found = _look(method, samples["image"], device)
    if found is None:
        return []
    rows = []
    for number, image in enumerate(samples["image"].numpy()):
        row = {f"{stream}, {name}": picture for name, picture in _photographs(image).items()}
        if found[number].shape == image.shape:
            row |= {f"{name}, made": picture for name, picture in _photographs(found[number]).items()}
        else:
            row |= {"truth": colours[samples["mask"][number].long().numpy()]} if "mask" in samples else {}
            row["prediction"] = colours[found[number]]
        rows.append(row)
    return rows


def _look(method: Method, image: torch.Tensor, device: torch.device) -> NDArray[Any] | None:
    """What the method makes of images; every module is left in its mode."""
    training = {module: module.training for module in method.modules()}
    method.eval()
    try:
        with torch.no_grad(), autocast(device):
            found = method.preview(place(image, device))
    finally:
        for module, mode in training.items():
            module.training = mode
    if found is None:
        return None
    return found.float().cpu().numpy() if found.is_floating_point() else found.cpu().numpy()


def _photographs(image: NDArray[Any]) -> dict[str, Pixels]:
    """An image (T, C, H, W) or (C, H, W) as RGB by date: the first three bands, or the first as grey. Floats that are
    dark, as reflectances are, or beyond 0-1 are stretched, both dates alike.
    """
    dates = image if image.ndim == 4 else image[None]
    names = {1: ("image",), 2: ("before", "after")}.get(len(dates), [f"date {i + 1}" for i in range(len(dates))])
    rgb = np.moveaxis(dates[:, :3] if dates.shape[1] >= 3 else dates[:, [0, 0, 0]], 1, -1)
    if rgb.dtype != np.uint8:
        low, high = np.percentile(rgb, (1, 99))
        if low >= 0 and 0.5 <= high <= 1:
            low, high = 0.0, 1.0
        rgb = np.clip((rgb - low) / max(high - low, 1e-6) * 255, 0, 255).round().astype(np.uint8)
    return {name: np.ascontiguousarray(picture) for name, picture in zip(names, rgb, strict=True)}


def _enlarged(panel: Pixels) -> Pixels:
    """Whole multiples of a small panel, pixel for pixel."""
    factor = max(1, -(-SIDE // max(panel.shape[:2])))
    return panel.repeat(factor, 0).repeat(factor, 1)
