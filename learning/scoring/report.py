"""An evaluation as a folder: JSON for programs, Markdown and text for people, pictures for both."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset

from mage.learning.evaluation import Evaluation
from mage.learning.predict import predict_maps
from mage.learning.runs import publish
from mage.learning.scoring.comparison import Comparison, Groups
from mage.learning.scoring.figures import WORDS, mean_iou
from mage.learning.scoring.intervals import Interval
from mage.learning.scoring.plots import (
    TilePictures,
    draw_confusion,
    draw_groups,
    draw_reliability,
    draw_tiles,
    need_plots,
)
from mage.scenes.errors import ModelError

BEST, WORST = 3, 3
# figures of groups that fit beside each other, and those that a tile has of its own
MAIN = (
    *("xview2_present", "building_iou", "macro_f1", "boundary_f1", "buildings_f1", "mean_f1", "iou"),
    *("height_mae", "height_rmse", "height_within", "change_mae"),
)
OF_TILES = ("building_iou", "mean_iou", "macro_f1", "iou", "height_mae", "height_rmse")
NOTE = "report.json"


def write_report(
    folder: str | Path,
    evaluations: Sequence[Evaluation],
    model: nn.Module,
    dataset: Dataset[dict[str, Any]],
    *,
    groups: Groups | None = None,
    comparison: Comparison | None = None,
) -> Path:
    """Write all that an evaluation found into a folder, ``report.json`` last.

    ``report.json``, ``report.md``, ``report.txt``, ``tiles.csv`` (a row a tile), ``confusion.png``,
    ``reliability.png`` (but for heights), ``tiles.png`` (the three best and the three worst tiles: images, labels, map)
    and with groups ``groups.png``. Of several runs tables hold all, pictures are of the first.

    Args:
        folder: new, empty, or of an earlier report, which is replaced.
        evaluations: of one dataset, the first one's tiles in pictures.
        model: of the first.
        dataset: that they are of.
        groups: of the first.
        comparison: of all.

    Raises:
        MissingExtraError: matplotlib is not installed.
        ModelError: the folder holds something else.

    >>> import tempfile
    >>> from mage.learning import ShardDataset, evaluate, load_model
    >>> tiles = ShardDataset(root)
    >>> folder = write_report(tempfile.mkdtemp(), [evaluate(run, tiles)], load_model(run), tiles)
    >>> sorted(path.name for path in folder.iterdir())
    ['confusion.png', 'reliability.png', 'report.json', 'report.md', 'report.txt', 'tiles.csv', 'tiles.png']
    """
    need_plots()
    folder, first = Path(folder), evaluations[0]
    _claim(folder)
    draw_confusion(folder / "confusion.png", first.tiles.sums()["confusion"], first.task.names)
    pictures = ["confusion.png"]
    if first.reliability:
        draw_reliability(folder / "reliability.png", first.reliability)
        pictures.append("reliability.png")
    if groups is not None:
        draw_groups(folder / "groups.png", groups, _main(first))
        pictures.append("groups.png")
    if shown := _ranked(first):
        draw_tiles(folder / "tiles.png", [_pictures(model, dataset, first, index) for index in shown])
        pictures.append("tiles.png")
    publish(folder / "tiles.csv", _csv(first).encode())
    publish(folder / "report.txt", (as_text(evaluations, groups, comparison) + "\n").encode())
    publish(folder / "report.md", _markdown(evaluations, groups, comparison, pictures).encode())
    content = to_json(evaluations, groups, comparison)
    publish(folder / NOTE, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())
    return folder


def to_json(evaluations: Sequence[Evaluation], groups: Groups | None, comparison: Comparison | None) -> dict[str, Any]:
    """One run's figures as they are; those of several under ``runs``, with ``comparison``."""
    if len(evaluations) == 1:
        content = evaluations[0].to_dict()
    else:
        content = {"runs": [evaluation.to_dict() for evaluation in evaluations]}
    content |= {"groups": groups.to_dict()} if groups is not None else {}
    return content | ({"comparison": comparison.to_dict()} if comparison is not None else {})


def as_text(evaluations: Sequence[Evaluation], groups: Groups | None, comparison: Comparison | None) -> str:
    """Everything for people, as ``mage evaluate`` prints it."""
    texts = [evaluation.table() for evaluation in evaluations]
    texts += [groups_table(groups, _main(evaluations[0]))] if groups is not None else []
    return "\n\n".join(texts + ([comparison.table()] if comparison is not None else []))


def groups_table(groups: Groups, names: Sequence[str]) -> str:
    """Groups for people, a line each."""
    width = max(len(key) for key in (*groups.rows, "macro over groups")) + 2
    lines = [f"{groups.by:<{width}}{'tiles':>7}" + "".join(f"{name:>18}" for name in names)]
    rows = [(key, str(groups.tiles[key]), row) for key, row in groups.rows.items()]
    for key, number, row in (*rows, ("macro over groups", str(sum(groups.tiles.values())), groups.macro)):
        lines.append(f"{key:<{width}}{number:>7}" + "".join(f"{_plain(row[name]):>18}" for name in names))
    return "\n".join(lines)


