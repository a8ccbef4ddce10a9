"""Reading the multilayer OpenEXR files that Blender writes, which its own Python cannot: plain scanlines of floats."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import RenderError

MAGIC = b"v/1\x01"
FLOAT, NONE = 2, 0  # pixel type and compression of the OpenEXR file layout


def read_layers(path: Path) -> dict[str, NDArray[np.float32]]:
    """Channels by name (``ViewLayer.DiffCol.R``), float32 (rows, columns) each, row 0 on top.

    Raises:
        RenderError: not an uncompressed scanline file of 32-bit floats.
    """
    data = path.read_bytes()
    attributes, start = _header(data, path)
    if attributes.get("compression") != bytes([NONE]) or attributes.get("lineOrder") != b"\0":
        raise RenderError("not a plain OpenEXR file", file=path, expected="no compression, lines from top to bottom")
    names = _channels(attributes["channels"], path)
    x0, y0, x1, y1 = struct.unpack("<4i", attributes["dataWindow"])
    rows, columns = y1 - y0 + 1, x1 - x0 + 1
    start += 8 * rows  # the table of where each line begins: with no compression they follow each other
    line = 8 + 4 * columns * len(names)  # its number and length come first
    if len(data) != start + rows * line:
        raise RenderError(
            "an OpenEXR file is cut", file=path, expected=f"{start + rows * line} bytes", found=f"{len(data)}"
        )
    lines = np.frombuffer(data, np.uint8, offset=start).reshape(rows, line)[:, 8:]
    planes = np.ascontiguousarray(lines).view("<f4").reshape(rows, len(names), columns)
    return {name: planes[:, i].astype(np.float32) for i, name in enumerate(names)}


def _header(data: bytes, path: Path) -> tuple[dict[str, bytes], int]:
    """Attributes by name, and where they end."""
    if data[:4] != MAGIC:
        raise RenderError("not an OpenEXR file", file=path, found=repr(data[:4]))
    found, position = {}, 8
    try:
        while data[position]:
            name, position = _text(data, position)
            _, position = _text(data, position)
            (size,) = struct.unpack_from("<i", data, position)
            found[name] = data[position + 4 : position + 4 + size]
            position += 4 + size
    except (IndexError, ValueError, struct.error):
        raise RenderError("an OpenEXR file is cut", file=path) from None
    return found, position + 1


def _channels(data: bytes, path: Path) -> list[str]:
    names, position = [], 0
    while data[position]:
        name, position = _text(data, position)
        if struct.unpack_from("<i", data, position)[0] != FLOAT:
            raise RenderError("not a plain OpenEXR file", file=path, expected="32-bit floats", found=name)
        position += 16
        names.append(name)
    return names


def _text(data: bytes, position: int) -> tuple[str, int]:
    end = data.index(b"\0", position)
    return data[position:end].decode("utf-8", "replace"), end + 1
