"""How well a map tells what is known of a place: buildings, their grades, where it is worst, water, closed streets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from mapped.cases import Case, Roads
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from scipy.stats import spearmanr

from mage.learning.mapping.access import CLOSED
from mage.learning.mapping.areas import Lattice, cells
from mage.learning.mapping.assessment import LEVEL, RADIUS
from mage.learning.mapping.findings import Access, Buildings, Findings
from mage.learning.mapping.hotspots import hot_spots
from mage.scenes.grid import Grid
from mage.scenes.metrics import BuildingMetrics

SAME = 0.5  # of the union that outlines of one building share
CELL = 50.0  # metres of a side of the cells in which expected damage is ranked
FEWEST = 8  # cells with buildings, below which nothing is ranked
Figures = dict[str, Any]


def detection(found: Buildings, case: Case) -> Figures:
    """Buildings that the model drew: those that share half of the union with a true one, and true ones in which the
    middle of one lies.
    """
    first, second = shapely.STRtree(case.outline).query(found.outline, predicate="intersects")
    ours, theirs = found.outline[first], case.outline[second]
    shared = shapely.area(shapely.intersection(ours, theirs)) / shapely.area(shapely.union(ours, theirs))
    points = shapely.centroid(found.outline)
    held = np.unique(shapely.STRtree(points).query(case.outline, predicate="intersects")[0]) if len(points) else []
    return {
        "drawn": len(found),
        "true": len(case.outline),
        "iou": _rates(int((shared >= SAME).sum()), len(found), len(case.outline)),
        "centre": _rates(len(held), len(found), len(case.outline)),
    }


def agreement(found: Buildings, case: Case) -> Figures:
    """Grades of the buildings before as their footprints tell them, those of overlapping outlines where they are the
    model's: κ with quadratic weights of those that were graded, macro F1 with the others as errors.
    """
    metrics, guess = BuildingMetrics(case.grades), np.zeros(len(case.outline), np.int64)
    known = np.isfinite(found.grades).all(axis=1)
    here, there = shapely.STRtree(case.outline).query(found.outline[known], predicate="intersects")
    likeliest = _scale(np.asarray(found.grades[known]), case.grades)
    shared = shapely.area(shapely.intersection(found.outline[known][here], case.outline[there]))
    for k in np.argsort(shared):  # the largest part last
        if shared[k] >= SAME * min(shapely.area(case.outline[there[k]]), shapely.area(found.outline[known][here[k]])):
            guess[there[k]] = 1 + likeliest[here[k]]
    np.add.at(metrics.confusion, (case.grade, guess), 1)
    none = BuildingMetrics(case.grades)
    np.add.at(none.confusion, (case.grade, np.ones_like(guess)), 1)
    return {
        "graded": int((guess > 0).sum()),
        "kappa": metrics.quadratic_kappa(),
        "macro_f1": metrics.macro_f1(),
        "macro_f1_of_calling_all_sound": none.macro_f1(),
        "confusion": metrics.confusion.tolist(),
        "left_unsure": float(np.mean(found.verdict == "Possibly damaged")) if len(found) else None,
    }


def worst_places(found: Buildings, case: Case) -> Figures:
    """Rank correlation of expected and true damaged buildings in cells of 50 m that hold any, and the hot spots (Gi*)
    of both: how many true damaged or whole buildings are hot by the truth, by the map, and by both.
    """
    struck = (case.grade > 0).astype(float)
    middle = shapely.get_coordinates(shapely.point_on_surface(case.outline)).reshape(-1, 2)
    known = np.isfinite(found.damaged)
    ours, expected = found.points[known], found.damaged[known]
    places = np.concatenate([middle, ours])
    squares, _ = cells(places, Lattice.over(shapely.total_bounds(shapely.points(places)), CELL))
    counts = [_within(squares, where, weight) for where, weight in ((middle, struck), (ours, expected))]
    ranked = len(squares) >= FEWEST and all(np.ptp(count) > 0 for count in counts)
    by_truth = hot_spots(middle, struck, RADIUS, LEVEL).hot
    near = shapely.STRtree(shapely.buffer(found.outline[found.hot.hot], 1.0)) if found.hot is not None else None
    by_map = np.zeros(len(middle), bool)
    if near is not None and found.hot is not None and found.hot.hot.any():
        by_map[near.query(case.outline, predicate="intersects")[0]] = True
    return {
        "cells": len(squares),
        "rank_correlation": float(spearmanr(*counts).statistic) if ranked else None,
        "hot": {"truth": int(by_truth.sum()), "map": int(by_map.sum()), "both": int((by_truth & by_map).sum())},
    }


def water(findings: Findings, case: Case) -> Figures:
    """Flood that can be seen against the outline, and depth where both have some."""
    if case.flood is None:
        return {}
    grid = findings.grid
    outlines = [outline for extent in findings.observed.extents if extent.what == "flood" for outline in extent.outline]
    told = np.zeros(grid.shape, bool)
    if outlines:
        told = geometry_mask(outlines, grid.shape, rasterio.Affine(*grid.transform), invert=True)
    figures: Figures = {"iou": float((told & case.flood).sum() / max((told | case.flood).sum(), 1))}
    if case.depth is not None and "depth" in findings.observed.rasters:
        off = _depth(findings.observed.rasters["depth"]) - case.depth
        both = np.isfinite(off) & (case.depth > 0)
        if both.any():
            figures |= {"depth_rmse": float(np.sqrt(np.mean(off[both] ** 2))), "depth_bias": float(off[both].mean())}
    return figures


def closures(access: Access | None, truth: Roads | None, grid: Grid) -> Figures:
    """Edges within the place that a car cannot pass, by the street that each runs along."""
    if access is None or truth is None or not len(truth.lines):
        return {}
    inner = shapely.box(*grid.bounds).buffer(-1.0)
    lines = np.array(access.roads.lines, dtype=object)
    middle = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    at, which = shapely.STRtree(truth.lines).query_nearest(middle, max_distance=2.0, all_matches=False)
    kept = shapely.intersects(inner, middle[at])
    told, true = np.nan_to_num(access.car[at[kept]]) >= CLOSED, truth.closed[which[kept]]
    hit = int((told & true).sum())
    return {"edges": len(told), "closed": int(true.sum()), **_rates(hit, int(told.sum()), int(true.sum()))}


def _rates(hit: int, ours: int, theirs: int) -> Figures:
    """Precision, recall and F1; None where there is nothing to divide by."""
    return {
        "precision": hit / ours if ours else None,
        "recall": hit / theirs if theirs else None,
        "f1": 2 * hit / (ours + theirs) if ours + theirs else None,
    }


def _scale(grades: NDArray[np.float64], wanted: int) -> NDArray[np.int64]:
    """The likeliest grade on a scale whose last grade holds all that are worse; of two, damaged or not by 0.5."""
    if wanted == 2:
        return (grades[:, -2:].sum(axis=1) >= 0.5).astype(np.int64)  # a box that is gone is a building in ruins
    merged = np.column_stack([grades[:, : wanted - 1], grades[:, wanted - 1 :].sum(axis=1)])
    return merged.argmax(axis=1)


def _within(squares: list[shapely.Polygon], places: NDArray[np.float64], weight: NDArray[np.float64]) -> NDArray[Any]:
    """The sum of weights in each square."""
    which, place = shapely.STRtree(shapely.points(places)).query(np.array(squares, object), predicate="covers")
    return np.bincount(which, weight[place], minlength=len(squares))


def _depth(path: Path) -> NDArray[np.float64]:
    with rasterio.open(path, driver="GTiff") as file:
        return np.asarray(file.read(1), float)
