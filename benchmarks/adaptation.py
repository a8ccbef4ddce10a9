"""Which methods help under a domain shift: each on three seeds or more, beside what needs no method.

Run: ``python benchmarks/adaptation.py [FOLDER] [SEEDS] [ROW ...]``. Renders two toy domains (see `domains.py`) into
FOLDER (default ``out/adaptation``) where they are not there yet, trains a network on the source once a seed, lets every
method go on from there for as many steps, and prints a table of what is there. A row and seed that has a result is not
trained again; several processes may share the work by naming seeds (``0,1,2``) or rows.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from domains import CLASSES, SmallNet, Tiles, ious, tiles
from numpy.typing import NDArray
from scipy.stats import t as student
from torch import Tensor, nn

from mage.learning import (
    ADVENT,
    DACS,
    DANN,
    MIC,
    CorrMatch,
    DAFormer,
    FixMatch,
    FourierStyle,
    HistogramMatching,
    LinearColour,
    MeanTeacher,
    Method,
    MinEnt,
    RareClasses,
    Supervised,
    Tent,
    UniMatch,
    UniMatchV2,
    adapt_batch_norm,
    augment,
    class_counts,
    fit,
)
from mage.learning.views import strong

WARM, STEPS, BATCH, LR = 600, 120, 4, 4e-3
FEW = 4  # places of the target whose labels semi-supervised methods see
RESULTS = "results"


@dataclass(frozen=True, slots=True)
class Domains:
    """Tiles of both domains; the few labelled ones are the target's first, ``rest`` the others."""

    source: Tiles
    target: Tiles
    test: Tiles

    @property
    def few(self) -> Tiles:
        """With labels."""
        return Tiles(self.target.images[: 2 * FEW], self.target.masks[: 2 * FEW])

    @property
    def rest(self) -> Tiles:
        """Without."""
        return Tiles(self.target.images[2 * FEW :], self.target.masks[2 * FEW :])


Streams = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A method as the benchmark runs it.

    Attributes:
        make: the method around a trained network.
        streams: what it learns from.
        steps, lr: of the training after the warm start.
        semi: compared with the few labels alone, and not with the source alone.
        settings: what differs from the class's defaults, for the table.
    """

    make: Callable[[nn.Module], Method]
    streams: Callable[[Domains], Streams]
    steps: int = STEPS
    lr: float = LR / 2
    semi: bool = False
    settings: str = field(default="")


def source(domains: Domains) -> Streams:
    """Labelled source tiles alone."""
    return {"source": domains.source}


def both(domains: Domains) -> Streams:
    """Labelled source tiles and unlabelled target tiles."""
    return {"source": domains.source, "unlabelled": domains.target}


def rare(domains: Domains) -> Streams:
    """The same, source tiles drawn by their rare classes."""
    counts = class_counts(domains.source, len(CLASSES))
    return both(domains) | {"source": RareClasses(domains.source, counts, temperature=0.1)}


def unlabelled(domains: Domains) -> Streams:
    """Target tiles alone, without labels."""
    return {"unlabelled": domains.target}


def few(domains: Domains) -> Streams:
    """A few labelled target tiles alone."""
    return {"target": domains.few}


def few_and_rest(domains: Domains) -> Streams:
    """A few labelled target tiles, and the others without labels."""
    return {"target": domains.few, "unlabelled": domains.rest}


def translated(translator: HistogramMatching | LinearColour | FourierStyle) -> Callable[[Domains], Streams]:
    """Labelled source tiles, each in the style of a target tile."""

    def streams(domains: Domains) -> Streams:
        translator.fit(list(domains.target.images))
        rng = np.random.default_rng(0)
        images = [torch.from_numpy(translator.transform(image, rng)) for image in domains.source.images]
        return {"source": Tiles(torch.stack(images), domains.source.masks)}

    return streams


def strong_jitter(image: Tensor, mask: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """The usual augmentation, then the strong view of consistency methods, on labelled images."""
    image, mask = augment(image, mask, rng)
    return strong(image, rng), mask


ROWS: dict[str, Row] = {
    "source only": Row(Supervised, source),
    "colour jitter": Row(lambda net: Supervised(net, augment=strong_jitter), source),
    "histogram matching": Row(Supervised, translated(HistogramMatching())),
    "linear colour": Row(Supervised, translated(LinearColour())),
    "FDA": Row(Supervised, translated(FourierStyle())),
    "Tent": Row(Tent, unlabelled, steps=20),
    "MinEnt": Row(MinEnt, both),
    "ADVENT": Row(lambda net: ADVENT(net, width=16), both),
    "DANN": Row(DANN, both),
    "DACS": Row(DACS, both),
    "DAFormer": Row(DAFormer, rare),
    "MIC": Row(MIC, rare),
    "few labels only": Row(Supervised, few, semi=True),
    "Mean Teacher": Row(MeanTeacher, few_and_rest, semi=True),
    "FixMatch": Row(FixMatch, few_and_rest, semi=True),
    "UniMatch": Row(UniMatch, few_and_rest, semi=True),
    "UniMatch V2": Row(UniMatchV2, few_and_rest, semi=True),
    "CorrMatch": Row(CorrMatch, few_and_rest, semi=True),
}


def warm(domains: Domains, seed: int, folder: Path) -> SmallNet:
    """A network that has learned the source, kept as a file for the next call."""
    path, net = folder / f"source-{seed}.pt", SmallNet(seed=seed)
    if path.exists():
        net.load_state_dict(torch.load(path, weights_only=True))
        return net
    with tempfile.TemporaryDirectory() as out:
        fit(Supervised(net), domains.source, out=out, steps=WARM, batch=BATCH, lr=LR, seed=seed, device="cpu")
    torch.save(net.state_dict(), path)
    return net


def trained(row: Row, domains: Domains, net: SmallNet, seed: int) -> SmallNet:
    """The network after a row's training, which begins where ``net`` is."""
    method = row.make(deepcopy(net))
    with tempfile.TemporaryDirectory() as out:
        arguments: dict[str, Any] = {"steps": row.steps, "batch": BATCH, "lr": row.lr, "device": "cpu"}
        fit(method, **row.streams(domains), out=out, seed=seed + 1000, **arguments)
    assert isinstance(method.model, SmallNet)
    return method.model


