"""Where the CPU seconds of a labelled pair go, and what the sky's importance map costs.

Run: ``python benchmarks/render.py [SIZE]``. Ratios are taken within one run on one machine, in CPU seconds; the pair is
the first of the bundled recipe.
"""

from __future__ import annotations

import os
import sys
import time

import bpy

from mage.generator.blender.engine import start_engine
from mage.generator.blender.stage import Stage
from mage.generator.build import build_place
from mage.generator.ground import deep_water, paint_ground, with_water
from mage.generator.plan import make_plan
from mage.generator.sample import draw_sample
from mage.scenes.hazards.flood import prepare_flood
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import read_recipe
from mage.scenes.terrain import depth_at


class Clock:
    """CPU seconds since the last look."""

    def __init__(self) -> None:
        self._last = time.process_time()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.process_time()
        spent, self._last = now - self._last, now
        return spent


def main() -> None:
    """Print the table."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    job = make_plan(read_recipe("flood", {"output.size": size})).jobs[0]
    clock, table = Clock(), {}
    place = build_place(job)
    basis = prepare_flood(place.city, FloodPart())
    table["city, once"] = clock.lap()
    start_engine(job.recipe.render, os.cpu_count() or 1)
    stage = Stage(place)
    table["Blender scene, once"] = clock.lap()
    draft = draw_sample(job, 0, place, basis)
    table["flood and labels, both dates"] = clock.lap()
    fine = draft.grid.resampled(2)
    depth = depth_at(place.city.ground, place.water_levels, fine.points().reshape(*fine.shape, 2))
    painting = with_water(paint_ground(place, fine), fine, depth, deep_water(place, fine))
    table["ground painting, one date"] = clock.lap()
    settings = (draft.grid, draft.lights[0], painting, draft.vehicles[0], place.water_levels)
    stage.photograph(*settings)
    colour = table["colour, one date"] = clock.lap()
    cycles = bpy.context.scene.cycles
    samples, cycles.samples = cycles.samples, 1
    stage.photograph(*settings)
    one = clock.lap()
    cycles.samples = samples
    bpy.data.worlds["sky"].cycles.sampling_method = "AUTOMATIC"
    clock.lap()
    stage.photograph(*settings)
    automatic = clock.lap()
    print(f"{size} px, {samples} samples, {len(place.city.buildings)} buildings, CPU seconds:")
    for name, seconds in table.items():
        print(f"  {name:<32}{seconds:8.2f}")
    print(f"  flood and labels / colour, per pair   {table['flood and labels, both dates'] / (2 * colour):6.2f}")
    print(f"  all but sampling / colour, one date   {one / colour:6.2f}   (a rendering of one sample)")
    print(f"  Blender's own sky map / ours          {automatic / colour:6.2f}")
    sys.stdout.flush()
    os._exit(0)  # Blender may crash while it is torn down


if __name__ == "__main__":
    main()
