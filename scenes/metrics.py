"""How good a map is: the xView2 score exactly, and figures that do not share its flaws. numpy only.

Everything is counted in int64 over images and computed at the end, so that parts counted apart can be added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import ModelError
from mage.scenes.grades import JDS_NAMES

IGNORE = 255
EPSILON = 1e-6  # of xView2's harmonic mean

Counts = NDArray[np.int64]


@dataclass(eq=False)
class DamageMetrics:
    """Pixels counted over images; :meth:`update` adds an image, ``+`` another count.

    ``confusion[target, predicted]``, (1 + grades, 1 + grades), is over all pixels. ``located[target, predicted]``,
    (2, 2), is of buildings or none. ``scored``, (grades, 3), holds xView2's true positives, false negatives and false
    positives of each grade.

    >>> metrics = DamageMetrics(grades=4)
    >>> metrics.update(np.array([[0, 1]]), np.array([[0, 2]]))
    >>> metrics.summary()["building_iou"]
    1.0
    """

    grades: int = 4
    images: int = 0
    confusion: Counts = field(init=False)
    located: Counts = field(init=False)
    scored: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((1 + self.grades, 1 + self.grades), np.int64)
        self.located = np.zeros((2, 2), np.int64)
        self.scored = np.zeros((self.grades, 3), np.int64)

    def update(
        self,
        predicted: NDArray[np.integer[Any]],
        target: NDArray[np.integer[Any]],
        located: NDArray[np.integer[Any]] | None = None,
    ) -> None:
        """Count one image.

        Args:
            predicted: (H, W) class map, 0 no building, 1 + grade.
            target: (H, W) likewise; pixels of 255 are left out.
            located: (H, W) buildings predicted apart from their grade, as xView2's submissions hold them; by default
                where ``predicted`` is not 0. Grades predicted where it is 0 do not count.

        Raises:
            ModelError: shapes differ, or values exceed the number of grades.
        """
        located = predicted if located is None else located
        if not predicted.shape == target.shape == located.shape:
            raise ModelError(
                "a prediction cannot be compared", expected=f"shape {target.shape}", found=f"{predicted.shape}"
            )
        valid = target != IGNORE
        building = located[valid] > 0
        truth = target[valid].astype(np.int64)
        guess = predicted[valid].astype(np.int64) * building
        for name, values in (("target", truth), ("prediction", guess)):
            if values.size and not 0 <= values.min() <= values.max() <= self.grades:
                raise ModelError(f"a {name} holds other classes", expected=f"0-{self.grades}", found=str(values.max()))
        classes = 1 + self.grades
        confusion = np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)
        self.images += 1
        self.confusion += confusion
        self.located += np.bincount((truth > 0) * 2 + building, minlength=4).reshape(2, 2)
        self.scored += _scored(confusion)

    def __add__(self, other: DamageMetrics) -> DamageMetrics:
        if self.grades != other.grades:
            raise ModelError("counts of different grades", expected=str(self.grades), found=str(other.grades))
        total = DamageMetrics(self.grades, self.images + other.images)
        total.confusion = self.confusion + other.confusion
        total.located = self.located + other.located
        total.scored = self.scored + other.scored
        return total

    def localisation_f1(self) -> float:
        """F1 of buildings against none, 0 where there are none."""
        return _f1(self.located[1, 1], self.located[1, 0], self.located[0, 1])

    def damage_f1(self) -> list[float]:
        """xView2's F1 of each grade, 0 for one that occurs in no target."""
        return [_f1(*counts) for counts in self.scored]

    def xview2(self) -> float:
        """The xView2 score: 0.3 of the localisation F1 and 0.7 of the harmonic mean of the damage F1.

        As the challenge's own scorer: pixels are pooled over images; damage is scored on the target's building pixels
        only; an image counts for a grade only if its target holds it, so that false positives in other images are
        dropped. A grade that occurs nowhere has an F1 of 0, and the score falls to 0.3 of the localisation F1.
        """
        return 0.3 * self.localisation_f1() + 0.7 * harmonic_mean(self.damage_f1())

    def xview2_present(self) -> float | None:
        """The same over the grades that occur; None where none does."""
        f1 = [score for score, here in zip(self.damage_f1(), self._present(), strict=True) if here]
        return 0.3 * self.localisation_f1() + 0.7 * harmonic_mean(f1) if f1 else None

    def macro_f1(self) -> float | None:
        """Mean F1 of the grades that occur, on the target's building pixels, all false positives there counted; None
        where none occurs.
        """
        on_buildings = self.confusion.copy()
        on_buildings[0] = 0
        f1 = [_f1(*_parts(on_buildings, c + 1)) for c, here in enumerate(self._present()) if here]
        return float(np.mean(f1)) if f1 else None

    def iou(self) -> list[float | None]:
        """Intersection over union of background and each grade over all pixels; None where neither map has it."""
        return [_ratio(tp, tp + fn + fp) for tp, fn, fp in self._all_parts()]

    def building_iou(self) -> float | None:
        """Intersection over union of buildings of any grade."""
        return _ratio(self.located[1, 1], self.located.sum() - self.located[0, 0])

    def precision(self) -> list[float | None]:
        """Of background and each grade over all pixels; None where it was never predicted."""
        return [_ratio(tp, tp + fp) for tp, _, fp in self._all_parts()]

    def recall(self) -> list[float | None]:
        """Of background and each grade over all pixels; None where it does not occur."""
        return [_ratio(tp, tp + fn) for tp, fn, _ in self._all_parts()]

    def f1(self) -> list[float | None]:
        """Of background and each grade over all pixels; None where neither map has it."""
        return [_ratio(2 * tp, 2 * tp + fn + fp) for tp, fn, fp in self._all_parts()]

    def summary(self) -> dict[str, Any]:
        """All figures as JSON types; an undefined one is None."""
        iou, precision, recall, f1 = self.iou(), self.precision(), self.recall(), self.f1()
        names = ("background", *grade_names(self.grades))
        return {
            "xview2": self.xview2(),
            "xview2_present": self.xview2_present(),
            "localisation_f1": self.localisation_f1(),
            "building_iou": self.building_iou(),
            "damage_f1": dict(zip(names[1:], self.damage_f1(), strict=True)),
            "macro_f1": self.macro_f1(),
            "mean_iou": _mean(iou),
            "classes": {
                name: {"iou": iou[c], "precision": precision[c], "recall": recall[c], "f1": f1[c],
                       "pixels": int(self.confusion[c].sum())}
                for c, name in enumerate(names)
            },
            "images": self.images,
            "pixels": int(self.confusion.sum()),
        }  # fmt: skip

    def absent(self) -> list[str]:
        """Names of the grades that occur in no target."""
        return [name for name, here in zip(grade_names(self.grades), self._present(), strict=True) if not here]

    def _present(self) -> list[bool]:
        return [bool(count) for count in self.confusion[1:].sum(1)]

    def _all_parts(self) -> list[tuple[int, int, int]]:
        return [_parts(self.confusion, c) for c in range(1 + self.grades)]


