"""Draw what `results` holds, in grey: peers, scores of synthetic training by setting, real labels, distances.

Run: ``python benchmarks/figures.py``. It writes PNG files into `results`, one each of `peers.json` and up to four of
`sim2real.json`, as many settings, seeds and sets of images as are there: with one seed a point and its interval, with
several a point each and a bar at their mean.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

RESULTS = Path(__file__).resolve().parent / "results"
# what is drawn of a setting: title, set of images, figure, what is aimed at
PANELS = (
    ("building IoU, Harvey", "harvey", "building_iou", 0.5),
    ("building IoU, Ida-BD", "ida", "building_iou", 0.5),
    ("building IoU, Kampala", "kampala", "building_iou", 0.5),
    ("xView2 over present grades", "pairs", "xview2_present", 0.45),
    ("κ per building", "pairs", "quadratic_kappa", None),
)
REAL = re.compile(r"(?:(?P<start>.+?)(?P<how> \+|, then) )?(?P<count>\d+) real")
HOW = {" +": "real chips beside pairs", ", then": "real chips alone"}  # what follows a start
MARKS = "os^Dv<>pP*"
# a value and the ends of its interval, of each seed
Seeds = list[list[float]]


def main() -> None:
    """Draw all that there are results of."""
    peers, scores = read("peers.json"), read("sim2real.json")
    settings = {part: settings_of(scores, part) for part in ("dev", "final")}
    drawn = {
        "peers": ratios(peers) if peers else None,
        "sim2real-dev": dots(settings["dev"]) if settings["dev"] else None,
        "sim2real-final": dots(settings["final"]) if settings["final"] else None,
        "sim2real-labels": labels(settings["final"]) if settings["final"] else None,
        "sim2real-distances": distances(scores["more/dev"]["distances"]) if "more/dev" in scores else None,
    }
    for name, figure in drawn.items():
        if figure is not None:
            path = RESULTS / f"{name}.png"
            FigureCanvasAgg(figure).print_figure(path, dpi=80, metadata={"Software": None})
            with Image.open(path) as picture:
                few = picture.convert("L").quantize(16)  # all is grey, and part of the repository
            few.save(path, optimize=True)
            print(f"{path.relative_to(RESULTS.parent)}: {path.stat().st_size / 1000:.0f} KB")


def read(name: str) -> dict[str, Any]:
    """A file of results, or nothing where it is not there."""
    path = RESULTS / name
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def ratios(parts: dict[str, Any]) -> Figure:
    """Times that MAGE is faster than its peers, with their range; left of 1 it is slower."""
    rows = [row for part in parts.values() for row in part["rows"] if "ratio" in row]
    rows.sort(key=lambda row: row["ratio"][0])
    figure = Figure(figsize=(9, 0.9 + 0.3 * len(rows)), layout="constrained")
    axes: Axes = figure.add_subplot()
    for k, row in enumerate(rows):
        middle, low, high = row["ratio"]
        axes.plot([low, high], [k, k], color="0.6", linewidth=5, solid_capstyle="butt")
        axes.plot(middle, k, "o", color="black", markersize=5)
        axes.annotate(f"{middle:.3g}", (high, k), xytext=(6, 0), textcoords="offset points", va="center", fontsize=8)
    axes.axvline(1, color="black", linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [f"{row['what']} | {row['peer']}" for row in rows], fontsize=8)
    axes.set_xlabel("their CPU seconds over ours: median and range")
    axes.margins(x=0.12)
    return figure


def settings_of(results: dict[str, Any], part: str) -> dict[str, list[dict[str, Any]]]:
    """Scores of every seed, by setting, the best at building outlines last; by the threshold of each place as well, and
    by how near a flood is.
    """
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for key, result in results.items():
        name, *rest = key.rsplit("/", 2)
        if len(rest) == 2 and rest[1] == part and "scores" in result:
            found[name].append(result["scores"])
            for kind, told in (("parted", "by place"), ("by water", "by place and water")):
                if kind in result:
                    found[f"{name}, {told}"].append(result[kind])
    return dict(sorted(found.items(), key=lambda item: _outlines(item[1])))


def _outlines(scores: list[dict[str, Any]]) -> float:
    found = [of["building_iou"][0] for seed in scores for of in seed.values() if "building_iou" in of]
    return float(np.mean([value for value in found if value is not None] or [0.0]))


def figures_of(scores: list[dict[str, Any]], images: str, figure: str) -> Seeds:
    """One figure on one set of images for every seed that has it."""
    found = [seed.get(images, {}).get(figure) for seed in scores]
    return [[float(number) for number in one] for one in found if one is not None and one[0] is not None]


def dots(settings: dict[str, list[dict[str, Any]]]) -> Figure:
    """A row a setting, a panel a figure; by one half only what is not there by the threshold of each place."""
    settings = {name: scores for name, scores in settings.items() if f"{name}, by place" not in settings}
    figure = Figure(figsize=(11, 1.0 + 0.32 * len(settings)), layout="constrained")
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (title, images, name, aim) in zip(panels, PANELS, strict=True):
        for k, scores in enumerate(settings.values()):
            _mark(axes, figures_of(scores, images, name), k)
        if aim is not None:
            axes.axvline(aim, color="black", linewidth=0.8, linestyle="--")
        axes.set_title(title, fontsize=9)
        axes.grid(axis="x", color="0.9")
        axes.tick_params(labelsize=8)
    panels[0].set_yticks(range(len(settings)), list(settings))
    return figure


def _mark(axes: Axes, seeds: Seeds, height: float) -> None:
    """The seeds of a row: with one its interval, with several their mean."""
    for value, low, high in seeds:
        axes.plot([low, high], [height, height], color="0.75", linewidth=3 if len(seeds) == 1 else 1)
        axes.plot(value, height, "o", color="black", markersize=5 if len(seeds) == 1 else 3)
    if len(seeds) > 1:
        axes.plot(np.mean([value for value, *_ in seeds]), height, "|", color="black", markersize=14, markeredgewidth=2)


def labels(settings: dict[str, list[dict[str, Any]]]) -> Figure:
    """Scores against the number of real labels; what synthetic training begins with has none."""
    lines: dict[str, dict[int, list[dict[str, Any]]]] = defaultdict(dict)
    for name, scores in settings.items():
        if match := REAL.fullmatch(name):
            line = f"{match['start']}, then {HOW[match['how']]}" if match["start"] else "real chips alone"
            lines[line][int(match["count"])] = scores
            if match["start"] in settings:
                lines[line][0] = settings[match["start"]]
    figure = Figure(figsize=(11, 2.8), layout="constrained")
    panels = figure.subplots(1, len(PANELS))
    for axes, (title, images, name, aim) in zip(panels, PANELS, strict=True):
        for k, (line, counts) in enumerate(sorted(lines.items())):
            points = {n: figures_of(scores, images, name) for n, scores in sorted(counts.items())}
            means = {n: np.mean(seeds, axis=0) for n, seeds in points.items() if seeds}
            grey = str(0.55 * k / max(1, len(lines) - 1))
            values = np.array(list(means.values())).reshape(-1, 3)
            axes.errorbar(
                np.array(list(means)) + 0.3 * k,
                values[:, 0],
                np.abs(values[:, 1:] - values[:, :1]).T,
                color=grey,
                marker=MARKS[k % len(MARKS)],
                markersize=5,
                linewidth=1,
                elinewidth=0.7,
                label=line,
            )
        if aim is not None:
            axes.axhline(aim, color="black", linewidth=0.8, linestyle="--")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("real chips", fontsize=8)
        axes.tick_params(labelsize=8)
    panels[0].legend(fontsize=7)
    return figure


def distances(table: dict[str, dict[str, float]]) -> Figure:
    """How far sets of images lie from each other; the darker the farther."""
    names = list(table)
    values = np.array([[table[one].get(other, 0.0) for other in names] for one in names])
    figure = Figure(figsize=(1.8 + 0.62 * len(names), 1.4 + 0.4 * len(names)), layout="constrained")
    axes: Axes = figure.add_subplot()
    axes.imshow(values, cmap="Greys", vmax=1.6 * values.max(), aspect="auto")
    for (k, n), value in np.ndenumerate(values):
        axes.text(n, k, f"{value:.1f}" if k != n else "", ha="center", va="center", fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    return figure


if __name__ == "__main__":
    main()
