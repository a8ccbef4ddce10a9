"""How many samples a pixel needs for each quality: PSNR against a reference, and what each costs.

Run: ``python benchmarks/samples.py [SIZE] [REFERENCE] [SCENE ...]`` (pixels; samples of the reference, not denoised).
PSNR is taken on 8-bit sRGB after the nominal stretch, before blur and noise; the targets are those of
:data:`mage.scenes.recipe.QUALITY`.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.generator.colour import BLACK, GAIN, to_srgb
from mage.generator.photography import Studio
from mage.generator.plan import make_plan
from mage.generator.shards import open_studio, render_sample
from mage.generator.sight import Sight
from mage.scenes.recipe import read_recipe

# name: recipe, what differs from it, index of the sample, 0 for the picture before and 1 for the one after
SCENES: dict[str, tuple[str, dict[str, Any], int, int]] = {
    "suburb": ("flood", {}, 0, 0),
    "flood": ("flood", {}, 1, 1),
    "long shadows": (
        "flood",
        {"city.style": "european-old-town", "light.pre": "2023-11-20", "light.hours": [9.0, 9.0]},
        0,
        0,
    ),
    "old town": ("flood", {"city.style": "european-old-town"}, 0, 0),
    "rubble": ("earthquake", {"city.extent": 400}, 0, 1),
    "burnt": ("fire", {"city.extent": 400}, 0, 1),
}
SAMPLES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48)


class Recorder:
    """Stands in for a stage and keeps what it was asked to photograph."""

    spectral = False

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def photograph(self, view: Sight, *rest: Any, **more: Any) -> NDArray[np.float32]:
        """Remember the order; a grey picture meets it."""
        self.calls.append(((view, *rest), more))
        return np.full((*view.grid.shape, 3), 0.1, np.float32)


def scene(name: str, size: int) -> tuple[Studio, tuple[tuple[Any, ...], dict[str, Any]]]:
    """A studio, and the arguments of one photograph in it."""
    recipe, changes, index, date = SCENES[name]
    job = make_plan(read_recipe(recipe, {"output.size": size, "render.device": "cpu", **changes})).jobs[0]
    studio = open_studio(job, os.cpu_count() or 1)
    stage, studio.stage = studio.stage, Recorder()  # type: ignore[assignment]
    render_sample(job, index, studio)
    calls = studio.stage.calls  # type: ignore[attr-defined]
    studio.stage = stage
    return studio, calls[date]


def shown(studio: Studio, call: tuple[Any, Any], samples: int, *, denoised: bool) -> tuple[NDArray[np.float64], float]:
    """A picture as 8-bit sRGB, not rounded, and its CPU seconds."""
    cycles = bpy.context.scene.cycles
    cycles.samples, cycles.use_denoising = samples, denoised
    start = time.process_time()
    light = studio.stage.photograph(*call[0], **call[1])
    return np.clip(to_srgb(light * GAIN + BLACK), 0, 255), time.process_time() - start


def psnr(picture: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Peak signal to noise ratio of an 8-bit picture, dB."""
    return float(10 * np.log10(255**2 / np.mean((picture - truth) ** 2)))


def main() -> None:
    """Print a table for each scene."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 128
    reference = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    for name in sys.argv[3:] or SCENES:
        studio, call = scene(name, size)
        truth, _ = shown(studio, call, reference, denoised=False)
        print(f"{name}: {size} px, reference of {reference} samples")
        print("  samples   PSNR dB, denoised   CPU s   PSNR dB, plain   CPU s")
        for samples in SAMPLES:
            cells = []
            for denoised in (True, False):
                picture, seconds = shown(studio, call, samples, denoised=denoised)
                cells.append(f"{psnr(picture, truth):13.1f} {seconds:11.2f}")
            print(f"  {samples:7d} {'   '.join(cells)}", flush=True)
    os._exit(0)  # Blender may crash while it is torn down


if __name__ == "__main__":
    main()
