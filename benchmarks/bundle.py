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
from pathlib import Path
from shutil import copyfile

import numpy as np
import torch

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


def calibrated(run: Run, held_out: ShardDataset) -> tuple[Network, Calibration]:
    """The run's model with weights as float16 keeps them, its temperatures fitted to held-out samples."""
    with tempfile.TemporaryDirectory() as folder:
        card = card_of(run, title=TITLE, licence=LICENCE)
        model = load_model(save_model(run.model("cpu"), folder, card, half=True), "cpu")
    return model, calibrate(model, held_out, np.random.default_rng(0), progress=True)


def rounding(run: Run, model: Network, tiles: ShardDataset) -> float:
    """Largest change of a probability that the rounded weights make on a few tiles, temperatures left out."""
    whole, temperatures = run.model("cpu"), model.temperatures
    whole.temperatures = model.temperatures = None
    pairs = (tiles[i]["image"].permute(0, 2, 3, 1).numpy() for i in range(min(4, len(tiles))))
    worst = max(float(np.abs(whole.predict(*pair)[1] - model.predict(*pair)[1]).max()) for pair in pairs)
    model.temperatures = temperatures
    return worst


def bundle(
    run: Run, parts: tuple[Part, ShardDataset], recipe: Path, notes: str, gsd: tuple[float, float], out: Path
) -> None:
    """Write the folder, and print what was found."""
    training, held_out = parts
    model, found = calibrated(run, held_out)
    density: Density = fit_density(model, training, held_out, progress=True)
    scores = evaluate(model, held_out, rng=np.random.default_rng(0), progress=True)
    told = scores.to_dict() | {"run": "bundled", "dataset": held_out.record.name}
    changed = rounding(run, model, held_out)
    publish(out / "scores.json", (json.dumps(told, indent=1, allow_nan=False) + "\n").encode())
    copyfile(recipe, out / "recipe.yaml")
    figures, measured_on = read_scores(out / "scores.json")
    errors = found.to_dict()["ece"]  # measured crosswise: those above are of the tiles that temperatures were fitted to
    figures |= {WORDS[f"ece_{name}"]: error["after"] for name, error in errors.items() if error["after"] is not None}
    rounded = f"Weights in float16 change no probability on held-out tiles by more than {changed:.4f}."
    card = card_of(
        run,
        title=TITLE,
        licence=LICENCE,
        figures=figures,
        measured_on=f"simulated cities that it was not trained on ({measured_on})",
        limits=LIMITS,
        notes="\n\n".join(part.strip() for part in (notes, ORIGIN, rounded) if part.strip()),
    )
    file = save_model(model, out, card, half=True, gsd=gsd, density=density)
    print(scores.table(), found.table(), f"float16 changes probabilities by at most {changed:.4f}", sep="\n\n")
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
    bundle(run, parts, given.training / "recipe.yaml", notes, gsd, given.out)


if __name__ == "__main__":
    main()
