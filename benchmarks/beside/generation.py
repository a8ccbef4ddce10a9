"""A labelled pair, by MAGE, by a plain loop over Blender, and by BlenderProc in the same Blender."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bpy
import numpy as np
from beside.measure import Rows, row, skipped
from render import PLAIN, Call, PlainStage, opened, plainly

from mage.generator.blender.engine import start_engine
from mage.generator.blender.light import set_light
from mage.generator.photography import Studio
from mage.generator.shards import render_sample
from mage.scenes.recipe import read_recipe

LOOP = f"a loop over bpy, {PLAIN} samples"


def generation(repeats: int, size: int) -> Rows:
    """Rows of a pair of ``size`` px in a city of 200 m. Ours is whole: colours, all labels, ground, sensor.

    Others are given the drawn event and the ground's painting, BlenderProc the scene as well, and make two pictures and
    the buildings' numbers.
    """
    what = f"a labelled pair of {size} px"
    proc = blenderproc() if find_spec("blenderproc") else None
    ways: dict[str, Callable[[Studio, Call], float]] = {LOOP: lambda studio, call: plainly(studio, call, PLAIN)[1]}
    if proc is not None:
        for samples, name in ((4, "4 samples"), (None, "up to 1,024 samples")):
            ways[f"BlenderProc, {name}"] = partial(by_blenderproc, proc=proc, samples=samples)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        studio, calls, job = opened(
            size, **{"city.extent": 200.0}
        )  # a city anew, since each way takes Blender for itself
        began = time.process_time()
        render_sample(job, 0, studio)
        ours = time.process_time() - began
        for name, way in ways.items():
            spent[name].append((sum(way(studio, call) for call in calls), ours))
    for name, pairs in spent.items():
        yield row(what, name, np.array(pairs).T)
    if proc is None:
        yield skipped(what, "BlenderProc", "not installed: blenderproc")


def by_blenderproc(studio: Studio, call: Call, proc: Any, samples: int | None) -> float:
    """CPU seconds of a picture and its instances by BlenderProc's renderer with its own settings, but for the number of
    samples if one is given, from a scene that stands already.
    """
    start_engine(read_recipe("flood", {"render.spp": 1}).render, os.cpu_count() or 1)
    stage = PlainStage(studio.place)
    set_light(call[0][1])
    stage.photograph(*call[0], **call[1])  # with one sample, so that all is where it belongs
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 0, 1
    defaults = importlib.import_module("blenderproc.python.utility.DefaultConfig").DefaultConfig
    with TemporaryDirectory() as folder:
        began = time.process_time()
        proc.renderer.set_max_amount_of_samples(samples or defaults.samples)
        proc.renderer.set_noise_threshold(0 if samples else defaults.sampling_noise_threshold)
        proc.renderer.set_denoiser(defaults.denoiser)
        proc.renderer.set_output_format("PNG", 8, False)
        proc.renderer.render(output_dir=folder)
        proc.renderer.render_segmap(output_dir=folder, temp_dir=folder, map_by=["instance"])
        return time.process_time() - began


def blenderproc() -> Any:
    """BlenderProc 2.8 within this process and its Blender.

    It wants to be started by its own command in a Blender of its own, 4.2, and to install packages there. It imports as
    well where it believes to be in one, if it is kept from installing; `init`, which sets a language that Blender as a
    module does not have, is left out, and what it would set is set by hand.
    """
    os.environ["OUTSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT_BUT_IN_RUN_SCRIPT"] = "1"
    module = importlib.import_module("blenderproc")
    setup = importlib.import_module("blenderproc.python.utility.SetupUtility")
    setup.SetupUtility.setup = staticmethod(lambda *_: [])
    os.environ["INSIDE_OF_THE_INTERNAL_BLENDER_PYTHON_ENVIRONMENT"] = "1"
    sys.path.append(str(Path(str(module.__file__)).resolve().parents[1]))  # it takes this away
    return importlib.reload(module)
