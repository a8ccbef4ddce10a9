"""The pictures that the page shows, encoded: thumbnails, images, label rasters in colour, stretched bands."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.scenes.dataset.browse.cache import Bounded
from mage.scenes.dataset.browse.catalogue import AbsentError
from mage.scenes.dataset.browse.layers import Layer, layer_of, legend, nice_top, paint
from mage.scenes.dataset.browse.shelf import Shelf
from mage.scenes.dataset.fields import DAMAGE_COLOURS, IMAGE_FIELDS, label_members
from mage.scenes.errors import DatasetError

THUMBNAILS = ("pre", "post", "damage")
SIDE = 320  # pixels of a thumbnail
KEPT = 64 << 20  # bytes of thumbnails
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]
FAST = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # the way to the page is short, so speed counts more than size
TINT = 0.55  # how much of a damage colour lies over the picture
STRETCH = (2.0, 98.0)  # percentiles that become black and white


class Pictures:
    """The pictures of a shelf's samples. What they raise is a DatasetError, of a sample that cannot be read."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self._thumbnails: Bounded[bytes] = Bounded(KEPT, len)

    def thumbnail(self, key: str, kind: str) -> bytes:
        """A small JPEG of the image before (``pre``), after (``post``), or after with damage grades over it."""
        return self._thumbnails.get((key, kind), lambda: self._draw(key, kind))

    def picture(self, key: str, member: str) -> bytes:
        """A member as PNG: an image as it is, a label raster in colours, zero clear, a band stretched to grey."""
        if member in IMAGE_FIELDS:
            self.shelf.raster(key, member)  # damage is found here and told, not by a browser
            return self.shelf.data(key, f"{member}.png")
        if member in label_members(self.shelf.record(key).label_style):
            layer, top = self._layer(key, member)
            return _encode(".png", paint(layer, self.shelf.raster(key, member), top), FAST)
        low, high = self._stretch(key, member)
        band = self.shelf.raster(key, member).astype(np.float32)
        return _encode(".png", np.clip((band - low) / max(high - low, 1) * 255, 0, 255).astype(np.uint8), FAST)

    def legend(self, key: str, member: str) -> dict[str, Any]:
        """What the colours of a member's picture mean, JSON types only."""
        if member in label_members(self.shelf.record(key).label_style):
            layer, top = self._layer(key, member)
            return legend(layer, self.shelf.raster(key, member), top)
        low, high = self._stretch(key, member)
        return {"kind": "band", "low": low, "high": high}

    def pixel(self, key: str, column: int, row: int) -> dict[str, dict[str, str]]:
        """All that is known of a pixel, in words, by date and raster; ``damaged`` of a raster that cannot be read.

        Raises:
            AbsentError: no such pixel.
        """
        record = self.shelf.record(key)
        if not (column < record.grid.columns and row < record.grid.rows):
            raise AbsentError("no such pixel", file=key, found=f"{column}, {row}")
        labels = label_members(record.label_style)
        found: dict[str, dict[str, str]] = {date: {} for date in IMAGE_FIELDS}
        for member in (*IMAGE_FIELDS, *labels):
            date, _, name = member.partition("_")
            found[date][name or "colour"] = self._say(key, member, column, row)
        for image in record.images:
            date, _, name = image.member.partition("_")
            at = [min(int((place + 0.5) * record.grid.gsd / image.gsd), 1 << 14) for place in (column, row)]
            inside = at[0] < image.columns and at[1] < image.rows
            found[date][name.replace("_", " ")] = self._say(key, image.member, *at) if inside else ""
        return found

    def _say(self, key: str, member: str, column: int, row: int) -> str:
        try:
            value = self.shelf.raster(key, member)[row, column]
        except DatasetError:
            return "damaged"
        label = label_members(self.shelf.record(key).label_style).get(member)
        if label is not None:
            return layer_of(member, label, self.shelf.catalogue.manifest).say(int(value))
        return " ".join(map(str, np.atleast_1d(value).tolist()))

    def _layer(self, key: str, member: str) -> tuple[Layer, int]:
        """How a label raster is shown, and where its scale ends: at the same value at both dates."""
        label = label_members(self.shelf.record(key).label_style)[member]
        layer = layer_of(member, label, self.shelf.catalogue.manifest)
        if layer.kind != "scale":
            return layer, 0
        highest = max(int(self.shelf.raster(key, f"{date}_{label.name}").max(initial=0)) for date in label.dates)
        return layer, nice_top(highest, layer)

    def _stretch(self, key: str, member: str) -> tuple[float, float]:
        """The digital numbers shown as black and white, of both dates alike."""
        pair = [band[::2, ::2].ravel() for band in self.shelf.pair(key, member.partition("_")[2])]
        low, high = np.percentile(np.concatenate(pair), STRETCH)
        return float(low), float(high)

    def _draw(self, key: str, kind: str) -> bytes:
        image = self.shelf.raster(key, "pre" if kind == "pre" else "post")
        if kind == "damage":
            damage = np.minimum(self.shelf.raster(key, "post_damage"), len(DAMAGE_COLOURS) - 1)
            tint = np.array(DAMAGE_COLOURS, np.float32)[damage]
            mixed = np.where(damage[..., None] > 0, image * (1 - TINT) + tint * TINT, image)
            image = mixed.astype(np.uint8)
        scale = min(1.0, SIDE / max(image.shape[:2]))
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        return _encode(".jpg", cv2.resize(image, size, interpolation=cv2.INTER_AREA), JPEG)


def _encode(suffix: str, pixels: NDArray[Any], options: list[int]) -> bytes:
    """Grey, RGB or RGBA pixels, uint8, as a file."""
    if pixels.ndim == 3:
        order = [2, 1, 0, 3][: pixels.shape[2]]
        pixels = np.ascontiguousarray(pixels[..., order])
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise DatasetError("OpenCV could not encode a picture", found=f"{pixels.dtype} {pixels.shape}")
    return data.tobytes()
