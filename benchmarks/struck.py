"""Colours of what disasters leave, beside those measured in pictures of real ones.

Run: ``python benchmarks/struck.py [FOLDER]``; with a folder, the pairs are kept there to be looked at. Medians of sRGB
and spread of luma over the pixels that the labels say to be each kind of remains; real ones from drawn patches of
Hatay, Adiyaman, Santa Rosa and Joplin.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.plan import make_plan
from mage.generator.shards import open_studio, render_sample
from mage.scenes.dataset.fields import LandClass
from mage.scenes.dataset.schema import Sample
from mage.scenes.recipe import read_recipe

PAIRS = 2
SIZE = {"output.size": 256, "output.gsd": 0.5, "render.spp": 8, "city.extent": 320, "count": PAIRS}
QUAKE = {"kind": "earthquake", "magnitude": [7.8, 8.0], "distance": [0, 1], "depth": [6, 8]}
TORNADO = {"kind": "wind", "storm": "tornado", "speed": [85, 95], "distance": [0, 0.02]}
FIRE = {
    "kind": "fire",
    "minutes": [300, 360],
    "ignitions": 6,
    "smoke": [0, 0],
    "resistant": [0, 0.1],
    "cured": [0.6, 0.6],
}
EVENTS = {"earthquake": ("mediterranean", QUAKE), "tornado": ("suburb", TORNADO), "fire": ("suburb", FIRE)}
REAL = {
    "earthquake": "Hatay 142,136,134 (46); Adiyaman 153,142,129 (32)",
    "tornado": "Joplin 136,112,115; 121,100,109 (22-26)",
    "fire": "Santa Rosa 153,149,128; 145,142,120 (20-27)",
}


def remains(event: str, sample: Sample) -> NDArray[np.bool_]:
    """Pixels (rows, columns) of rubble, or of ash in burnt houses, that nothing stands over."""
    labels = sample.labels
    seen = ~np.isin(labels["post_class"], (LandClass.TREE, LandClass.VEHICLE))
    burnt = (labels["post_burn"] == 100) & (labels["post_building"] > 0)
    return np.asarray(seen & (burnt if event == "fire" else labels["post_debris"] > 0))


def main(folder: Path | None) -> None:
    """Render, measure and print."""
    print(f"{'':12} {'sRGB':>12} {'luma sd':>8} {'pixels':>8}  real")
    for event, (style, hazard) in EVENTS.items():
        kind = hazard["kind"]
        job = make_plan(read_recipe(str(kind), {**SIZE, "city.style": style, "hazard": hazard})).jobs[0]
        studio = open_studio(job, 2)
        found = []
        for index in range(PAIRS):
            sample, _ = render_sample(job, index, studio)
            found.append(sample.images["post"][remains(event, sample)])
            if folder is not None:
                pair = np.concatenate([sample.images["pre"], sample.images["post"]], axis=1)
                cv2.imwrite(str(folder / f"{event}-{index}.png"), pair[..., ::-1])
        colours = np.concatenate(found)
        middle = ",".join(f"{v:.0f}" for v in np.median(colours, axis=0)) if len(colours) else "-"
        spread = float((colours @ np.array([0.299, 0.587, 0.114])).std()) if len(colours) else float("nan")
        print(f"{event:12} {middle:>12} {spread:8.1f} {len(colours):8d}  {REAL[event]}")


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    if where is not None:
        where.mkdir(parents=True, exist_ok=True)
    main(where)
