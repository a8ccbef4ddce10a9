"""Plain pictures in a folder, as unlabelled images: PNG and JPEG, checked before they are decoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mage.learning.crops import checked_size, cut, window_of
from mage.scenes.errors import DatasetError

SUFFIXES = (".png", ".jpg", ".jpeg")
LARGEST_BYTES, LARGEST_PIXELS = 1 << 28, 1 << 26
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # JPEG's markers of a frame, which hold its size
ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


class PictureFolder(Dataset[dict[str, Any]]):
    """The PNG and JPEG files of a folder and those below it, in the order of their names: samples with ``image``,
    uint8 (3, size, size), and ``key``, the path within the folder.

    An index from :class:`~mage.learning.EpochSampler` crops at random, a plain int in the middle.

    Args:
        root: the folder.
        size: side of the crop in pixels; pictures that are smaller are mirrored at their far edges. None gives whole
            pictures.

    Raises:
        DatasetError: no such folder, or no picture in it; on reading, a file that is damaged or too large.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> cv2.imwrite(str(root / "a.png"), np.zeros((9, 9, 3), np.uint8))
    True
    >>> PictureFolder(root, size=8)[0]["image"].shape
    torch.Size([3, 8, 8])
    """

    def __init__(self, root: str | Path, *, size: int | None = None) -> None:
        self.root, self.size = Path(root), checked_size(size)
        if not self.root.is_dir():
            raise DatasetError("no such folder", file=self.root, expected="a folder of PNG or JPEG files")
        self.paths = sorted(p for p in self.root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if not self.paths:
            raise DatasetError("holds no pictures", file=self.root, expected="PNG or JPEG files")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The picture at this index."""
        path = self.paths[index]
        picture = read_picture(path)
        picture = cut(picture, window_of(index, picture.shape, self.size), "symmetric")
        image = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        return {"image": image, "key": path.relative_to(self.root).as_posix()}

    @property
    def keys(self) -> list[str]:
        """Paths of all pictures within the folder, in the order of their indices."""
        return [path.relative_to(self.root).as_posix() for path in self.paths]

    @property
    def files(self) -> list[tuple[Path, ...]]:
        """The one of each sample."""
        return [(path,) for path in self.paths]


class PicturePairs(Dataset[dict[str, Any]]):
    """Pairs of PNG or JPEG files in a folder and those below it, as unlabelled images before and after: of two files
    whose names differ in ``pre`` and ``post`` alone, such as ``NAME_pre.png`` and ``NAME_post.png``, or xBD's
    ``NAME_pre_disaster.png``. Samples hold ``image``, uint8 (2, 3, size, size), and ``key``, the path of the first.

    An index from :class:`~mage.learning.EpochSampler` crops at random, the same of both, a plain int in the middle.

    Args:
        root: the folder.
        size: side of the crop in pixels, as of :class:`PictureFolder`; None gives whole pictures.

    Raises:
        DatasetError: no such folder, or no pair in it; on reading, a file that is damaged or too large, or two of a
            pair that differ in size.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> [cv2.imwrite(str(root / f"a_{date}.png"), np.zeros((9, 9, 3), np.uint8)) for date in ("pre", "post")]
    [True, True]
    >>> PicturePairs(root, size=8)[0]["image"].shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(self, root: str | Path, *, size: int | None = None) -> None:
        there = PictureFolder(root, size=size).paths
        self.root, self.size = Path(root), size
        both = {path: path.with_name(path.name.replace("_pre", "_post")) for path in there if "_pre" in path.name}
        self.paths = [(path, other) for path, other in both.items() if other in set(there)]
        if not self.paths:
            raise DatasetError("holds no pairs", file=self.root, expected="NAME_pre.png and NAME_post.png, or JPEG")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The pair at this index."""
        paths = self.paths[index]
        pair = [read_picture(path) for path in paths]
        if pair[0].shape != pair[1].shape:
            raise DatasetError(
                "a pair differs in size", file=paths[1], expected=str(pair[0].shape), found=str(pair[1].shape)
            )
        picture = np.concatenate(pair, 2)  # dates side by side as bands, so that one crop is of both
        picture = cut(picture, window_of(index, picture.shape, self.size), "symmetric")
        dates = picture.reshape(*picture.shape[:2], 2, 3)
        image = torch.from_numpy(np.ascontiguousarray(dates.transpose(2, 3, 0, 1)))
        return {"image": image, "key": paths[0].relative_to(self.root).as_posix()}

    @property
    def keys(self) -> list[str]:
        """Paths within the folder of the first pictures of all pairs, in the order of their indices."""
        return [path.relative_to(self.root).as_posix() for path, _ in self.paths]

    @property
    def files(self) -> list[tuple[Path, ...]]:
        """The two of each sample."""
        return list(self.paths)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A PNG or JPEG file as RGB, uint8 (H, W, 3).

    Raises:
        DatasetError: it is neither, damaged, or too large.
    """
    return np.asarray(cv2.cvtColor(decode_picture(_bytes_of(path), path), cv2.COLOR_BGR2RGB), np.uint8)


def read_labels(path: Path) -> NDArray[Any]:
    """A PNG of one grey band, as label rasters are: uint8 or uint16 (H, W).

    Raises:
        DatasetError: it is no PNG, has colours or a palette, is damaged, or too large.
    """
    data = _bytes_of(path)
    if not data.startswith(PNG) or data[25:26] != b"\0":
        kind = f"PNG of colour type {data[25]}" if data.startswith(PNG) and len(data) > 25 else repr(data[:4])
        raise DatasetError("not a raster of labels", file=path, expected="a grey PNG", found=kind)
    return decode_picture(data, path, cv2.IMREAD_UNCHANGED)


def decode_picture(data: bytes, path: str | Path, kind: int = cv2.IMREAD_COLOR) -> NDArray[Any]:
    """The bytes of a PNG or JPEG file as OpenCV has it, colours in the order blue, green, red; ``path`` is its name in
    errors, ``kind`` OpenCV's flag; raises as :func:`read_picture`.
    """
    height, width = _stated_size(data, path)
    if not 0 < height * width <= LARGEST_PIXELS:
        raise DatasetError(
            "the picture's size is refused",
            file=path,
            expected=f"1 to {LARGEST_PIXELS} pixels",
            found=f"{width} x {height}",
        )
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), kind | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.shape[:2] != (height, width):
        raise DatasetError("the picture's data is damaged", file=path)
    return pixels


def _bytes_of(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DatasetError(
                "a picture of this size is not read", file=path, expected=f"at most {LARGEST_BYTES} bytes"
            )
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", file=path) from None


def _stated_size(data: bytes, path: str | Path) -> tuple[int, int]:
    """Height and width by the header."""
    if data.startswith(PNG) and len(data) >= 24:
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    position = 2 if data.startswith(JPEG) else len(data)
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker in FRAMES:
            return (
                int.from_bytes(data[position + 5 : position + 7], "big"),
                int.from_bytes(data[position + 7 : position + 9], "big"),
            )
        position += 1 if marker == 0xFF else 2 if marker in ALONE else 2 + length
    raise DatasetError("neither a PNG nor a JPEG file", file=path)
