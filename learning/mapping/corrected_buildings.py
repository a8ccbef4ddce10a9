"""Buildings as an analyst has them: grades taken over, outlines moved, buildings added and left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.buildings import grade_entropy
from mage.learning.mapping.edited import BY_HAND, HALF_BY_HAND, by_whom, numbers, words
from mage.learning.mapping.findings import Buildings
from mage.learning.mapping.vectors import Features
from mage.scenes.errors import DatasetError

Floats = NDArray[np.float64]

VERDICTS = ("Destroyed", "Damaged", "Possibly damaged", "No visible damage", "Not Analysed")
SAME_PLACE = 0.05  # metres that an outline may be off and still be the same: files round
SAME_RUN = 0.02  # by which a probability may be off and still be of the same run of the model
KEPT = 0.1  # share of the buildings that a file must still hold, so that a saved selection does not delete the rest
UNSAID = {"Unknown": "", "Not Applicable": ""}  # as products say that nothing is known
FEW = 10  # buildings of which all may be deleted


@dataclass(slots=True)
class _Edit:
    """Rows of the file that stand for a building that was found, that add one, and what is said of them."""

    row: dict[int, int] = field(default_factory=dict)  # position in the buildings -> in the file
    added: list[tuple[str, int]] = field(default_factory=list)  # identity and position in the file
    log: list[str] = field(default_factory=list)


def certain(grades: Floats, verdict: Sequence[str]) -> Floats:
    """Probabilities of grades once somebody gave a verdict, (n, grades): the model's own, conditional on it.

    "No visible damage" is the first grade, "Destroyed" the last, "Damaged" those between, as the model weighs them (all
    alike where it does not say). "Possibly damaged" is an even chance of being damaged at all, and how badly as the
    model has it. "Not Analysed" is not known, NaN.

    >>> certain(np.array([[0.5, 0.2, 0.1, 0.2]] * 3), ["Damaged", "Possibly damaged", "Destroyed"]).round(2).tolist()
    [[0.0, 0.67, 0.33, 0.0], [0.5, 0.2, 0.1, 0.2], [0.0, 0.0, 0.0, 1.0]]
    """
    count = grades.shape[1]
    means = {  # grades that a verdict leaves, and their share
        "No visible damage": [(slice(0, 1), 1.0)],
        "Destroyed": [(slice(count - 1, count), 1.0)],
        "Damaged": [(slice(1, max(count - 1, 2)), 1.0)],
        "Possibly damaged": [(slice(0, 1), 0.5), (slice(1, count), 0.5)],
        "Not Analysed": [(slice(0, count), np.nan)],
    }
    found = np.zeros((len(grades), count))
    for k, word in enumerate(verdict):
        for part, share in means[word]:
            found[k, part] = share * _shares(grades[k, part])
    return found


def correct_buildings(edited: Features, buildings: Buildings, path: Path) -> tuple[Buildings, list[str]]:
    """Buildings with what a file says of them, and a line of each edit; see
    :func:`~mage.learning.mapping.corrections.apply_corrections`.

    Args:
        edited: the file's layer builtUpA.
        buildings: as found.
        path: of the file, for errors.

    Raises:
        DatasetError: of another product, words beyond their domain, or two grades of one building.
    """
    verdicts = _verdicts(edited, path)
    edit = _matched(edited, buildings, verdicts, path)
    kept = np.array(sorted(edit.row), np.int64)
    gone = np.setdiff1d(np.arange(len(buildings)), kept)
    if len(buildings) > FEW and len(kept) < KEPT * len(buildings):
        raise DatasetError(
            "most of the product's buildings are not in the file: save the whole layer, not a selection",
            file=path,
            expected=f"some of {len(buildings)}",
            found=f"{len(kept)}",
        )
    edit.log += [f"building {buildings.identity[k]}: deleted" for k in gone.tolist()]
    rows = np.array([edit.row[k] for k in kept.tolist()], np.int64)
    there = _regraded(edited, _taken(buildings, kept), rows, verdicts, edit)
    return _joined(there, _new(edited, edit, verdicts, buildings)), edit.log


def _shares(p: Floats) -> Floats:
    total = p.sum()
    return p / total if total > 0 else np.full(len(p), 1 / len(p))


def _verdicts(edited: Features, path: Path) -> list[str]:
    """``damage_gra`` of each feature in the spelling of its domain; empty where there is none."""
    spelled = {word.lower(): word for word in VERDICTS}
    found = words(edited, "damage_gra")
    for word in found:
        if word and word.lower() not in spelled:
            raise DatasetError("no such damage_gra", file=path, expected=f"one of {', '.join(VERDICTS)}", found=word)
    return [spelled[word.lower()] if word else "" for word in found]


def _matched(edited: Features, buildings: Buildings, verdicts: list[str], path: Path) -> _Edit:
    """Which feature stands for which building; new identities for what was drawn anew."""
    edit = _Edit()
    at = {identity: k for k, identity in enumerate(buildings.identity.tolist())}
    rows: dict[str, list[int]] = {}
    for row, identity in enumerate(words(edited, "id")):
        rows.setdefault(identity, []).append(row)
    drawn = rows.pop("", [])
    method = words(edited, "det_method")
    for identity, same in rows.items():
        if identity in at:
            first, *others = _first_of(same, edited, buildings.outline[at[identity]])
            edit.row[at[identity]] = first
        elif BY_HAND in (method[row] for row in same):  # added in an earlier round
            first, *others = same
            edit.added.append((identity, first))
        else:
            edit.log.append(f"building {identity}: left alone, no building of this run has this id")
            continue
        drawn += _split(identity, first, others, edited, verdicts, path)
    _check_product(edit.row, len(edit.log), edited, buildings, path)
    edit.added += _named(drawn, edited, {*at, *rows})
    return edit


def _first_of(rows: list[int], edited: Features, outline: shapely.Geometry) -> list[int]:
    """Features of one id, the one that covers most of its building first."""
    if len(rows) == 1:
        return rows
    shared = shapely.area(shapely.intersection(edited.geometry[rows], outline))
    return [rows[k] for k in np.argsort(-shared, kind="stable")]


def _split(
    identity: str, first: int, others: list[int], edited: Features, verdicts: list[str], path: Path
) -> list[int]:
    """Of further features of one id, as splitting or copying makes them, those that are buildings of their own."""
    parts = []
    for row in others:
        if not _alike(edited.geometry[first], edited.geometry[row]):
            parts.append(row)
        elif verdicts[row] != verdicts[first]:
            found = f"{verdicts[first] or 'nothing'} and {verdicts[row] or 'nothing'}"
            raise DatasetError(f"two grades of the building {identity}", file=path, expected="one", found=found)
    return parts


def _check_product(row: dict[int, int], strange: int, edited: Features, buildings: Buildings, path: Path) -> None:
    """Ids that mean other buildings than here, or mostly none, are of another product, or in another frame."""
    there, here = list(row.values()), list(row)
    met = shapely.intersects(edited.geometry[there], buildings.outline[here])
    if strange > len(row) or (len(met) and met.mean() < 0.5):
        raise DatasetError(
            "the corrections are of another product: its buildings are not where the file has them",
            file=path,
            expected="a copy of the product of this run",
            found=f"{int(met.sum())} of {len(edited)} there",
        )


def _named(rows: list[int], edited: Features, taken: set[str]) -> list[tuple[str, int]]:
    """Identities of buildings that have none, numbered from north to south."""
    centre = shapely.get_coordinates(shapely.centroid(edited.geometry[rows]))
    free = (name for k in range(1, len(taken) + len(rows) + 1) if (name := f"a{k:06d}") not in taken)
    return [(next(free), rows[k]) for k in np.lexsort((centre[:, 0], -centre[:, 1])).tolist()]


def _regraded(
    edited: Features, there: Buildings, rows: NDArray[np.int64], verdicts: list[str], edit: _Edit
) -> Buildings:
    """The buildings that stay, with their features' outlines and verdicts."""
    outline, verdict, method = there.outline.copy(), there.verdict.tolist(), there.method.tolist()
    hand, who, told = words(edited, "det_method"), by_whom(edited), numbers(edited, "p_damaged")
    # a probability where none was found is of another run too
    foreign = (np.abs(told[rows] - np.nan_to_num(there.damaged, nan=np.inf)) > SAME_RUN).tolist()
    changed, left = np.zeros(len(rows), bool), 0
    for k, row in enumerate(rows.tolist()):
        looked_at = hand[row] == BY_HAND
        if foreign[k] and not looked_at:
            left += 1
            continue
        said = _said(verdict[k], verdicts[row], looked_at and method[k] != BY_HAND)
        if said:
            verdict[k], method[k], changed[k] = verdicts[row] or verdict[k], BY_HAND, True
        if not _alike(outline[k], edited.geometry[row]):
            outline[k], method[k] = edited.geometry[row], BY_HAND if said else HALF_BY_HAND
            said.append("reshaped")
        if said:
            edit.log.append(f"building {there.identity[k]}: {', '.join(said)}{who[row]}")
    if left:
        edit.log.append(
            f"{left} buildings left alone: the file has them from another run of the model, and nobody said "
            f"{BY_HAND} of them"
        )
    return _with_verdicts(
        replace(there, outline=outline, method=np.array(method, str)), np.array(verdict, str), changed
    )


