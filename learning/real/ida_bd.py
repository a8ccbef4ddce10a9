"""Ida-BD (Lee et al. 2022): satellite pairs of Hurricane Ida in Louisiana, buildings graded by their roofs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mage.learning.real.scenes import LabelledScenes, Scene, folder
from mage.learning.real.taxonomy import DAMAGE, Taxonomy
from mage.learning.shards import Transform
from mage.learning.splits import Row

EVENT, PLACE = "hurricane-ida", "louisiana"
PRE, POST = "_pre_disaster", "_post_disaster"


class IdaBD(LabelledScenes):
    """Ida-BD as it is distributed: ``images/NAME_{pre,post}_disaster.png`` and ``masks/NAME_post_disaster.png``.

    Samples are pairs; the mask is ``DAMAGE``, the values of the files: 0 background, 1 + Joint Damage Scale grade.
    Roofs alone were graded: water around a house does not count, as it does in xBD. One event, one place.

    Args:
        root: the folder with both in it.
        taxonomy: how to read the values 0-4.
        size: side of the square crops to train with, pixels; None gives whole images, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: as of :class:`~mage.learning.LabelledScenes`.

    >>> import tempfile, cv2, numpy as np
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("images/1-1_pre", "images/1-1_post", "masks/1-1_post"):
    ...         path = Path(root, f"{name}_disaster.png")
    ...         path.parent.mkdir(exist_ok=True)
    ...         assert cv2.imwrite(str(path), np.full((8, 8), 2, np.uint8))
    ...     IdaBD(root)[0]["mask"].unique().tolist()
    [2]
    """

    LAYOUT = "images/NAME_pre_disaster.png, images/NAME_post_disaster.png and masks/NAME_post_disaster.png"

    def __init__(
        self,
        root: str | Path,
        *,
        taxonomy: Taxonomy = DAMAGE,
        size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        super().__init__(root, list(_scenes(folder(Path(root), self.LAYOUT))), taxonomy, size=size, transform=transform)


def _scenes(root: Path) -> Iterator[Scene]:
    images = folder(root / "images", IdaBD.LAYOUT)
    keys = {p.stem.removesuffix(PRE).removesuffix(POST) for p in images.glob("*_disaster.png")}
    for key in sorted(keys):
        pre, post = (images / f"{key}{date}.png" for date in (PRE, POST))
        yield Scene(Row(key, EVENT, PLACE), (pre, post), root / "masks" / f"{key}{POST}.png")
