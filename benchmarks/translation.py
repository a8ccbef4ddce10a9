"""Translators from one toy domain to another: how far apart the domains are before and after, and whether damage stays.

Run: ``python benchmarks/translation.py [FOLDER]``, after `adaptation.py`, whose domains and first network it takes
(see `domains.py`). Distances are Fréchet's between Gaussians (Dowson and Landau 1982), as a root: of colours, in
levels, and of the coarsest features that the network trained on the source makes. Beside them those of the source to
itself, half against half, which is as near as can be. Damage is looked at by a network that has learned the source,
over all pixels and over those that it is sure of. A translator that has a result is not trained again.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from domains import SmallNet, rendered
from numpy.typing import NDArray
from torch import Tensor

from mage.learning import (
    CUT,
    ColorMapGAN,
    ColourMap,
    Flow,
    FlowMatching,
    FourierStyle,
    HistogramMatching,
    LinearColour,
    Method,
    NetworkTranslator,
    Painter,
    ShardDataset,
    SiameseDamageNet,
    Supervised,
    Translator,
    damage_preservation,
    fit,
    grade_weights,
    preserving,
)
from mage.learning.translate.translator import style_rng

CROP, STEPS, BATCH = 48, 150, 4
SURE = 0.5  # probability of a class
Statistics = tuple[NDArray[np.float64], NDArray[np.float64]]


def by_statistics(translator: HistogramMatching | LinearColour | FourierStyle) -> Callable[..., Translator]:
    """A translator that is fitted to whole target tiles."""
    return lambda _, target: translator.fit(ShardDataset(target)[i] for i in range(len(ShardDataset(target))))


def by_one_map(translator: HistogramMatching | LinearColour) -> Callable[..., Translator]:
    """One that is fitted to whole tiles of both domains, and maps all places alike."""

    def fitted(source: Path, target: Path) -> Translator:
        tiles, goal = ShardDataset(source), ShardDataset(target)
        return translator.fit((goal[i] for i in range(len(goal))), (tiles[i] for i in range(len(tiles))))

    return fitted


def by_training(method: Method, lr: float) -> Callable[..., Translator]:
    """A translator that is trained on crops of both domains."""

    def trained(source: Path, target: Path) -> Translator:
        streams = {"source": ShardDataset(source, size=CROP), "unlabelled": ShardDataset(target, size=CROP)}
        with tempfile.TemporaryDirectory() as out:
            fit(method, **streams, out=out, steps=STEPS, batch=BATCH, lr=lr, device="cpu")
        assert isinstance(method.model, torch.nn.Module)
        return NetworkTranslator(method.model)

    return trained


TRANSLATORS: dict[str, Callable[..., Translator]] = {
    "histogram matching": by_statistics(HistogramMatching()),
    "linear colour": by_statistics(LinearColour()),
    "histogram matching, one map": by_one_map(HistogramMatching()),
    "linear colour, one map": by_one_map(LinearColour()),
    "histogram matching, strength by damage": by_statistics(HistogramMatching()),
    "linear colour, strength by damage": by_statistics(LinearColour()),
    "histogram matching, strength by damage, one map": by_one_map(HistogramMatching()),
    "linear colour, strength by damage, one map": by_one_map(LinearColour()),
    "FDA": by_statistics(FourierStyle()),
    "ColorMapGAN": by_training(ColorMapGAN(ColourMap(), width=8), 2e-3),
    "flow matching": by_training(FlowMatching(Flow(width=4, blocks=1)), 2e-3),
    # its painter's colours run away from a discriminator that learns no faster
    "CUT": by_training(CUT(Painter(width=4, blocks=1), width=8, hidden=32, patches=64, rate=10.0), 2e-4),
}


def statistics(values: NDArray[Any]) -> Statistics:
    """Mean and covariance of (number, dimensions)."""
    return values.mean(0), np.atleast_2d(np.cov(values, rowvar=False))


def frechet(one: Statistics, other: Statistics) -> float:
    """Root of |m₁ - m₂|² + tr(C₁ + C₂ - 2 (C₁ C₂)^½)."""
    values, vectors = np.linalg.eigh(one[1])
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ other[1] @ root).clip(0)).sum()
    square = ((one[0] - other[0]) ** 2).sum() + np.trace(one[1]) + np.trace(other[1]) - 2 * cross
    return float(np.sqrt(max(square, 0)))


def seen(images: Tensor, net: SmallNet) -> tuple[Statistics, Statistics]:
    """Statistics of colours and of features, of images uint8 (N, 3, H, W)."""
    with torch.inference_mode():
        features = [net.features(part.float() / 255)[-1].transpose(0, 1).flatten(1).T for part in images.split(16)]
    colours = images.transpose(0, 1).flatten(1).T.numpy().astype(np.float64)
    return statistics(colours), statistics(torch.cat(features).double().numpy())


def distances(images: Tensor, goal: Tensor, net: SmallNet) -> list[float]:
    """Of colours and of features."""
    return [frechet(one, other) for one, other in zip(seen(images, net), seen(goal, net), strict=True)]


def images_of(root: Path) -> Tensor:
    """All images of a dataset, of both dates."""
    dataset = ShardDataset(root)
    return torch.cat([dataset[index]["image"] for index in range(len(dataset))])


def grader(source: Path, folder: Path) -> SiameseDamageNet:
    """A damage model that has learned the source, kept as a file for the next call."""
    path, net = folder / "damage.pt", SiameseDamageNet(8)
    if path.exists():
        net.load_state_dict(torch.load(path, weights_only=True))
        return net.eval()
    tiles = ShardDataset(source, size=CROP)
    method = Supervised(net, weights=grade_weights(tiles.grade_counts()))
    with tempfile.TemporaryDirectory() as out:
        fit(method, tiles, out=out, steps=2 * STEPS, batch=BATCH, lr=4e-3, device="cpu")
    torch.save(net.state_dict(), path)
    return net.eval()


def measured(name: str, folder: Path, source: Path, target: Path) -> dict[str, Any]:
    """Distances of the translated source to the target, and the share of pixels whose damage is seen as before."""
    path = folder / f"{name.replace(' ', '-').lower()}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    began, net = time.process_time(), SmallNet().eval()
    net.load_state_dict(torch.load(folder.parent / "results" / "source-0.pt", weights_only=True))
    before, goal = images_of(source), images_of(target)
    found: dict[str, Any] = {"row": name}
    if name == "as it is":
        found |= {"distances": distances(before, goal, net), "preservation": 1.0, "sure": 1.0}
    elif name == "half to half":
        found |= {"distances": distances(*before.chunk(2), net), "preservation": 1.0, "sure": 1.0}
    else:
        translator, tiles = TRANSLATORS[name](source, target), ShardDataset(source)
        styles, judge = not name.endswith("one map"), grader(source, folder)
        if "strength" in name:
            assert isinstance(translator, HistogramMatching | LinearColour)
            translator = preserving(judge, tiles, translator, styles=styles)
            found["strength"] = translator.strength
        pairs = [translator.transform(tiles[i]["image"], style_rng(i) if styles else None) for i in range(len(tiles))]
        found["distances"] = distances(torch.from_numpy(np.concatenate(pairs)), goal, net)
        for kind, sure in (("preservation", 0.0), ("sure", SURE)):
            found[kind] = damage_preservation(judge, tiles, translator, styles=styles, sure=sure)
    found["seconds"] = round(time.process_time() - began, 1)
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def main() -> None:
    """Measure what has no result yet, and print the table."""
    torch.set_num_threads(1)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/adaptation")
    source, target = (rendered(name, folder) for name in ("source", "target"))
    (results := folder / "translation").mkdir(exist_ok=True)
    print(f"| | colours | features | damage seen as before | by the sure ({SURE:g}) |\n|---|---|---|---|---|")
    for name in ("half to half", "as it is", *TRANSLATORS):
        found = measured(name, results, source, target)
        (one, other), kept = found["distances"], (found["preservation"], found["sure"])
        print(f"| {name} | {one:.1f} | {other:.2f} | {kept[0]:.3f} | {kept[1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
