"""LEVIR-CD (Chen and Shi 2020, https://doi.org/10.3390/rs12101662): buildings that came or went, at 0.5 m."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mage.learning.real.scenes import LabelledScenes, Scene, folder
from mage.learning.real.taxonomy import CHANGE, Taxonomy
from mage.learning.shards import Transform
from mage.learning.splits import Row
from mage.scenes.errors import DatasetError

SPLITS = ("train", "val", "test")
NAME = re.compile(r"(?P<place>(?P<split>train|val|test)_\d+)(?:_(?P<row>\d+)_(?P<column>\d+))?")
EVENT, TILE = "construction", 256


class LevirCD(LabelledScenes):
    """LEVIR-CD as it is distributed, ``SPLIT/A``, ``SPLIT/B`` and ``SPLIT/label`` with files ``SPLIT_N.png``, or cut to
    tiles of 256 px, ``A``, ``B`` and ``label`` with files ``SPLIT_N_ROW_COLUMN.png`` (offsets in pixels).

    Samples are pairs; the mask is ``CHANGE``: 1 where a building was built or pulled down. The place of a sample is the
    picture that it is of or from (``train_36``), its box the tile's in that picture; there is no disaster.

    Args:
        root: the folder.
        split: train, val or test; None takes all.
        taxonomy: how to read the values 0 and 255.
        size: side of the square crops to train with, pixels; None gives whole images, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: as of :class:`~mage.learning.LabelledScenes`; a name that is not LEVIR-CD's.

    >>> import tempfile, cv2, numpy as np
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name, shape in (("A", (8, 8, 3)), ("B", (8, 8, 3)), ("label", (8, 8))):
    ...         Path(root, name).mkdir()
    ...         assert cv2.imwrite(f"{root}/{name}/val_27_0000_0256.png", np.full(shape, 255, np.uint8))
    ...     dataset = LevirCD(root, split="val")
    ...     dataset[0]["mask"].unique().tolist(), dataset.rows[0].place
    ([1], 'val_27')
    """

    LAYOUT = (
        f"A, B and label in SPLIT, one of {', '.join(SPLITS)}, with files SPLIT_N.png; or in the folder itself, with "
        "files SPLIT_N_ROW_COLUMN.png"
    )

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = None,
        taxonomy: Taxonomy = CHANGE,
        size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        top = folder(Path(root), self.LAYOUT)
        places = [top] if (top / "A").is_dir() else [top / name for name in SPLITS if (top / name / "A").is_dir()]
        scenes = [scene for place in places for scene in _scenes(place) if split in (None, scene.row.split)]
        if split is not None and not scenes:
            raise DatasetError("holds no scenes of this split", file=root, expected=", ".join(SPLITS), found=split)
        super().__init__(root, scenes, taxonomy, size=size, transform=transform)


def _scenes(place: Path) -> Iterator[Scene]:
    names = {path.name for side in ("A", "B") for path in folder(place / side, LevirCD.LAYOUT).glob("*.png")}
    for name in sorted(names):
        yield Scene(_row(place, name), (place / "A" / name, place / "B" / name), place / "label" / name)


def _row(place: Path, name: str) -> Row:
    match = NAME.fullmatch(name.removesuffix(".png"))
    if match is None:
        raise DatasetError("not a name of LEVIR-CD", file=place / "A" / name, expected="SPLIT_N or SPLIT_N_ROW_COLUMN")
    box = None
    if match["row"] is not None:
        top, left = float(match["row"]), float(match["column"])
        box = (left, top, left + TILE, top + TILE)
    return Row(match[0], EVENT, match["place"], match["split"], box)
