"""What methods that learn nothing reach on a release, so that a model's figures have something to stand on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError
from tqdm import tqdm

from mage.generator.release.markdown import count, plain, table
from mage.generator.release.previews import Place, samples_at, spread
from mage.scenes.dataset.codec import first_mistake
from mage.scenes.dataset.schema import Record, Sample
from mage.scenes.dataset.store import open_store, read_text
from mage.scenes.errors import DatasetError
from mage.scenes.grades import JDS_NAMES
from mage.scenes.metrics import BuildingMetrics, DamageMetrics

MOST = 256  # samples of a split that are measured
LARGEST = 1 << 20  # bytes of a file of results
TRAIN = "train"
FIGURES = ("xview2", "xview2_present", "localisation_f1", "macro_f1", "building_macro_f1", "building_kappa")

Map = NDArray[np.uint8]
Score = Annotated[float, Field(ge=-1, le=1.0001, allow_inf_nan=False)]


class Result(Record):
    """Figures of one method on one split; ``measured`` are those of this module, others are a user's own."""

    method: str = Field(min_length=1, max_length=80)
    split: str
    samples: int = Field(ge=1)
    figures: dict[str, Score | None] = Field(min_length=1, max_length=30)
    note: str = Field("", max_length=400, description="seed, version of the code, where it is")
    measured: bool = False


class Results(Record):
    """``baselines.json``, and the file that a user gives."""

    results: list[Result]


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its name, what it does, and the map (H, W) of 0 background, 1 + grade that it makes of a sample."""

    name: str
    meaning: str
    predict: Callable[[Sample], Map]


def read_results(path: Path, splits: Sequence[str]) -> list[Result]:
    """A user's own results.

    Raises:
        DatasetError: not such a file, or of a split that there is not.
    """
    try:
        found = Results.model_validate_json(read_text(open_store(path.parent), path.name, LARGEST)).results
    except ValidationError as error:
        raise DatasetError(f"not a file of results: {first_mistake(error)}", file=path) from None
    for result in found:
        if result.split not in splits:
            raise DatasetError(
                "a result is of a split that there is not", file=path, expected=", ".join(splits), found=result.split
            )
    return [result.model_copy(update={"measured": False}) for result in found]


def measure(
    root: Path, places: Mapping[str, Sequence[Place]], *, progress: bool = False
) -> tuple[list[Method], list[Result]]:
    """The methods, and their figures on up to 256 samples of each split, spread evenly."""
    chosen = {split: spread(all_of_it, MOST) for split, all_of_it in places.items()}
    reference = TRAIN if TRAIN in chosen else next(iter(chosen))
    total = sum(map(len, chosen.values())) + len(chosen[reference])
    results = []
    with tqdm(total=total, desc="baselines", unit="sample", disable=None if progress else True) as bar:
        methods = methods_from(root, chosen[reference], reference, bar)
        for split, picked in chosen.items():
            pixels = [DamageMetrics() for _ in methods]
            buildings = [BuildingMetrics() for _ in methods]
            for sample in samples_at(root, picked):
                _score(sample, methods, pixels, buildings)
                bar.update()
            results += [
                Result(method=m.name, split=split, samples=len(picked), figures=_figures(p, b), measured=True)
                for m, p, b in zip(methods, pixels, buildings, strict=True)
            ]
    return methods, results


def _score(
    sample: Sample, methods: Sequence[Method], pixels: list[DamageMetrics], buildings: list[BuildingMetrics]
) -> None:
    target, number = sample.labels["post_damage"], sample.labels["post_building"]
    for method, p, b in zip(methods, pixels, buildings, strict=True):
        predicted = method.predict(sample)
        p.update(predicted, target)
        b.update(predicted, target, number)


def _figures(pixels: DamageMetrics, buildings: BuildingMetrics) -> dict[str, float | None]:
    values = (
        pixels.xview2(), pixels.xview2_present(), pixels.localisation_f1(), pixels.macro_f1(),
        buildings.macro_f1(), buildings.quadratic_kappa(),
    )  # fmt: skip
    return {name: None if v is None else round(v, 6) for name, v in zip(FIGURES, values, strict=True)}


def methods_from(root: Path, places: Sequence[Place], split: str, bar: Any) -> list[Method]:
    """The methods; the last takes its thresholds from the grades' shares in ``split``."""
    differences, grades = [], []
    for sample in samples_at(root, places):
        number = sample.labels["post_building"]
        values = difference(sample)
        ids = np.flatnonzero(np.isfinite(values))
        differences.append(values[ids])
        damage = np.zeros(int(number.max()) + 1, np.uint8)
        damage[number.ravel()] = sample.labels["post_damage"].ravel()
        grades.append(damage[ids])
        bar.update()
    limits = thresholds(np.concatenate(differences), np.concatenate(grades))
    return [
        Method("nothing", "no building anywhere", lambda s: np.zeros_like(s.labels["post_damage"])),
        Method(
            "all undamaged",
            f"the true outlines, every building {JDS_NAMES[0]}",
            lambda s: np.asarray(s.labels["post_damage"] > 0, np.uint8),
        ),
        Method(
            "colour difference",
            "the true outlines; a building's grade goes by how much its colour changed, its ranks cut so that each "
            f"grade has its share in {split}",
            lambda s: by_difference(s, limits),
        ),
    ]  # fmt: skip


