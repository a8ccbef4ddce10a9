"""What a pretext task brings under a domain shift: encoders that learned images or geometry first, beside fresh ones.

Run: ``python benchmarks/pretext.py [FOLDER] [SEEDS]``, on the domains of `adaptation.py` (see `domains.py`). Each
encoder learns its task for as many steps, then a U-Net around it learns land cover, once from labels of the source
alone and once from those of few target places alone, and is measured on the labelled tiles of a third city of the
target's kind. A row, task and seed that has a result is not trained again.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from adaptation import Domains, few, interval, source
from domains import CLASSES, CROP, ious, rendered, tiles
from torch import nn

from mage.learning import (
    Geometry,
    MoCo,
    ResidualEncoder,
    SegmentationNet,
    ShardDataset,
    Supervised,
    fit,
)
from mage.learning.pretext.task import Pretext
from mage.learning.seeds import seeded

FIRST, STEPS, BATCH, LR = 300, 200, 4, 4e-3
PRETEXT_BATCH, PRETEXT_LR = 8, 1e-3
LABELS = {"labels of the source": source, "labels of 4 target places": few}
HEIGHTS = ("pre_height", "post_height")


@dataclass(frozen=True, slots=True)
class Row:
    """An encoder, and what it learns first.

    Attributes:
        encoder: by the seed.
        task: around the encoder; None of a fresh one.
        domains: whose images it looks at.
        beside: the row that it is compared with.
    """

    encoder: Callable[[int], nn.Module]
    task: Callable[[nn.Module], Pretext] | None = None
    domains: tuple[str, ...] = ()
    beside: str = ""


def convolutional(seed: int) -> nn.Module:
    """Four residual stages of width 8."""
    with seeded(seed):
        return ResidualEncoder(8)


def moco(encoder: nn.Module) -> Pretext:
    """Contrast with a queue that fits so few images; the pairs are of floods, so both views are of one date."""
    return MoCo(encoder, queue=512, temporal=0.0, decay=0.99)


ROWS: dict[str, Row] = {
    "convolutions, fresh": Row(convolutional),
    "geometry of the source": Row(convolutional, Geometry, ("source",), "convolutions, fresh"),
    "MoCo on the target's images": Row(convolutional, moco, ("target",), "convolutions, fresh"),
}


def prepared(row: Row, folder: Path, seed: int) -> nn.Module:
    """The encoder after its pretext task."""
    encoder = row.encoder(seed)
    if row.task is None:
        return encoder
    method = row.task(encoder)
    streams: dict[str, Any] = {
        "source" if name == "source" else "unlabelled": ShardDataset(
            rendered(name, folder), size=CROP, labels=HEIGHTS if method.labelled else ()
        )
        for name in row.domains
    }
    with tempfile.TemporaryDirectory() as out:
        options: dict[str, Any] = {"steps": FIRST, "batch": PRETEXT_BATCH, "lr": PRETEXT_LR, "device": "cpu"}
        fit(method, **streams, out=out, seed=seed, preview=0, **options)
    return encoder


def network(encoder: Any, seed: int) -> SegmentationNet:
    """The U-Net around an encoder."""
    return SegmentationNet(len(CLASSES), 8, encoder=encoder, seed=seed)


def measured(name: str, domains: Domains, folder: Path, results: Path, seed: int) -> None:
    """IoU of each class by the labels that were learned from, kept as a file."""
    path = results / f"{name.replace(' ', '-').replace(',', '').lower()}-{seed}.json"
    if path.exists():
        return
    began, encoder = time.process_time(), prepared(ROWS[name], folder, seed)
    first, found = {k: t.clone() for k, t in encoder.state_dict().items()}, {}
    for labels, streams in LABELS.items():
        encoder.load_state_dict(first)
        net = network(encoder, seed)
        with tempfile.TemporaryDirectory() as out:
            options: dict[str, Any] = {"steps": STEPS, "batch": BATCH, "lr": LR, "device": "cpu", "preview": 0}
            fit(Supervised(net), **streams(domains), out=out, seed=seed + 1000, **options)
        found[labels] = ious(net, domains.test)
    written = {"row": name, "seed": seed, "iou": found, "seconds": round(time.process_time() - began, 1)}
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def table(results: Path) -> str:
    """Mean IoU in points with 95 % intervals over seeds, and the paired difference to the fresh encoder."""
    found: dict[str, dict[int, dict[str, list[float]]]] = {}
    for path in sorted(results.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found.setdefault(result["row"], {})[result["seed"]] = result["iou"]
    lines = ["| | " + " | ".join(f"{labels} | difference" for labels in LABELS) + " |", "|---" * 5 + "|"]
    for name, row in ROWS.items():
        cells = []
        for labels in LABELS:
            mine = {s: 100 * float(np.nanmean(iou[labels])) for s, iou in found.get(name, {}).items()}
            base = {s: 100 * float(np.nanmean(iou[labels])) for s, iou in found.get(row.beside, {}).items()}
            both = sorted(mine.keys() & base.keys())
            mean, half = interval(np.array(list(mine.values())))
            gain, spread = interval(np.array([mine[s] - base[s] for s in both])) if both else (np.nan, np.nan)
            cells += [f"{mean:.1f} ± {half:.1f}", f"{gain:+.1f} ± {spread:.1f}" if both else ""]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train what has no result yet, and print the table."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/adaptation")
    seeds = [int(seed) for seed in sys.argv[2].split(",")] if len(sys.argv) > 2 else [0, 1, 2]
    (results := folder / "pretext").mkdir(exist_ok=True)
    domains = Domains(*(tiles(name, folder) for name in ("source", "target", "test")))
    for seed in seeds:
        for name in ROWS:
            measured(name, domains, folder, results, seed)
    print(table(results))


if __name__ == "__main__":
    main()
