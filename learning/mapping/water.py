"""Where water stands in one image of red, green and blue: the network that comes with the package, on arrays of any
pixel and on scenes larger than memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mage.learning.bundled import bundled_folder
from mage.learning.mapping.grader import stated
from mage.learning.mapping.inputs import checksum
from mage.learning.mapping.maps import write_probabilities
from mage.learning.mapping.picture import Picture
from mage.learning.mapping.stream import OVERLAP, WINDOW, Forward
from mage.learning.network import Network
from mage.learning.predict import predict_tile
from mage.learning.saved import CARD, WEIGHTS, load_model, model_record
from mage.scenes.errors import DatasetError

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
WET = 1  # the class of water
EVEN = 1.001  # pixels that are finer by less count as known


@dataclass(frozen=True, slots=True, eq=False)
class WaterModel:
    """A network of one image that tells water, permanent or not, from all else.

    Attributes:
        network: of classes dry and water.
        gsd: metres of a pixel, least and most, that it was trained for.
        file: its weights; None where it is not on disk.
        facts: what it says of itself, by name.
        card: the model card, Markdown.

    >>> from mage.learning import SegmentationNet
    >>> model = WaterModel(SegmentationNet(classes=2, width=2), (0.25, 1.0))
    >>> model.of(np.zeros((3, 40, 50), np.uint8), 0.05).shape
    (40, 50)
    """

    network: Network
    gsd: tuple[float, float]
    file: Path | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    card: str = ""

    def of(self, image: Bytes, gsd: float) -> Floats:
        """Probability that water is what is seen from above, float32 (rows, columns).

        Pixels finer than those that it knows are averaged to the finest of these, and what it says is interpolated.

        Args:
            image: uint8 (3, rows, columns), red, green and blue.
            gsd: metres of its pixels.

        Raises:
            DatasetError: the image has another shape or type.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or len(image) != 3:
            found = f"{image.dtype} {image.shape}"
            raise DatasetError("no image of red, green and blue", expected="uint8 (3, rows, columns)", found=found)
        rows, columns = image.shape[1:]
        share = gsd / self.gsd[0]
        if share * EVEN >= 1:
            return self._said(image)
        size = max(1, round(columns * share)), max(1, round(rows * share))
        small = np.stack([cv2.resize(band, size, interpolation=cv2.INTER_AREA) for band in image])
        return np.asarray(cv2.resize(self._said(small), (columns, rows), interpolation=cv2.INTER_LINEAR), np.float32)

    def forward(self, gsd: float) -> Forward:
        """What :func:`~mage.learning.mapping.stream.stream` runs over a scene of such pixels: one map."""
        return lambda images: self.of(images[-1], gsd)[None]

    def _said(self, image: Bytes) -> Floats:
        said = predict_tile(self.network, torch.from_numpy(np.ascontiguousarray(image)))
        return np.asarray(said[WET].cpu().numpy(), np.float32)


def open_water(device: str = "auto") -> WaterModel:
    """The model of water that comes with the package.

    Args:
        device: auto, cpu, cuda or mps.

    Raises:
        ModelError: it is not there.
    """
    folder = bundled_folder("water")
    record, network = model_record(folder), load_model(folder, device)
    assert record.gsd is not None, "what the package ships says it"
    card = (folder / CARD).read_text(encoding="utf-8")
    facts = {"name": "bundled with MAGE", "network": type(network).__name__, "images": "each by itself"}
    return WaterModel(network, record.gsd, folder / WEIGHTS, facts | stated(record, card), card)


def write_water(
    path: Path,
    model: WaterModel,
    picture: Picture,
    identity: Mapping[str, Any],
    *,
    window: int = WINDOW,
    overlap: int = OVERLAP,
    progress: bool = False,
) -> Path:
    """Probabilities of water in a scene as a cloud-optimised GeoTIFF, in the memory of two rows of windows; a run that
    was interrupted goes on.

    Args, errors: those of :func:`~mage.learning.mapping.maps.write_probabilities`; ``picture`` is of red, green and
    blue.
    """
    windows = {"window": window, "overlap": overlap, "stride": model.network.encoder.strides[-1]}
    forward = model.forward(picture.grid.gsd)
    return write_probabilities(path, forward, [picture], ("water",), identity, **windows, progress=progress)


def water_maps(
    model: WaterModel,
    pictures: Mapping[str, Picture],
    identity: Mapping[str, Any],
    step: Callable[[str, Mapping[str, Any], Callable[[Path], object]], Path],
    *,
    window: int,
    progress: bool = False,
) -> dict[str, Path]:
    """Maps of water in the images before and after an event, ``water_before.tif`` and ``water_after.tif``, by name.

    Args:
        model: that looks.
        pictures: ``before`` and ``after`` on one grid, or one of them.
        identity: what they depend on, but for the model.
        step: makes a file or takes that of an earlier run, see
            :meth:`~mage.learning.mapping.folder.ProductFolder.step`.
        window: as of ``stream``.
        progress: whether to show bars.

    Raises:
        MageError: a picture cannot be read, or a file not be written.
    """
    told = {**identity, "water": None if model.file is None else checksum(model.file)}

    def made(picture: Picture) -> Callable[[Path], object]:
        overlap = window // 16 * 2
        return lambda path: write_water(path, model, picture, told, window=window, overlap=overlap, progress=progress)

    return {date: step(f"water_{date}.tif", told | {"date": date}, made(p)) for date, p in pictures.items()}
