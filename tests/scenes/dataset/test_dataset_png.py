"""PNG files of datasets: exact, repeatable, and closed to surprises."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mage.scenes.dataset.png import SIGNATURE, check_png, decode_png, encode_png
from mage.scenes.errors import DatasetError

sides = st.integers(1, 24)
arrays = st.one_of(
    st.tuples(sides, sides).flatmap(lambda s: npst.arrays(np.uint8, s)),
    st.tuples(sides, sides).flatmap(lambda s: npst.arrays(np.uint16, s)),
    st.tuples(sides, sides, st.just(3)).flatmap(lambda s: npst.arrays(np.uint8, s)),
)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(columns, rows, depth=8, colour=0, data=b"", extra=b""):
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@settings(max_examples=60)
@given(arrays)
def test_what_is_encoded_is_decoded_and_always_to_the_same_bytes(array):
    data = encode_png(array)
    assert check_png(data) == (array.shape, array.dtype.name)
    back = decode_png(data)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    assert encode_png(np.asfortranarray(array)) == data
    np.testing.assert_array_equal(decode_png(encode_png(array, measured=True)), array)


def test_colours_are_stored_as_red_green_blue():
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 0] = 255
    raw = encode_png(red)
    assert cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)[0, 0].tolist() == [0, 0, 255]  # OpenCV is BGR


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2), np.float32),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 2, 3), np.uint16),
        np.zeros((0, 2), np.uint8),
        np.zeros(3, np.uint8),
    ],
)
def test_an_array_that_is_no_picture_is_refused(array):
    with pytest.raises(DatasetError, match="cannot be a PNG"):
        encode_png(array)


def test_a_huge_picture_is_refused_by_its_header_alone():
    with pytest.raises(DatasetError, match="100000 x 100000"):
        decode_png(png(100_000, 100_000), file="shard: key.pre.png")
    with pytest.raises(DatasetError, match="1 to 32"):
        decode_png(encode_png(np.zeros((33, 8), np.uint8)), largest=32)


@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (8, 3), (8, 6), (16, 2), (8, 4)])
def test_kinds_that_datasets_do_not_hold_are_refused(depth, colour):
    with pytest.raises(DatasetError, match="kind of PNG"):
        decode_png(png(4, 4, depth, colour))


@pytest.mark.parametrize("kind", [b"acTL", b"iCCP", b"PLTE", b"tEXt", b"IEND"])
def test_chunks_beyond_the_picture_are_refused(kind):
    with pytest.raises(DatasetError, match="chunk"):
        decode_png(png(1, 1, data=b"\0\0", extra=chunk(kind, b"\0" * 8)))


@settings(max_examples=60)
@given(st.data())
def test_every_cut_and_every_flipped_byte_is_noticed(data):
    whole = encode_png(np.arange(300, dtype=np.uint16).reshape(15, 20))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DatasetError):
        decode_png(whole[:cut])
    place, bits = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    with pytest.raises(DatasetError):
        decode_png(whole[:place] + bytes([whole[place] ^ bits]) + whole[place + 1 :])
    with pytest.raises(DatasetError, match="after its end"):
        decode_png(whole + b"\0")


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_whatever_the_bytes_the_error_is_ours(data):
    for candidate in (data, SIGNATURE + data, png(3, 3, data=data)):
        with suppress(DatasetError):
            assert decode_png(candidate).shape == (3, 3)


def test_too_little_pixel_data_behind_right_checksums_is_noticed():
    with pytest.raises(DatasetError, match="damaged"):
        decode_png(png(64, 64, data=bytes(100)))