@dataclass(eq=False)
class BuildingMetrics:
    """Buildings counted over images: each building's grade is the one that most of its pixels show.

    ``confusion[target, predicted]``, (grades, 1 + grades): predicted 0 is a building of which less than half was
    found.

    >>> metrics = BuildingMetrics(grades=4)
    >>> metrics.update(np.array([[0, 2]]), np.array([[0, 2]]), np.array([[0, 1]]))
    >>> metrics.summary()["buildings"]
    1
    """

    grades: int = 4
    confusion: Counts = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.grades, 1 + self.grades), np.int64)

    def update(
        self,
        predicted: NDArray[np.integer[Any]],
        target: NDArray[np.integer[Any]],
        building: NDArray[np.integer[Any]],
    ) -> None:
        """Count one image: class maps (H, W) as in :class:`DamageMetrics`, and each pixel's building number, 0 none."""
        inside = (building > 0) & (target > 0) & (target != IGNORE)
        _, number = np.unique(building[inside], return_inverse=True)
        if not number.size:
            return
        truth = _votes(number, target[inside], 1 + self.grades)
        guess = _votes(number, predicted[inside], 1 + self.grades)
        found = guess[:, 1:].sum(1) * 2 >= guess.sum(1)
        grade = np.where(found, guess[:, 1:].argmax(1) + 1, 0)
        np.add.at(self.confusion, (truth[:, 1:].argmax(1), grade), 1)

    def macro_f1(self) -> float | None:
        """Mean F1 of the grades that occur, buildings that were missed counted as errors; None without buildings."""
        square = np.vstack([np.zeros(1 + self.grades, np.int64), self.confusion])
        f1 = [_f1(*_parts(square, c + 1)) for c in range(self.grades) if self.confusion[c].any()]
        return float(np.mean(f1)) if f1 else None

    def quadratic_kappa(self) -> float | None:
        """Cohen's kappa with quadratic weights over the buildings that were found: 1 perfect, 0 no better than chance;
        None where it is undefined (fewer than two grades in target and prediction together).
        """
        found = self.confusion[:, 1:].astype(np.float64)
        distance = np.subtract.outer(np.arange(self.grades), np.arange(self.grades)) ** 2
        by_chance = np.outer(found.sum(1), found.sum(0)) / max(found.sum(), 1)
        expected = float((distance * by_chance).sum())
        return 1 - float((distance * found).sum()) / expected if expected else None

    def summary(self) -> dict[str, Any]:
        """All figures as JSON types; an undefined one is None."""
        total = int(self.confusion.sum())
        return {
            "buildings": total,
            "found": _ratio(total - int(self.confusion[:, 0].sum()), total),
            "macro_f1": self.macro_f1(),
            "quadratic_kappa": self.quadratic_kappa(),
        }


