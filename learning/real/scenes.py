"""What all labelled sets of real imagery share: scenes of one or two images and a mask, cropped alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from mage.learning.crops import checked_size, cut, window_of
from mage.learning.pictures import LARGEST_PIXELS, read_labels, read_picture
from mage.learning.rasters import Raster
from mage.learning.real.taxonomy import Taxonomy
from mage.learning.shards import SampleDict, Transform
from mage.learning.splits import Row
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE

GEOTIFF = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class Scene:
    """A labelled image, or pair of images before and after: its row, and the files.

    >>> scene = Scene(Row("a", "flood", "Delft"), (Path("pre/a.png"), Path("post/a.png")), Path("masks/a.png"))
    >>> len(scene.images), scene.row.event
    (2, 'flood')
    """

    row: Row
    images: tuple[Path, ...]
    mask: Path


class LabelledScenes(Dataset[SampleDict]):
    """Scenes as samples with TorchGeo's keys: ``image``, uint8 (2, C, H, W) before and after, or (C, H, W) of one date;
    ``mask``, int64 (H, W), 255 ignored; ``key``.

    The base of the sets in this package, and of those that others write: files are named, ``LAYOUT`` says in errors how
    they lie, the rest is done. An index
    from :class:`~mage.learning.EpochSampler` crops at random, a plain int in the middle; images smaller than the crop
    are mirrored, their mask filled with 255.

    Args:
        root: the set's folder, for errors.
        scenes: in any order; they are taken in that of their keys.
        taxonomy: what the values in mask files become.
        size: side of the square crops to train with, pixels; None gives whole images, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: no scenes, two of one key; on reading, a file that is missing, damaged, too large, of another size
            than its partners, or with labels that the taxonomy does not know.
        MissingExtraError: a GeoTIFF, and rasterio is not installed.

    >>> import cv2, tempfile
    >>> from mage.learning import CHANGE
    >>> folder = Path(tempfile.mkdtemp())
    >>> files = [folder / f"{name}.png" for name in ("pre", "post", "changed")]
    >>> for file, shape in zip(files, ((8, 8, 3), (8, 8, 3), (8, 8)), strict=True):
    ...     assert cv2.imwrite(str(file), np.full(shape, 255, np.uint8))
    >>> scene = Scene(Row("a", "flood", "Delft"), tuple(files[:2]), files[2])
    >>> sample = LabelledScenes(folder, [scene], CHANGE)[0]
    >>> sample["image"].shape, sample["mask"].unique()
    (torch.Size([2, 3, 8, 8]), tensor([1]))
    """

    LAYOUT: ClassVar[str] = "one scene or more"

    def __init__(
        self,
        root: str | Path,
        scenes: Sequence[Scene],
        taxonomy: Taxonomy,
        *,
        size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        self.root, self.taxonomy, self.size, self.transform = Path(root), taxonomy, checked_size(size), transform
        self.scenes = sorted(scenes, key=lambda scene: scene.row.key)
        if not self.scenes:
            raise DatasetError("holds no scenes of this set", file=self.root, expected=self.LAYOUT)
        for first, second in zip(self.scenes, self.scenes[1:], strict=False):
            if first.row.key == second.row.key:
                raise DatasetError("two scenes of one name", file=second.images[0], found=second.row.key)
        for scene in self.scenes:
            for path in (*scene.images, scene.mask):
                if not path.is_file():
                    raise DatasetError(f"missing: scene '{scene.row.key}' is not whole", file=path)

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> SampleDict:
        """The sample at this index; negative ones count from the end."""
        scene = self.scenes[index]
        images = [self.image(path) for path in scene.images]
        shape = images[0].shape
        for path, image in zip(scene.images, images, strict=True):
            _check_shape(path, image.shape, shape)
        labels = self.labels(scene, (shape[0], shape[1]))
        _check_shape(scene.mask, labels.shape, shape[:2])
        mask = self.taxonomy.apply(labels, scene.mask)
        for k, image in enumerate(images):
            if image.dtype.kind == "f":  # a float image says by NaN where it is none
                mask[~np.isfinite(image).all(axis=2)] = IGNORE
                images[k] = np.nan_to_num(image)
        window = window_of(index, shape, self.size)
        stack = np.stack([cut(image, window, "symmetric") for image in images]).transpose(0, 3, 1, 2)
        pixels = torch.from_numpy(np.ascontiguousarray(stack if len(images) > 1 else stack[0]))
        sample: SampleDict = {
            "image": pixels,
            "mask": torch.from_numpy(cut(mask, window, "constant", IGNORE).astype(np.int64)),
            "key": scene.row.key,
        }
        return sample if self.transform is None else self.transform(sample)

    @property
    def rows(self) -> list[Row]:
        """Key, event, place and split of each scene, in the order of the indices."""
        return [scene.row for scene in self.scenes]

    @property
    def keys(self) -> list[str]:
        """Names of all scenes, in the order of their indices."""
        return [scene.row.key for scene in self.scenes]

    @property
    def files(self) -> list[tuple[Path, ...]]:
        """The images of each scene, in the order of the indices."""
        return [scene.images for scene in self.scenes]

    def image(self, path: Path) -> NDArray[Any]:
        """An image (H, W, C), uint8, or float32 of about 0-1 with NaN where it is none."""
        if path.suffix.lower() not in GEOTIFF:
            return read_picture(path)
        values = read_geotiff(path)
        if values.dtype != np.uint8:
            raise DatasetError("an image of another depth", file=path, expected="uint8", found=str(values.dtype))
        return values

    def labels(self, scene: Scene, shape: tuple[int, int]) -> NDArray[Any]:  # noqa: ARG002 - of those that draw them
        """The labels (H, W) in a scene's mask file; ``shape`` is that of its images."""
        if scene.mask.suffix.lower() not in GEOTIFF:
            return read_labels(scene.mask)
        values = read_geotiff(scene.mask)
        if values.shape[2] != 1:
            raise DatasetError(
                "not a raster of labels", file=scene.mask, expected="one band", found=str(values.shape[2])
            )
        return values[..., 0]


def read_geotiff(path: Path) -> NDArray[Any]:
    """All bands of a GeoTIFF (H, W, C), alpha left out; DatasetError if it is damaged or too large."""
    raster = Raster(path)
    rows, columns = raster.layout.shape
    if rows * columns > LARGEST_PIXELS:
        expected, found = f"at most {LARGEST_PIXELS} pixels", f"{columns} x {rows}"
        raise DatasetError("too large to be read whole", file=path, expected=expected, found=found)
    values, _ = raster.read((slice(0, rows), slice(0, columns)), raster.layout.pictured)
    return values.transpose(1, 2, 0)


def folder(path: Path, layout: str) -> Path:
    """The folder itself; DatasetError, which tells the layout of the set, if there is none."""
    if not path.is_dir():
        raise DatasetError("no such folder", file=path, expected=layout)
    return path


def _check_shape(path: Path, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise DatasetError("not as large as its partner", file=path, expected=str(expected), found=str(found))