def _said(before: str, now: str, looked_at: bool) -> list[str]:
    """What a verdict changes, in words."""
    if now and now != before:
        return [f"{before} → {now}"]
    return [f"{before} confirmed"] if looked_at else []


def _with_verdicts(buildings: Buildings, verdict: NDArray[np.str_], changed: NDArray[np.bool_]) -> Buildings:
    grades, entropy, located = buildings.grades.copy(), buildings.entropy.copy(), buildings.located.copy()
    grades[changed] = certain(grades[changed], verdict[changed].tolist())
    entropy[changed] = grade_entropy(grades[changed])
    located[changed] = 1.0
    return replace(buildings, verdict=verdict, grades=grades, entropy=entropy, located=located)


def _new(edited: Features, edit: _Edit, verdicts: list[str], like: Buildings) -> Buildings:
    """Buildings that were drawn; of those without a grade nothing is known."""
    rows = [row for _, row in edit.added]
    verdict, who = [verdicts[row] or "Not Analysed" for row in rows], by_whom(edited)
    kind, name = ([UNSAID.get(word, word) for word in words(edited, column)] for column in ("notation", "name"))
    for (identity, row), word in zip(edit.added, verdict, strict=True):
        edit.log.append(f"building {identity}: added, {word}{who[row]}")
    count = like.grades.shape[1]
    grades = certain(np.full((len(rows), count), 1 / count), verdict)
    return Buildings(
        identity=np.array([identity for identity, _ in edit.added], str),
        outline=edited.geometry[rows],
        kind=np.array([kind[row] for row in rows], str),
        name=np.array([name[row] for row in rows], str),
        located=np.ones(len(rows)),
        grades=grades,
        entropy=grade_entropy(grades) if rows else np.zeros(0),
        valid=np.array([float(word != "Not Analysed") for word in verdict]),
        verdict=np.array(verdict, str),
        method=np.full(len(rows), BY_HAND),
    )


COLUMNS = ("identity", "outline", "kind", "name", "located", "grades", "entropy", "valid", "verdict", "method")


def _taken(buildings: Buildings, index: NDArray[np.int64]) -> Buildings:
    return Buildings(**{name: getattr(buildings, name)[index] for name in COLUMNS})


def _joined(first: Buildings, second: Buildings) -> Buildings:
    both = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in COLUMNS}
    return Buildings(**both)


def _alike(one: shapely.Geometry, other: shapely.Geometry) -> bool:
    return bool(shapely.hausdorff_distance(one, other) <= SAME_PLACE)
