"""Crops: which window of a raster an index stands for, and the window cut out, mirrored or filled past the edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.sampling import Draw
from mage.scenes.errors import DatasetError

Window = tuple[slice, slice]


def checked_size(size: int | None) -> int | None:
    """The side of a crop; DatasetError if no crop can have it."""
    if size is not None and size < 1:
        raise DatasetError("a crop cannot have this size", expected="1 pixel or more", found=str(size))
    return size


def window_of(index: int, shape: Sequence[int], size: int | None) -> Window:
    """Rows and columns to cut, possibly reaching over the far edges of a small raster.

    Args:
        index: a :class:`~mage.learning.sampling.Draw` crops at random, a plain int in the middle.
        shape: rows and columns of the raster, and whatever follows.
        size: side of the crop in pixels; None takes the whole.
    """
    if size is None:
        return slice(0, shape[0]), slice(0, shape[1])
    spare = [max(side - size, 0) for side in shape[:2]]
    if isinstance(index, Draw):
        row, column = index.rng().integers(0, spare, endpoint=True)
    else:
        row, column = (side // 2 for side in spare)
    return slice(int(row), int(row) + size), slice(int(column), int(column) + size)


def cut(raster: NDArray[Any], window: Window, mode: Any, fill: int = 0) -> NDArray[Any]:
    """The window of a raster (H, W, ...), mirrored (``symmetric``) or filled (``constant``) past the far edges."""
    part = raster[window]
    missing = [(0, cut.stop - cut.start - side) for cut, side in zip(window, part.shape, strict=False)]
    if not any(after for _, after in missing):
        return part
    missing += [(0, 0)] * (raster.ndim - 2)
    return np.pad(part, missing, mode=mode, **({"constant_values": fill} if mode == "constant" else {}))