def difference(sample: Sample) -> NDArray[np.float64]:
    """Mean absolute colour difference between the dates per building number of the image after; NaN where there is
    none. Each image's bands are brought to mean 0 and deviation 1 first, so that light and haze count less.
    """
    before, after = (_normal(sample.images[date]) for date in ("pre", "post"))
    change = np.abs(before - after).mean(axis=2).ravel()
    number = np.where(sample.labels["post_damage"] > 0, sample.labels["post_building"], 0).ravel()
    count = np.bincount(number)
    total = np.bincount(number, weights=change)
    mean = np.full(len(count), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    mean[0] = np.nan
    return mean


def _normal(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    values = image.astype(np.float64)
    return (values - values.mean((0, 1))) / np.maximum(values.std((0, 1)), 1.0)


def thresholds(differences: NDArray[np.float64], grades: Map) -> NDArray[np.float64]:
    """(3,) differences above which a building is taken for grade 1, 2, 3, so that each grade is as frequent as in
    ``grades`` (1 + grade each).
    """
    if not len(differences):
        return np.full(len(JDS_NAMES) - 1, np.inf)
    frequent = np.bincount(grades, minlength=1 + len(JDS_NAMES))[1:].cumsum()[:-1]
    ranked = np.append(np.sort(differences), np.inf)
    return np.asarray(ranked[frequent], np.float64)


def by_difference(sample: Sample, limits: NDArray[np.float64]) -> Map:
    """The map of the method ``colour difference``."""
    values = np.nan_to_num(difference(sample), nan=-np.inf)
    grade = np.searchsorted(limits, values, side="right").astype(np.uint8) + 1
    grade[~np.isfinite(values)] = 0
    number = np.where(sample.labels["post_damage"] > 0, sample.labels["post_building"], 0)
    return np.asarray(grade[number], np.uint8)


def baseline_table(methods: Sequence[Method], results: Sequence[Result]) -> str:
    """``baselines.md``."""
    names = list(dict.fromkeys(name for result in results for name in result.figures))
    rows = [
        (
            plain(r.method),
            r.split,
            r.samples,
            *(r.figures.get(name) for name in names),
            "" if r.measured else plain(r.note) or "stated",
        )
        for r in results
    ]
    heads = "method", "split", "samples", *(name.replace("_", " ") for name in names), "stated by the publisher"
    measured = "\n".join(f"- **{m.name}**: {plain(m.meaning)}." for m in methods)
    return "\n\n".join(
        (
            "# Baselines",
            "What can be had without learning anything, measured on this release. A model is worth as much as it is "
            "better.",
            measured,
            table(heads, rows),
            "`xview2` is the score of the xView2 challenge, in which a grade that occurs nowhere takes all but the "
            "localisation's part away; `xview2 present` is the same over the grades that occur. `macro f1` is over "
            "pixels "
            "of buildings, `building macro f1` and `building kappa` (quadratic weights) over buildings. Up to "
            f"{count(MOST, 'sample')} of a split are measured, spread evenly. Outlines are the true ones: these "
            f"figures "
            "grade buildings that are found already; and in the split that its ranks are cut by, the colour difference "
            "knows how frequent each grade is.",
        )
    ) + "\n"  # fmt: skip
