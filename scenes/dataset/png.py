"""PNG as the datasets hold it: grey 8 and 16 bit and RGB, the same bytes every time, and no decoding of surprises."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import DatasetError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB = 0, 2  # colour types of the PNG specification
KINDS = {(8, GREY): "uint8", (16, GREY): "uint16", (8, RGB): "uint8"}
LARGEST = 16384  # pixels along a side
LEVEL = 6
# run-length matching halves the time on what is measured and costs no bytes; what has names has long matches worth
# finding
MEASURED = [cv2.IMWRITE_PNG_COMPRESSION, LEVEL, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
NAMED = [cv2.IMWRITE_PNG_COMPRESSION, LEVEL, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT]


def encode_png(array: NDArray[Any], *, measured: bool = False) -> bytes:
    """A uint8 or uint16 (rows, columns) raster or a uint8 (rows, columns, 3) RGB image as PNG.

    ``measured`` says of a raster that its values differ from pixel to pixel, like those of any image, rather than name
    things: it decides how long is searched for repetitions.

    Raises:
        DatasetError: another dtype or shape.
    """
    colour = array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8
    grey = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    if not (colour or grey) or array.size == 0:
        raise DatasetError(
            "this array cannot be a PNG",
            expected="uint8 or uint16 (rows, columns), or uint8 (rows, columns, 3)",
            found=f"{array.dtype} {array.shape}",
        )
    if colour:
        return _encoded(cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_RGB2BGR), MEASURED)
    value = array.flat[0]
    if (array == value).all():
        return _encoded_even(array.shape, array.dtype.name, int(value), measured)
    return _encoded(np.ascontiguousarray(array), MEASURED if measured else NAMED)


@lru_cache(maxsize=64)
def _encoded_even(shape: tuple[int, ...], dtype: str, value: int, measured: bool) -> bytes:
    """Of one value: most tiles have no water, no tents, no cloud, so that the same few are written again and again."""
    return _encoded(np.full(shape, value, dtype), MEASURED if measured else NAMED)


def _encoded(pixels: NDArray[Any], settings: list[int]) -> bytes:
    done, data = cv2.imencode(".png", pixels, settings)
    if not done:
        raise DatasetError("OpenCV could not encode a PNG", found=f"{pixels.dtype} {pixels.shape}")
    return data.tobytes()


def decode_png(data: bytes, *, largest: int = LARGEST, file: str = "") -> NDArray[Any]:
    """The array that :func:`encode_png` was given.

    Size, kind and every checksum are looked at before a pixel is decoded, so that a small file cannot ask for much
    memory.

    Args:
        data: the whole file.
        largest: pixels along a side above which the picture is refused.
        file: what to call it in an error.

    Raises:
        DatasetError: not a PNG, cut or damaged, too large, or of a kind that datasets do not hold.
    """
    where = file or None
    shape, dtype = check_png(data, largest=largest, file=file)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise DatasetError("the picture's data is damaged", file=where)
    if pixels.shape != shape or pixels.dtype != dtype:
        raise DatasetError(
            "decoded to something else than its header says",
            file=where,
            expected=f"{dtype} {shape}",
            found=f"{pixels.dtype} {pixels.shape}",
        )
    # a copy of a view with a negative step would take fifty times as long, a third of what decoding takes
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if len(shape) == 3 else pixels


def check_png(data: bytes, *, largest: int = LARGEST, file: str = "") -> tuple[tuple[int, ...], str]:
    """Shape and dtype of the array in a PNG, from its header and checksums, no pixel decoded; raises as
    :func:`decode_png`.
    """
    where = file or None
    columns, rows, kind = _header(data, where)
    if not (0 < rows <= largest and 0 < columns <= largest):
        raise DatasetError(
            "the picture's size is refused",
            file=where,
            expected=f"1 to {largest} pixels along a side",
            found=f"{columns} x {rows}",
        )
    if kind not in KINDS:
        raise DatasetError(
            "a kind of PNG that datasets do not hold",
            file=where,
            expected="grey of 8 or 16 bit, or RGB of 8 bit",
            found=f"{kind[0]} bit, colour type {kind[1]}",
        )
    _check_chunks(data, where)
    return ((rows, columns, 3) if kind[1] == RGB else (rows, columns)), KINDS[kind]


def _header(data: bytes, file: str | None) -> tuple[int, int, tuple[int, int]]:
    """Columns, rows, and (bit depth, colour type)."""
    if not data.startswith(SIGNATURE):
        raise DatasetError("not a PNG", file=file, found=repr(data[:8]))
    if len(data) < 33 or data[8:16] != b"\x00\x00\x00\x0dIHDR":
        raise DatasetError("the PNG has no whole header", file=file, expected="33 bytes", found=f"{len(data)} bytes")
    columns, rows, depth, colour = struct.unpack_from(">IIBB", data, 16)
    return columns, rows, (depth, colour)


def _check_chunks(data: bytes, file: str | None) -> None:
    """Walk the chunks: header, image data, end; each whole and with the checksum that it states."""
    view, position = memoryview(data), len(SIGNATURE)
    expected: tuple[bytes, ...] = (b"IHDR",)
    kind = b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise DatasetError("the PNG is cut short", file=file)
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise DatasetError("the PNG is cut short", file=file)
        if kind not in expected:
            names = " or ".join(str(k, "ascii") for k in expected)
            raise DatasetError("a PNG chunk that datasets do not hold", file=file, expected=names, found=repr(kind))
        if zlib.crc32(view[position + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise DatasetError("the PNG's checksum does not match its data", file=file)
        expected = (b"IDAT",) if kind == b"IHDR" else (b"IDAT", b"IEND")
        position = end
    if position != len(data):
        raise DatasetError("the PNG goes on after its end", file=file, found=f"{len(data) - position} bytes")