def _main(evaluation: Evaluation) -> list[str]:
    """The figures of groups that fit beside each other."""
    return [name for name in MAIN if name in evaluation.headlines]


def _claim(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ModelError("is not a folder", file=folder, expected="a folder for a report")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / NOTE).is_file():
        raise ModelError("is not empty", file=folder, expected="a new folder, or one of an earlier report")
    folder.mkdir(parents=True, exist_ok=True)


def _ranked(evaluation: Evaluation) -> list[int]:
    """Numbers of the best tiles, then the worst, by the mean IoU of the tile; those without anything are left out."""
    confusion = evaluation.tiles.counts["confusion"]
    score = np.where(confusion.sum((1, 2)) > confusion[:, 0, 0], _of_tile(confusion), np.nan)
    known = np.flatnonzero(np.isfinite(score))
    order = known[np.argsort(-score[known], kind="stable")]
    return [int(i) for i in (order if len(order) <= BEST + WORST else [*order[:BEST], *order[-WORST:]])]


def _of_tile(confusion: NDArray[Any]) -> NDArray[np.float64]:
    return mean_iou({"confusion": confusion})


def _pictures(model: nn.Module, dataset: Dataset[dict[str, Any]], evaluation: Evaluation, index: int) -> TilePictures:
    sample = dataset[index]
    image: torch.Tensor = sample["image"]
    predicted = evaluation.task.read(predict_maps(model, image)).classes
    shown = image if image.dtype == torch.uint8 else (image.clamp(0, 1) * 255).round().to(torch.uint8)
    dates = shown[None] if shown.ndim == 3 else shown
    score = float(_of_tile(evaluation.tiles.counts["confusion"][index]))
    words = f"{evaluation.tiles.keys[index]}: mean IoU {score:.3f}"
    return TilePictures(words, dates.numpy(), evaluation.task.truth(sample), predicted)


def _csv(evaluation: Evaluation) -> str:
    """A row a tile: its key, its places, figures of its own."""
    tiles = evaluation.tiles
    counts = dict(tiles.counts)
    columns: dict[str, Any] = {"key": tiles.keys, **tiles.places}
    columns |= {name: figure(counts) for name, figure in evaluation.headlines.items() if name in OF_TILES}
    if "unlike" in counts:
        columns["unlike_training"] = counts["unlike"][:, 0]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_cell(value) for value in row])
    return out.getvalue()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.6f}" if np.isfinite(value) else ""


def _markdown(
    evaluations: Sequence[Evaluation],
    groups: Groups | None,
    comparison: Comparison | None,
    pictures: Sequence[str],
) -> str:
    first = evaluations[0]
    lines = ["# Evaluation", ""]
    lines += [f"- `{e.run}`" + ("" if e.step is None else f", step {e.step}") for e in evaluations]
    split = f", split `{first.split}`" if first.split else ""
    lines += ["", f"on `{first.dataset}`{split}: {first.samples} tiles. Intervals: 95 %, bootstrap.", ""]
    lines += _rows(["figure", *(e.run for e in evaluations)], _headline_rows(evaluations))
    lines += _rows(["class", "IoU", "precision", "recall", "F1", "pixels"], _class_rows(first))
    if groups is not None:
        names = list(first.headlines)
        body = [[key, str(groups.tiles[key]), *(_value(row[n]) for n in names)] for key, row in groups.rows.items()]
        body.append(["**macro**", "", *(_value(groups.macro[n]) for n in names)])
        lines += _rows([groups.by, "tiles", *names], body)
    if comparison is not None:
        lines += ["```", comparison.table(), "```", ""]
    lines += ["Pictures of tiles: image or images, labels, map; the three best tiles, then the three worst.", ""]
    lines += [f"> {warning}" for evaluation in evaluations for warning in evaluation.warnings]
    return "\n".join([*lines, "", *(f"![{name.partition('.')[0]}]({name})" for name in pictures), ""])


def _headline_rows(evaluations: Sequence[Evaluation]) -> list[list[str]]:
    return [
        [WORDS[name], *(_value(evaluation.headline_values()[name]) for evaluation in evaluations)]
        for name in evaluations[0].headlines
    ]


def _class_rows(evaluation: Evaluation) -> list[list[str]]:
    return [
        [name, *("–" if row[f] is None else f"{row[f]:.4f}" for f in ("iou", "precision", "recall", "f1")),
         f"{row['pixels']:,}"]
        for name, row in evaluation.figures["classes"].items()
    ]  # fmt: skip


def _rows(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *body)] + [""]


def _plain(interval: Interval) -> str:
    return "-" if interval.value is None else f"{interval.value:.4f}"


def _value(interval: Interval) -> str:
    if interval.value is None:
        return "–"
    reach = "" if interval.low is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{interval.value:.3f}{reach}"
