"""A folder of your own: images and masks by the same names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from mage.learning.raster_crops import SUFFIXES
from mage.learning.real.scenes import LabelledScenes, Scene, folder
from mage.learning.real.taxonomy import Taxonomy
from mage.learning.shards import Transform
from mage.learning.splits import Row
from mage.scenes.errors import DatasetError
from mage.scenes.metrics import IGNORE

AS_THEY_ARE = Taxonomy((), {value: value for value in range(IGNORE + 1)})


class LabelledFolder(LabelledScenes):
    """``images/`` and ``masks/``, or ``pre/``, ``post/`` and ``masks/``: PNG, JPEG or 8-bit GeoTIFF files, masks grey
    PNG or GeoTIFF, that have the same name without its suffix, in folders below those where wanted.

    Samples are of one date, or pairs; the mask holds the values of the files, 255 ignored, unless a taxonomy says else.

    Args:
        root: the folder with these in it.
        taxonomy: what the values of mask files become; None keeps 0-255.
        where: event and place of a sample by its name, for honest splits; None takes the first folder of the name
            (``harvey/houston-3`` is of ``harvey``), or the root's name, for both.
        size: side of the square crops to train with, pixels; None gives whole images, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: as of :class:`~mage.learning.LabelledScenes`; two files of one name.
        MissingExtraError: GeoTIFFs, and rasterio is not installed.

    >>> import tempfile, cv2, numpy as np
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name, shape in (("images", (8, 8, 3)), ("masks", (8, 8))):
    ...         Path(root, name).mkdir()
    ...         assert cv2.imwrite(f"{root}/{name}/a.png", np.full(shape, 3, np.uint8))
    ...     LabelledFolder(root)[0]["mask"].unique().tolist()
    [3]
    """

    LAYOUT = (
        "images/NAME and masks/NAME, or pre/NAME, post/NAME and masks/NAME; images PNG, JPEG or GeoTIFF, masks grey "
        "PNG or GeoTIFF"
    )

    def __init__(
        self,
        root: str | Path,
        *,
        taxonomy: Taxonomy | None = None,
        where: Callable[[str], tuple[str, str]] | None = None,
        size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        scenes = list(_scenes(folder(Path(root), self.LAYOUT), where))
        super().__init__(root, scenes, taxonomy or AS_THEY_ARE, size=size, transform=transform)


def _scenes(root: Path, where: Callable[[str], tuple[str, str]] | None) -> Iterator[Scene]:
    dates = ("images",) if (root / "images").is_dir() else ("pre", "post")
    sides = [_files(folder(root / name, LabelledFolder.LAYOUT)) for name in (*dates, "masks")]
    for key in sorted(set().union(*sides)):
        for name, side in zip((*dates, "masks"), sides, strict=True):
            if key not in side:
                raise DatasetError(f"missing: sample '{key}' is not whole", file=root / name / f"{key}.*")
        first = key.split("/")[0] if "/" in key else root.resolve().name
        event, place = (first, first) if where is None else where(key)
        *images, mask = (side[key] for side in sides)
        yield Scene(Row(key, event, place), tuple(images), mask)


def _files(side: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(p for p in side.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()):
        key = path.relative_to(side).with_suffix("").as_posix()
        if key in found:
            raise DatasetError("two files of one name", file=path, found=found[key].name)
        found[key] = path
    return found