def harmonic_mean(scores: Sequence[float]) -> float:
    """xView2's: each score is raised by 1e-6, so that perfect ones give 1.000001 and one of 0 gives almost 0."""
    return len(scores) / sum(1 / (score + EPSILON) for score in scores)


def grade_names(grades: int) -> tuple[str, ...]:
    """The Joint Damage Scale's names where there are four grades, numbers elsewhere."""
    return JDS_NAMES if grades == len(JDS_NAMES) else tuple(f"grade-{g}" for g in range(grades))


def _scored(confusion: Counts) -> Counts:
    """xView2's counts of one image, (grades, 3): zero for grades that its target does not hold."""
    on_buildings = confusion[1:]
    hit = on_buildings[:, 1:].diagonal()
    occurring = on_buildings.sum(1)
    parts = np.stack([hit, occurring - hit, on_buildings[:, 1:].sum(0) - hit], 1)
    return np.asarray(parts * (occurring > 0)[:, None], np.int64)


def _parts(confusion: Counts, c: int) -> tuple[int, int, int]:
    """True positives, false negatives and false positives of a class."""
    hit = int(confusion[c, c])
    return hit, int(confusion[c].sum()) - hit, int(confusion[:, c].sum()) - hit


def _votes(number: NDArray[np.intp], values: NDArray[np.integer[Any]], classes: int) -> Counts:
    """Pixels of each value in each object, (objects, classes)."""
    flat = number * classes + values.astype(np.int64)
    return np.bincount(flat, minlength=(int(number.max()) + 1) * classes).reshape(-1, classes)


def _f1(hit: int, missed: int, false: int) -> float:
    return float(2 * hit / (2 * hit + missed + false)) if hit else 0.0


def _ratio(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [v for v in values if v is not None]
    return float(np.mean(defined)) if defined else None
