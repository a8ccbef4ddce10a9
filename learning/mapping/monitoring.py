"""Monitoring: what a later image changes in a product that is there already (Copernicus EMS' MONIT products)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.access import CLOSED
from mage.learning.mapping.corrected_extents import kinds_of
from mage.learning.mapping.edited import numbers, words
from mage.learning.mapping.findings import Access, Buildings, Findings
from mage.learning.mapping.matching import match_lines, match_outlines
from mage.learning.mapping.vectors import Features, layer_names, read_features
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

Words = NDArray[np.str_]
Ints = NDArray[np.int64]

OWN = re.compile(r"_(PRODUCT|MONIT\d+)_r\d+_v\d+$")  # how the name of a product's GeoPackage ends
NEW, SAME, GONE = "new", "unchanged", "gone"
GROWN, SHRUNK, OPENED, CLOSED_NOW = "grown", "shrunk", "opened", "closed"  # of extents and roads
CHANGES = ("newly damaged", "worse", "less damaged", "better known", "less known", SAME, NEW)
CERTAIN = {"No visible damage": 0, "Damaged": 1, "Destroyed": 2}  # verdicts in their order; others tell less or nothing
KNOWN = {"Not Analysed": 0, "Possibly damaged": 1} | dict.fromkeys(CERTAIN, 2)  # how much a verdict tells


@dataclass(frozen=True, slots=True)
class ExtentChange:
    """How the extent of one thing changed, where both products' images show the place.

    Attributes:
        what: "flood", "burn" or "debris".
        grown, shrunk: polygons of what is covered now and was not, and the other way round.
    """

    what: str
    grown: shapely.Geometry
    shrunk: shapely.Geometry

    @property
    def parts(self) -> tuple[tuple[str, shapely.Geometry], ...]:
        """Both, with the words for them."""
        return (GROWN, self.grown), (SHRUNK, self.shrunk)


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """What changed since an earlier product.

    Attributes:
        before: name of that product, as of its layers: ``EMSR385_AOI06_GRA_PRODUCT``.
        previous: (n,) verdict of each building then; empty for one that was not there.
        change: (n,) one of :data:`CHANGES`.
        gone: (k,) outlines of buildings that are no longer there.
        gone_identity, gone_verdict: (k,) of these, then.
        extents: of what was observed in both products.
        opened, closed: positions of edges that likely were closed to cars and are open now, and the other way round.
    """

    before: str
    previous: Words
    change: Words
    gone: NDArray[np.object_]
    gone_identity: Words
    gone_verdict: Words
    extents: tuple[ExtentChange, ...]
    opened: Ints
    closed: Ints

    def rows(self, findings: Findings) -> list[tuple[str, float, str]]:
        """The table of differences: what, how much, and its unit, number, ha or km."""
        count = [(f"Buildings {word}", float((self.change == word).sum()), "number") for word in CHANGES]
        count.append((f"Buildings {GONE}", float(len(self.gone)), "number"))
        area = [
            (f"{change.what.capitalize()} {how}", shape.area / 1e4, "ha")
            for change in self.extents
            for how, shape in change.parts
        ]
        if findings.access is None:
            return count + area
        length = findings.access.roads.length / 1000
        pairs = ((OPENED, self.opened), (CLOSED_NOW, self.closed))
        return count + area + [(f"Roads {how}", float(length[edges].sum()), "km") for how, edges in pairs]


def differences(before: Path, findings: Findings) -> Differences:
    """What changed since an earlier product of the place.

    Buildings are the same where they have one identity and overlap, else where outlines overlap best, by at least
    0.3 of their union. Extents are compared where the images of both show the place. Roads count as closed from a
    probability of 0.5 on.

    Args:
        before: the earlier product's folder, or its GeoPackage.
        findings: of now.

    Raises:
        DatasetError: no product is there, or it cannot be read.
    """
    file = earlier_product(before)
    layers = layer_names(file)
    earlier = {feature: _layer(file, layers, feature, findings.grid) for feature in ("builtUpA", "observedEventA")}
    previous, gone = _buildings(earlier["builtUpA"], findings.buildings)
    opened, closed = _roads(file, layers, findings.access, findings.grid)
    built = earlier["builtUpA"]
    return Differences(
        before=_name(layers, file),
        previous=previous,
        change=np.array(
            [_change(then, now) for then, now in zip(previous, findings.buildings.verdict, strict=True)], str
        ),
        gone=built.geometry[gone],
        gone_identity=np.array([words(built, "id")[row] for row in gone], str),
        gone_verdict=np.array([words(built, "damage_gra")[row] for row in gone], str),
        extents=_extents(earlier["observedEventA"], _seen(file, layers, findings), findings),
        opened=opened,
        closed=closed,
    )


def with_differences(findings: Findings, found: Differences) -> Findings:
    """Findings that tell what changed: of each building, and of all."""
    buildings = replace(findings.buildings, previous=found.previous, change=found.change)
    return replace(findings, buildings=buildings, differences=found)


def earlier_product(before: Path) -> Path:
    """The GeoPackage of a product, given it or the folder that it is in.

    Raises:
        DatasetError: no product is there, or it cannot be read.
    """
    file = _geopackage(before)
    layer_names(file)
    return file


def _geopackage(before: Path) -> Path:
    if before.is_file():
        return before
    every = sorted(before.glob("*.gpkg")) if before.is_dir() else []
    found = [file for file in every if OWN.search(file.stem)] or every  # beside it may lie an analyst's copy
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise DatasetError("no earlier product", file=before, expected="a folder with one GeoPackage", found=names)
    return found[0]


def _named(layers: list[str], feature: str) -> str | None:
    return next((name for name in layers if feature.lower() in name.lower().split("_")), None)


def _name(layers: list[str], file: Path) -> str:
    """What the layers of a product have in common: activation, area and kind."""
    named = _named(layers, "builtUpA") or _named(layers, "areaOfInterestA") or file.stem
    return "_".join(named.split("_")[:4])


def _layer(file: Path, layers: list[str], feature: str, grid: Grid, dimension: int = 2) -> Features:
    """A layer of the earlier product, without features where it has none of that name."""
    name = _named(layers, feature)
    return Features(np.array([], object), {}) if name is None else read_features(file, grid.crs, dimension, name)


def _buildings(earlier: Features, buildings: Buildings) -> tuple[Words, list[int]]:
    """The verdict of each building then, and rows of those that are gone."""
    same = match_outlines(buildings.identity.tolist(), buildings.outline, words(earlier, "id"), earlier.geometry)
    verdict = words(earlier, "damage_gra")
    previous = [verdict[row] or "Not Analysed" if row >= 0 else "" for row in same.tolist()]
    return np.array(previous, str), np.setdiff1d(np.arange(len(earlier)), same).tolist()


def _change(then: str, now: str) -> str:
    """What became of a building; of verdicts that both are certain the order counts, else how much they tell."""
    if not then:
        return NEW
    if then in CERTAIN and now in CERTAIN:
        step = CERTAIN[now] - CERTAIN[then]
        return SAME if not step else "less damaged" if step < 0 else "worse" if CERTAIN[then] else "newly damaged"
    more = KNOWN.get(now, 0) - KNOWN.get(then, 0)
    return SAME if not more else "better known" if more > 0 else "less known"


def _seen(file: Path, layers: list[str], findings: Findings) -> shapely.Geometry:
    """Where the images of both products show the place."""
    for feature in ("imageFootprintA", "areaOfInterestA"):
        shown = _layer(file, layers, feature, findings.grid)
        if len(shown):
            return shapely.intersection(findings.seen, shapely.union_all(shown.geometry))
    return findings.seen


def _extents(earlier: Features, seen: shapely.Geometry, findings: Findings) -> tuple[ExtentChange, ...]:
    kinds = np.array(kinds_of(earlier), str)
    changes = []
    for extent in findings.observed.extents:
        then, now = shapely.union_all(earlier.geometry[kinds == extent.what]), shapely.union_all(extent.outline)
        grown, shrunk = (
            shapely.intersection(part, seen) for part in (shapely.difference(now, then), shapely.difference(then, now))
        )
        changes.append(ExtentChange(extent.what, grown, shrunk))
    return tuple(changes)


def _roads(file: Path, layers: list[str], access: Access | None, grid: Grid) -> tuple[Ints, Ints]:
    """Edges that were opened and closed."""
    none = np.zeros(0, np.int64)
    earlier = _layer(file, layers, "transportationL", grid, dimension=1)
    if access is None or not len(earlier):
        return none, none
    edges = match_lines(words(earlier, "id"), earlier.geometry, np.array(access.roads.lines, dtype=object))
    then = np.full(len(access.roads), np.nan)
    then[edges[edges >= 0]] = numbers(earlier, "p_block_car")[edges >= 0]
    known = np.isfinite(then) & np.isfinite(access.car)
    was, is_ = then >= CLOSED, access.car >= CLOSED
    return np.flatnonzero(known & was & ~is_), np.flatnonzero(known & ~was & is_)
