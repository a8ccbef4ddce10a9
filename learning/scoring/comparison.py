"""Groups of tiles side by side, and runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.learning.scoring.figures import Figure, Values
from mage.learning.scoring.figures import values as figures_of
from mage.learning.scoring.intervals import (
    LEVEL,
    REPLICATES,
    Interval,
    OverSeeds,
    Paired,
    drawn_weights,
    interval_of,
    over_seeds,
    paired,
    resampled,
)
from mage.learning.scoring.tiles import TileCounts
from mage.scenes.errors import ModelError


@dataclass(frozen=True, slots=True)
class Groups:
    """Figures of each event, city or split, and their macro average: the mean over groups, however large they are.

    Attributes:
        by: ``event``, ``city`` or ``split``.
        tiles: number of tiles of each group.
        rows: figures of each group, with intervals over its own tiles.
        macro: their means, over the groups where a figure is defined, with intervals over groups to come.

    >>> iou = {"Bath": Interval(1.0, None, None), "York": Interval(0.5, None, None)}
    >>> rows = {city: {"iou": figure} for city, figure in iou.items()}
    >>> Groups("city", {"Bath": 9, "York": 1}, rows, {"iou": Interval(0.75, None, None)}).to_dict()["macro"]
    {'iou': {'value': 0.75, 'low': None, 'high': None}}
    """

    by: str
    tiles: dict[str, int]
    rows: dict[str, dict[str, Interval]]
    macro: dict[str, Interval]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)


def group(
    tiles: TileCounts, by: str, figures: dict[str, Figure], rng: np.random.Generator, *, replicates: int = REPLICATES
) -> Groups:
    """Figures of each event, city or split of a dataset.

    Raises:
        DatasetError: the dataset does not tell these.

    >>> from mage.learning.scoring.figures import building_iou
    >>> counts = {"confusion": np.array([[[9, 1], [2, 8]], [[9, 0], [0, 10]]])}
    >>> tiles = TileCounts(("a", "b"), {"city": ("York", "Bath")}, counts)
    >>> found = group(tiles, "city", {"iou": building_iou}, np.random.default_rng(0))
    >>> {name: round(row["iou"].value, 3) for name, row in found.rows.items()}, round(found.macro["iou"].value, 3)
    ({'Bath': 1.0, 'York': 0.727}, 0.864)
    """
    parts = tiles.groups(by)
    rows: dict[str, dict[str, Interval]] = {}
    drawn: dict[str, list[Values]] = {name: [] for name in figures}
    for key, part in parts.items():
        sums, whole = resampled(part, drawn_weights(part, rng, replicates), rng), part.sums()
        rows[key] = {}
        for name, figure in figures.items():
            drawn[name].append(figure(sums))
            rows[key][name] = interval_of(figure(whole), drawn[name][-1], LEVEL)
    chosen = rng.integers(0, len(parts), (replicates, len(parts)))
    macro = {
        name: _macro([row[name].value for row in rows.values()], np.stack(drawn[name], 1), chosen) for name in figures
    }
    return Groups(by, {key: len(part) for key, part in parts.items()}, rows, macro)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several runs on the same tiles.

    Attributes:
        runs: their names.
        values: figures of each run.
        seeds: figures over the runs, for runs that differ by seed alone; those that every run has.
        against_first: figures of each further run against the first.

    >>> from mage.learning.scoring.figures import building_iou
    >>> tiles = TileCounts(("a", "b"), {}, {"confusion": np.array([[[9, 1], [2, 8]], [[9, 0], [0, 10]]])})
    >>> found = compare(("one", "other"), [tiles, tiles], {"iou": building_iou}, np.random.default_rng(0))
    >>> found.runs, found.seeds["iou"].sd
    (('one', 'other'), 0.0)
    """

    runs: tuple[str, ...]
    values: tuple[dict[str, float | None], ...]
    seeds: dict[str, OverSeeds]
    against_first: tuple[dict[str, Paired], ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return asdict(self)

    def table(self) -> str:
        """All of it for people."""
        lines = [f"{len(self.runs)} runs as seeds of one: mean, standard deviation, Student's 95 % interval", ""]
        for name, over in self.seeds.items():
            spread = "" if over.sd is None else f"{over.sd:>9.4f}  {over.low:.4f} – {over.high:.4f}"
            lines.append(f"{name:<20}{over.mean:>9.4f}{spread}")
        for run, tests in zip(self.runs[1:], self.against_first, strict=True):
            lines += ["", f"{run} against {self.runs[0]}: difference, 95 % interval, p by bootstrap and permutation"]
            lines += [f"{name:<20}{_difference(test)}" for name, test in tests.items()]
        return "\n".join(lines)


def compare(
    runs: Sequence[str], tiles: Sequence[TileCounts], figures: dict[str, Figure], rng: np.random.Generator
) -> Comparison:
    """Runs on the same tiles: as seeds of one training, and each against the first.

    Args:
        runs: their names.
        tiles: counts of each.
        figures: by name.
        rng: draws.

    Raises:
        ModelError: fewer than two, or other tiles.

    >>> from mage.learning.scoring.figures import building_iou
    >>> counts = np.array([[[9, 1], [2, 8]], [[9, 0], [0, 10]]])
    >>> tiles = [TileCounts(("a", "b"), {}, {"confusion": c}) for c in (counts, counts + 1)]
    >>> found = compare(("one", "other"), tiles, {"iou": building_iou}, np.random.default_rng(0))
    >>> found.seeds["iou"].number, round(found.against_first[0]["iou"].difference.value, 3)
    (2, -0.116)
    """
    if len(tiles) < 2 or len(runs) != len(tiles):
        raise ModelError("nothing to compare", expected="two runs or more", found=str(len(tiles)))
    found = tuple(figures_of(figures, part.sums()) for part in tiles)
    columns = {name: [row[name] for row in found] for name in figures}
    seeds = {
        name: over_seeds([v for v in column if v is not None]) for name, column in columns.items() if None not in column
    }
    tests = tuple(
        {name: paired(tiles[0], other, figure, rng) for name, figure in figures.items()} for other in tiles[1:]
    )
    return Comparison(tuple(runs), found, seeds, tests)


def _macro(values: list[float | None], drawn: Values, chosen: NDArray[np.int64]) -> Interval:
    defined = [v for v in values if v is not None]
    if not defined:
        return Interval(None, None, None)
    picked = np.take_along_axis(drawn, chosen, 1)
    known = np.isfinite(picked)
    number = known.sum(1)
    means = np.where(number > 0, np.where(known, picked, 0).sum(1) / np.maximum(number, 1), np.nan)
    return interval_of(np.asarray(np.mean(defined)), means, LEVEL)


def _difference(test: Paired) -> str:
    cells = (test.difference.value, test.difference.low, test.difference.high)
    if None in cells:
        return f"{'-':>9}"
    value, low, high = cells
    return f"{value:>+9.4f}  {low:+.4f} – {high:+.4f}  {test.p_bootstrap:.3f}  {test.p_permutation:.3f}"
