"""What is mapped, and compared: damage, classes, or what a further head of a damage network says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mage.learning.names import Head
from mage.learning.predict import classify
from mage.learning.scoring.figures import BUILDINGS, CLASSES, DAMAGE, TWO_CLASSES, Figure
from mage.learning.scoring.heights import EDGES, HEIGHTS, metres_of, storeys
from mage.scenes.errors import DatasetError, ModelError
from mage.scenes.metrics import IGNORE, grade_names

NAMES: dict[Head, tuple[str, ...]] = {
    Head.FLOOD: ("dry", "flooded"),
    Head.ROAD: ("no road", "open road", "blocked road"),
    Head.HEIGHT: (f"below {EDGES[0]} m", *(f"{a}-{b} m" for a, b in pairwise(EDGES)),
                  f"{EDGES[-1]} m or more"),
}  # fmt: skip
"""Classes that further heads are compared by; heights are compared in metres beside."""
BUILDING_OR_NONE = ("background", "building")


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What a model says of a tile, as it is compared: classes, uint8 (H, W); their probabilities, float32 (classes, H,
    W), None of heights; and these in metres, float32 (2, H, W) before and after, None of all else.
    """

    classes: NDArray[np.uint8]
    probabilities: NDArray[np.float32] | None = None
    metres: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """What is mapped.

    Attributes:
        names: of the values of a mask, 0 the background first.
        graded: whether they are grades of damage.
        head: the further head that says it; None of damage or plain classes.
    """

    names: tuple[str, ...]
    graded: bool = False
    head: Head | None = None

    @property
    def classes(self) -> int:
        """Values of a mask."""
        return len(self.names)

    def figures(self, numbered: bool) -> dict[str, Figure]:
        """Those that make sense, ``numbered`` where buildings have numbers."""
        if self.graded:
            return DAMAGE | (BUILDINGS if numbered else {})
        if self.head is Head.HEIGHT:
            return HEIGHTS
        if self.names == BUILDING_OR_NONE:
            return {"building_iou": TWO_CLASSES["iou"]} | CLASSES
        return (TWO_CLASSES if self.classes == 2 else {}) | CLASSES

    def read(self, maps: Mapping[str, Tensor]) -> Maps:
        """What :func:`~mage.learning.predict_maps` found, as it is compared."""
        found = {name: values.float().cpu().numpy() for name, values in maps.items()}
        match self.head:
            case Head.FLOOD:
                water = found[Head.FLOOD][0]
                return Maps((water >= 0.5).astype(np.uint8), np.stack([1 - water, water]))
            case Head.ROAD:
                return Maps(found[Head.ROAD].argmax(0).astype(np.uint8), found[Head.ROAD])
            case Head.HEIGHT:
                return Maps(storeys(found[Head.HEIGHT][1]), metres=found[Head.HEIGHT])
        probabilities = found["classes"]
        if self.classes == 2 and len(probabilities) > 2:  # one class alone, of a model that grades it
            probabilities = np.stack([probabilities[0], 1 - probabilities[0]])
        if self.graded or self.classes == 2:
            return Maps(classify(probabilities), probabilities)
        return Maps(probabilities.argmax(0).astype(np.uint8), probabilities)

    def truth(self, sample: Mapping[str, Any]) -> NDArray[Any]:
        """The labels (H, W) of a sample, 255 where there are none; grades are one class where two are compared.

        Raises:
            DatasetError: it lacks a label, or its mask holds other classes.
        """
        mask: NDArray[Any] = label(sample, "mask")
        if self.head is not None:
            return np.where(mask == IGNORE, IGNORE, _truth(self.head, sample))
        if self.classes == 2:
            mask = np.where((mask > 0) & (mask != IGNORE), 1, mask)
        values = mask[mask != IGNORE]
        if values.size and not 0 <= values.min() <= values.max() < self.classes:
            raise DatasetError("a mask holds other classes", expected=f"0-{self.classes - 1}", found=str(values.max()))
        return mask


def task_of(
    model: nn.Module, *, only_buildings: bool = False, head: Head | None = None, names: tuple[str, ...] = ()
) -> Task:
    """What a model maps: ``grades`` of damage or ``classes``; one of its further heads, or buildings alone, where that
    is asked for. ``names`` are those that a dataset gives to the values of its masks; of a model that grades damage and
    a dataset of two classes, it is compared where the model sees a building of any grade.

    Raises:
        ModelError: it says neither, has no such head, or maps other classes than the dataset has.
    """
    if head is not None:
        if head not in (there := getattr(model, "heads", ())):
            raise ModelError(f"the model has no head '{head}'", expected=", ".join(there) or "one that was trained so")
        return Task(NAMES[head], head=head)
    if only_buildings:
        return Task(names if len(names) == 2 else BUILDING_OR_NONE)
    grades, classes = getattr(model, "grades", None), getattr(model, "classes", None)
    number = 1 + grades if isinstance(grades, int) else classes
    if not isinstance(number, int):
        raise ModelError("the model does not state its classes: give it an attribute", expected="grades or classes")
    if isinstance(grades, int):
        return Task(names) if len(names) == 2 else Task(("background", *grade_names(grades)), graded=True)
    if names and len(names) != number:
        raise ModelError(
            "the model maps other classes than the dataset has", expected=", ".join(names), found=str(number)
        )
    return Task(names or (BUILDING_OR_NONE if number == 2 else tuple(f"class-{c}" for c in range(number))))


def label(sample: Mapping[str, Any], name: str) -> NDArray[Any]:
    """A label (H, W) of a sample.

    Raises:
        DatasetError: it lacks it.
    """
    if not isinstance(found := sample.get(name), Tensor):
        raise DatasetError("a sample lacks what is compared", expected=f"a tensor '{name}'", found=", ".join(sample))
    values: NDArray[Any] = found.cpu().numpy()
    return values


def _truth(head: Head, sample: Mapping[str, Any]) -> NDArray[Any]:
    """Classes of a head's labels (H, W), 255 where one is missing (negative)."""
    first, *others = (label(sample, name) for name in head.wants)
    known = np.all([values >= 0 for values in (first, *others)], axis=0)
    match head:
        case Head.FLOOD:
            classes = (first > 0).astype(np.int64)
        case Head.ROAD:
            classes = np.where(first > 0, 1 + (others[0] > 0), 0)
        case Head.HEIGHT:
            classes = storeys(metres_of(others[0])).astype(np.int64)
    return np.where(known, classes, IGNORE)
