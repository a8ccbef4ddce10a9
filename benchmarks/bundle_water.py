"""Makes the model of water that the package ships, `assets/models/water`, and trains it where its run is not there.

Run: ``python benchmarks/bundle_water.py TRAINING HELD_OUT RUN --notes NOTES.md`` with datasets of the mixture
`benchmarks/transfer/mixture.yaml`, of other seeds, and the folder of the run. What the folder then holds is what
`bundle.py` writes, but for what tells imagery unlike the training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from bundle import OUT, Shipped, calibrated, cities, ship
from transfer.water import ZOOM, Waters, water_run

from mage.scenes.errors import DatasetError

STEPS = 500
LIMITS = """\
A help for seeing where a flood may be, not for decisions. It has seen made-up suburbs, villages and informal
settlements only, in red, green and blue from above at the pixels named above, and floods, rivers and pools in them.
Smooth lawns, sand, flat roofs, deep shade and cloud can be taken for water, and water under crowns, between stems,
choppy or in colours of its own be missed. It does not know the sea, snow, ice, night, radar, or pixels of 10 m as
Sentinel-2 has, in which it finds no water (near infrared does). Its probabilities were calibrated on simulated
images."""
ORIGIN = """\
## Images and weights behind it

All images and labels are simulated, of cities that MAGE made up; in three fifths of them the water was given another
colour. Its encoder is that of EfficientNet-Lite 0 without its last stages, as Google published it, trained on
ImageNet, under Apache-2.0, but for the statistics of its BatchNorm, which are of those images; ImageNet's photographs
are not redistributable, and none is here. The checkpoint is the last step. Which colours, steps and crops it learned
with was chosen by flood photographs, two scenes of xBD Harvey and one of Ida-BD, of whose pixels no training has seen
any. `recipe.yaml` makes the dataset, and `benchmarks/bundle_water.py` this folder."""


def main() -> None:
    """Read the command line and bundle."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("training", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--notes", type=Path, help="Markdown for the card")
    parser.add_argument("--out", type=Path, default=OUT.with_name("water"))
    given = parser.parse_args()
    seen, held_out = Waters(given.training), Waters(given.held_out)
    if both := cities(seen) & cities(held_out):
        raise DatasetError("cities that are trained on are held out", file=given.held_out, found=f"{len(both)} of them")
    run = water_run(given.training, given.run, steps=STEPS, seed=0)
    notes = given.notes.read_text(encoding="utf-8") if given.notes else ""
    finest, coarsest = seen.gsd
    about = Shipped(
        "MAGE's bundled model of water", LIMITS, (notes, ORIGIN), (finest / ZOOM, coarsest * ZOOM), ("dry", "water")
    )
    given.out.mkdir(parents=True, exist_ok=True)
    found = calibrated(run, held_out)
    ship(run, found, held_out, held_out.record, about, given.training / "recipe.yaml", given.out)


if __name__ == "__main__":
    main()
