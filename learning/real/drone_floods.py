"""FloodNet and RescueNet: drone photographs after hurricanes, every pixel labelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from mage.learning.real.scenes import LabelledScenes, Scene, folder
from mage.learning.real.taxonomy import Taxonomy
from mage.learning.shards import Transform
from mage.learning.splits import Row
from mage.scenes.errors import DatasetError
from mage.scenes.grades import JDS_NAMES, JDS_OF_FLOODNET, JDS_OF_RESCUENET

SPLITS = ("train", "val", "test")
_FLOODNET = (
    "background",
    "building-flooded",
    "building-non-flooded",
    "road-flooded",
    "road-non-flooded",
    "water",
    "tree",
    "vehicle",
    "pool",
    "grass",
)
_RESCUENET = (
    "background",
    "water",
    "building-no-damage",
    "building-minor-damage",
    "building-major-damage",
    "building-total-destruction",
    "vehicle",
    "road-clear",
    "road-blocked",
    "tree",
    "pool",
)


def _chosen(names: tuple[str, ...], classes: tuple[str, ...], chosen: Mapping[int, int]) -> Taxonomy:
    return Taxonomy(classes, {value: chosen.get(value, 0) for value in range(len(names))})


def _graded(names: tuple[str, ...], jds: Mapping[int, int]) -> Taxonomy:
    return _chosen(names, ("background", *JDS_NAMES), {value: 1 + grade for value, grade in jds.items()})


class _DroneScenes(LabelledScenes):
    """Photographs ``SPLIT-org-img/NAME.jpg`` with ``SPLIT-label-img/NAME_lab.png``."""

    LAYOUT = (
        "SPLIT-org-img/NAME.jpg and SPLIT-label-img/NAME_lab.png, in the folder or in one below it; SPLIT one of "
        f"{', '.join(SPLITS)}"
    )
    EVENT: ClassVar[str]
    DAMAGE: ClassVar[Taxonomy]

    def __init__(
        self,
        root: str | Path,
        *,
        split: str | None = None,
        taxonomy: Taxonomy | None = None,
        size: int | None = None,
        transform: Transform | None = None,
    ) -> None:
        there = SPLITS if split is None else (split,)
        scenes = [scene for name in there for scene in _scenes(folder(Path(root), self.LAYOUT), name, self.EVENT)]
        if split is not None and not scenes:
            raise DatasetError("holds no such split", file=root, expected=f"{split}-org-img and {split}-label-img")
        super().__init__(root, scenes, taxonomy or self.DAMAGE, size=size, transform=transform)


class FloodNet(_DroneScenes):
    """FloodNet, track 1 (Rahnemoonfar et al. 2021, https://arxiv.org/abs/2012.02951): drone photographs after Hurricane
    Harvey, as distributed: ``SPLIT/SPLIT-org-img/NAME.jpg`` and ``SPLIT/SPLIT-label-img/NAME_lab.png``, values 0-9.

    Samples are of one date. The mask is, by ``taxonomy``:

    - ``FloodNet.DAMAGE`` (default): 1 + Joint Damage Scale grade of buildings; a flooded one, which water touches, is
      minor damage (:data:`mage.scenes.grades.JDS_OF_FLOODNET`);
    - ``FloodNet.WATER``: 1 on water and flooded roads, 0 elsewhere, flooded buildings' roofs among it;
    - ``FloodNet.CLASSES``: the values of the files.

    Args:
        root: the folder with the splits in it.
        split: train, val or test; None takes all that are there.
        taxonomy: one of those above, or your own.
        size: side of the square crops to train with, pixels; None gives whole photographs, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: as of :class:`~mage.learning.LabelledScenes`; no such split.

    >>> FloodNet.DAMAGE.values[1], FloodNet.WATER.values[3], FloodNet.CLASSES.classes[9]
    (2, 1, 'grass')
    """

    EVENT = "hurricane-harvey"
    DAMAGE = _graded(_FLOODNET, JDS_OF_FLOODNET)
    WATER: ClassVar = _chosen(_FLOODNET, ("dry", "water"), {3: 1, 5: 1})
    CLASSES: ClassVar = _chosen(_FLOODNET, _FLOODNET, {value: value for value in range(len(_FLOODNET))})


class RescueNet(_DroneScenes):
    """RescueNet (Rahnemoonfar et al. 2023, https://doi.org/10.1038/s41597-023-02799-4): drone photographs after
    Hurricane Michael, as distributed: ``SPLIT-org-img/NAME.jpg`` and ``SPLIT-label-img/NAME_lab.png`` (in the folder or
    one below it), values 0-10.

    Samples are of one date. The mask is, by ``taxonomy``:

    - ``RescueNet.DAMAGE`` (default): 1 + Joint Damage Scale grade of buildings, whose four grades are RescueNet's
      (:data:`mage.scenes.grades.JDS_OF_RESCUENET`);
    - ``RescueNet.ROADS``: 0 none, 1 clear, 2 blocked;
    - ``RescueNet.CLASSES``: the values of the files.

    Args:
        root: the folder with the splits in it.
        split: train, val or test; None takes all that are there.
        taxonomy: one of those above, or your own.
        size: side of the square crops to train with, pixels; None gives whole photographs, as scores want them.
        transform: applied to each sample last.

    Raises:
        DatasetError: as of :class:`~mage.learning.LabelledScenes`; no such split.

    >>> RescueNet.DAMAGE.values[5], RescueNet.ROADS.values[8], RescueNet.CLASSES.classes[10]
    (4, 2, 'pool')
    """

    EVENT = "hurricane-michael"
    DAMAGE = _graded(_RESCUENET, JDS_OF_RESCUENET)
    ROADS: ClassVar = _chosen(_RESCUENET, ("none", "clear", "blocked"), {7: 1, 8: 2})
    CLASSES: ClassVar = _chosen(_RESCUENET, _RESCUENET, {value: value for value in range(len(_RESCUENET))})


def _scenes(root: Path, split: str, event: str) -> Iterator[Scene]:
    images = [p for depth in ("", "*/") for p in sorted(root.glob(f"{depth}{split}-org-img")) if p.is_dir()]
    for path in (photo for place in images for photo in sorted(place.glob("*.jpg"))):
        mask = path.parent.with_name(f"{split}-label-img") / f"{path.stem}_lab.png"
        yield Scene(Row(f"{split}/{path.stem}", event, event, split), (path,), mask)
