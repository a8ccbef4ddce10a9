"""Makes the damage model that the package ships, `assets/models/damage`, of a trained run.

Run: ``python benchmarks/bundle.py RUN TRAINING HELD_OUT --notes NOTES.md`` with the run, the dataset that it was
trained on, one of other cities, and what else its card shall say, such as scores on real imagery. The folder is then:
weights in float16; temperatures and what is unlike the training, both found with the rounded weights; the card;
``scores.json``, an evaluation on the held-out samples; and the training dataset's ``recipe.yaml``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from mage.learning import (
    Calibration,
    Network,
    Part,
    Run,
    ShardDataset,
    calibrate,
    card_of,
    evaluate,
    fit_density,
    load_model,
    open_run,
    save_model,
)
from mage.learning.density import Density
from mage.learning.pack_command import read_scores
from mage.learning.runs import publish
from mage.learning.scoring.figures import WORDS
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.errors import DatasetError

OUT = Path(__file__).resolve().parents[1] / "assets" / "models" / "damage"
MOST = 60  # samples of the training that tell what is like it
TITLE, LICENCE = "MAGE's bundled damage model", "Apache-2.0"
LIMITS = """\
A baseline for trying MAGE out, not for decisions: its grades of single buildings are hardly better than chance on real
imagery. It has seen made-up suburbs, villages and informal settlements only, after floods, hurricanes, tornadoes,
earthquakes and fires, in RGB from above at the pixels named above. Where buildings are it tells from the image before,
best with a threshold of each place (`place_threshold`, as `mage map` does). Use it to see where buildings are and where
to look first, train it further with labels of your own place, and never let it replace a look at the place. It does not
know night, snow, radar or thermal images, views from more than 30° off nadir, images that lie more than a few pixels
apart, or towns that are built otherwise. Its probabilities were calibrated on simulated images."""
ORIGIN = """\
## Images and weights behind it

All labels are of images that MAGE simulated, of cities that it made up. Where buildings are was then learned further by
self-training (CBST, shares by each place's threshold) on real images that may be passed on, without a label: Joplin (an
agency of the US government, taken to be in the public domain), Kampala (OpenAerialMap, CC BY 4.0), Zürich (SWISSIMAGE,
© swisstopo) and a Dutch town (PDOK, CC BY 4.0). None is here. Its encoder is EfficientNet-Lite 0 as Google published
it, trained on ImageNet, under Apache-2.0, but for the statistics of its BatchNorm, which are of those images; the
photographs behind these weights are not redistributable, and none is here. The checkpoint is the last step; the setting
was chosen among those of `benchmarks/transfer/settings.py` by what labels of other real places say, which no training
has seen. `recipe.yaml` makes the dataset, and `benchmarks/bundle.py` this folder."""


def parted(run: Run, training: Path, held_out: Path, most: int) -> tuple[Part, ShardDataset]:
    """At most so many of the samples that the run learned from, and all held-out ones, of cities that are not these."""
    learned = {key for stream in run.trained_on().streams().values() for key in stream.keys}
    seen, other = ShardDataset(training), ShardDataset(held_out, labels=("post_building",))
    mine = [index for index, key in enumerate(seen.keys) if key in learned]
    if both := cities(seen) & cities(other):
        raise DatasetError("cities that were trained on are held out", file=held_out, found=f"{len(both)} of them")
    return Part(seen, mine[:: -(-len(mine) // most) or 1]), other


def cities(dataset: ShardDataset) -> set[str]:
    """What each of its cities is built from."""
    return {json.dumps(event.recipe["city"], sort_keys=True) for event in dataset.record.events}


def calibrated(run: Run, held_out: Dataset[dict[str, Any]]) -> tuple[Network, Calibration]:
    """The run's model with weights as float16 keeps them, its temperatures fitted to held-out samples."""
    with tempfile.TemporaryDirectory() as folder:
        card = card_of(run, title=TITLE, licence=LICENCE)
        model = load_model(save_model(run.model("cpu"), folder, card, half=True), "cpu")
    return model, calibrate(model, held_out, np.random.default_rng(0), progress=True)


