"""What buildings outside the view cost: CPU seconds of one pair in cities that are larger and larger.

Run: ``python benchmarks/extents.py [EXTENT ...]`` (metres a side). The pair is of the bundled flood, 256 px, 2
samples. Whatever is done once a city (building it, its meshes) is not counted in, but shown.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time

EXTENTS = (300, 600, 1200)


def main() -> None:
    """Print a row an extent; each in a process of its own, since one Blender holds one city."""
    print(f"{'extent, m':>10}{'buildings':>11}{'once, CPU s':>13}{'a pair, CPU s':>15}", flush=True)
    for extent in [int(word) for word in sys.argv[1:]] or EXTENTS:
        worker = multiprocessing.get_context("spawn").Process(target=_row, args=(extent,))
        worker.start()
        worker.join()


def _row(extent: int) -> None:
    # not before: a process cannot be spawned from one that has imported bpy
    from mage.generator.plan import make_plan
    from mage.generator.shards import open_studio, render_sample
    from mage.scenes.recipe import read_recipe

    changes = {"city.extent": extent, "output.size": 256, "render.spp": 2, "render.device": "cpu"}
    job = make_plan(read_recipe("flood", changes)).jobs[0]
    start = time.process_time()
    studio = open_studio(job, os.cpu_count() or 1)
    opened = time.process_time()
    seconds = []
    for index in range(3):  # of which the first warms caches
        begun = time.process_time()
        render_sample(job, index, studio)
        seconds.append(time.process_time() - begun)
    count = len(studio.place.city.buildings)
    print(f"{extent:10d}{count:11d}{opened - start:13.1f}{sum(seconds[1:]) / 2:15.2f}", flush=True)
    os._exit(0)  # Blender may crash while it is torn down


if __name__ == "__main__":
    main()
