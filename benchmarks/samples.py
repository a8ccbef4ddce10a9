"""How many samples a pixel needs: PSNR of the denoised picture against a reference, and what each costs.

Run: ``python benchmarks/samples.py [SIZE] [REFERENCE]`` (pixels; samples of the reference, not denoised). PSNR is
taken on 8-bit sRGB after the nominal stretch, before blur and noise, on the first tile of the bundled recipe.
"""

from __future__ import annotations

import os
import sys
import time

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.generator.blender.engine import start_engine
from mage.generator.blender.stage import Stage
from mage.generator.build import build_place
from mage.generator.colour import BLACK, GAIN, to_srgb
from mage.generator.ground import deep_water, paint_ground, with_water
from mage.generator.plan import make_plan
from mage.generator.sample import draw_sample
from mage.scenes.hazards.flood import prepare_flood
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import read_recipe
from mage.scenes.terrain import depth_at


def main() -> None:
    """Print the table."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 256
    reference = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    job = make_plan(read_recipe("flood", {"output.size": size})).jobs[0]
    place = build_place(job)
    start_engine(job.recipe.render, os.cpu_count() or 1)
    stage = Stage(place)
    draft = draw_sample(job, 0, place, prepare_flood(place.city, FloodPart()))
    fine = draft.grid.resampled(2)
    depth = depth_at(place.city.ground, place.water_levels, fine.points().reshape(*fine.shape, 2))
    painting = with_water(paint_ground(place, fine), fine, depth, deep_water(place, fine))
    cycles = bpy.context.scene.cycles

    def shown(samples: int, *, denoised: bool) -> tuple[NDArray[np.float64], float]:
        cycles.samples, cycles.use_denoising = samples, denoised
        start = time.process_time()
        light = stage.photograph(draft.grid, draft.lights[0], painting, draft.vehicles[0], place.water_levels)
        return to_srgb(light * GAIN + BLACK), time.process_time() - start

    truth, _ = shown(reference, denoised=False)
    print(f"{size} px, reference of {reference} samples")
    print("  samples   PSNR dB, denoised   CPU s   PSNR dB, plain   CPU s")
    for samples in (2, 4, 8, 16, 32):
        cells = []
        for denoised in (True, False):
            picture, seconds = shown(samples, denoised=denoised)
            cells.append(f"{10 * np.log10(255**2 / np.mean((picture - truth) ** 2)):13.1f} {seconds:11.2f}")
        print(f"  {samples:7d} {'   '.join(cells)}", flush=True)
    os._exit(0)  # Blender may crash while it is torn down


if __name__ == "__main__":
    main()