def measured(name: str, domains: Domains, seed: int, folder: Path) -> dict[str, Any]:
    """IoU of each class on the labelled target tiles after a row's training, by the statistics that BatchNorm has
    then and by the target's.
    """
    path = folder / f"{name.replace(' ', '-').lower()}-{seed}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    began = time.process_time()
    net = trained(ROWS[name], domains, warm(domains, seed, folder), seed)
    found: dict[str, Any] = {"row": name, "seed": seed, "iou": ious(net, domains.test)}
    adapt_batch_norm(net, domains.target, device="cpu")
    found |= {"adapted": ious(net, domains.test), "seconds": round(time.process_time() - began, 1)}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval by Student's t."""
    n = len(values)
    half = student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return float(values.mean()), float(half)


def table(folder: Path) -> str:
    """Mean IoU in points with intervals over seeds, and the paired difference to what a row is compared with."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for path in sorted(folder.glob("*.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        for kind in ("iou", "adapted"):
            found.setdefault((result["row"], kind), {})[result["seed"]] = 100 * float(np.nanmean(result[kind]))
    lines = [
        "| | seeds | mIoU | difference | its statistics the target's | difference | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in ROWS.items():
        if (name, "iou") not in found:
            continue
        cells, verdict = [], ""
        for kind in ("iou", "adapted"):
            mine, base = found[name, kind], found["few labels only" if row.semi else "source only", "iou"]
            seeds = sorted(mine.keys() & base.keys())
            (mean, half), (gain, spread) = (
                interval(np.array(v)) for v in ([mine[s] for s in seeds], [mine[s] - base[s] for s in seeds])
            )
            cells += [f"{mean:.1f} ± {half:.1f}", f"{gain:+.1f} ± {spread:.1f}"]
            verdict = verdict or ("helps" if gain > spread else "harms" if gain < -spread else "not shown to help")
        lines.append(f"| {name} | {len(seeds)} | " + " | ".join(cells) + f" | {verdict} |")
    return "\n".join(lines)


def main() -> None:
    """Train what has no result yet, and print the table."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/adaptation")
    seeds = [int(seed) for seed in sys.argv[2].split(",")] if len(sys.argv) > 2 else [0, 1, 2]
    results = folder / RESULTS
    results.mkdir(parents=True, exist_ok=True)
    domains = Domains(*(tiles(name, folder) for name in ("source", "target", "test")))
    for seed in seeds:
        for name in sys.argv[3:] or ROWS:
            measured(name, domains, seed, results)
    print(table(results))


if __name__ == "__main__":
    main()