def rounding(run: Run, model: Network, tiles: Dataset[dict[str, Any]]) -> float:
    """Largest change of a probability that the rounded weights make on a few tiles, temperatures left out."""
    whole, temperatures, worst = run.model("cpu"), model.temperatures, 0.0
    whole.temperatures = model.temperatures = None
    for i in range(4):
        image = tiles[i]["image"]
        dates = [date.permute(1, 2, 0).numpy() for date in (image if image.ndim == 4 else image[None])]
        worst = max(worst, float(np.abs(whole.predict(*dates)[1] - model.predict(*dates)[1]).max()))
    model.temperatures = temperatures
    return worst


@dataclass(frozen=True, slots=True)
class Shipped:
    """What is said of a model that ships: words of its card, the pixels that it knows, and its own classes' names."""

    title: str
    limits: str
    notes: tuple[str, ...]
    gsd: tuple[float, float]
    classes: tuple[str, ...] = ()


def ship(
    run: Run,
    found: tuple[Network, Calibration],
    held_out: Dataset[dict[str, Any]],
    record: DatasetRecord,
    about: Shipped,
    recipe: Path,
    out: Path,
    density: Density | None = None,
) -> None:
    """Score a calibrated model on held-out samples of a dataset, write the folder, and print what was found."""
    model, calibration = found
    scores = evaluate(model, held_out, rng=np.random.default_rng(0), progress=True)
    told = scores.to_dict() | {"run": "bundled", "dataset": record.name}
    changed = rounding(run, model, held_out)
    publish(out / "scores.json", (json.dumps(told, indent=1, allow_nan=False) + "\n").encode())
    copyfile(recipe, out / "recipe.yaml")
    figures, measured_on = read_scores(out / "scores.json")
    # measured crosswise: those of the scores are of the tiles that temperatures were fitted to
    for name, error in calibration.to_dict()["ece"].items():
        words = WORDS.get(f"ece_{name}", WORDS["ece"])
        figures |= {words: error["after"]} if error["after"] is not None else {}
    rounded = f"Weights in float16 change no probability on held-out tiles by more than {changed:.4f}."
    card = card_of(
        run,
        title=about.title,
        licence=LICENCE,
        figures=figures,
        measured_on=f"simulated cities that it was not trained on ({measured_on})",
        limits=about.limits,
        notes="\n\n".join(part.strip() for part in (*about.notes, rounded) if part.strip()),
    )
    card = replace(card, classes=about.classes)
    file = save_model(model, out, card, half=True, gsd=about.gsd, density=density)
    print(scores.table(), calibration.table(), f"float16 changes probabilities by at most {changed:.4f}", sep="\n\n")
    for path in sorted(file.parent.iterdir()):
        print(f"{path.stat().st_size / 2**20:8.2f} MB  {path.name}")


def main() -> None:
    """Read the command line and bundle."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("training", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--notes", type=Path, help="Markdown for the card")
    parser.add_argument("--gsd", type=float, nargs=2, help="pixels that it knows, metres, where crops were scaled")
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    notes = given.notes.read_text(encoding="utf-8") if given.notes else ""
    run, parts = open_run(given.run), parted(open_run(given.run), given.training, given.held_out, MOST)
    gsd = tuple(given.gsd) if given.gsd else ShardDataset(given.training).gsd
    training, held_out = parts
    found = calibrated(run, held_out)
    density = fit_density(found[0], training, held_out, progress=True)
    about = Shipped(TITLE, LIMITS, (notes, ORIGIN), gsd)
    ship(run, found, held_out, held_out.record, about, given.training / "recipe.yaml", given.out, density)


if __name__ == "__main__":
    main()
