"""A labelled pair, by MAGE, by a plain loop over Blender, and by BlenderProc in the same Blender."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
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

SAMPLES = 4  # what a pair takes by itself


def generation(repeats: int, size: int) -> Rows:
    """Rows of a pair of ``size`` px in a city of 200 m. Ours is whole: colours, all labels, ground, sensor.

    Others make two pictures and the buildings' numbers, for which one picture counts twice, and are given the drawn
    event and the ground's painting; BlenderProc is given the whole scene. One after the other: each takes Blender.
    """
    what = f"a labelled pair of {size} px"
    studio, calls, job = opened(size, **{"city.extent": 200.0})
    ours = [seconds(lambda: render_sample(job, 0, studio)) for _ in range(repeats)]
    plain = [2 * plainly(studio, calls[0], PLAIN)[1] for _ in range(repeats)]
    yield row(what, f"a loop over bpy, {PLAIN} samples", np.array([plain, ours]))
    if find_spec("blenderproc") is None:
        yield skipped(what, "BlenderProc", "not installed: blenderproc")
        return
    with TemporaryDirectory() as folder:
        picture = by_blenderproc(studio, calls[0], folder)
        theirs = [2 * seconds(picture) for _ in range(repeats)]
    yield row(what, f"BlenderProc, {SAMPLES} samples, scene given", np.array([theirs, ours]))


def seconds(job: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    began = time.process_time()
    job()
    return time.process_time() - began


def by_blenderproc(studio: Studio, call: Call, folder: str) -> Callable[[], object]:
    """What renders a picture, denoised, and its instances by BlenderProc, from a scene that stands already."""
    start_engine(read_recipe("flood", {"render.spp": 1}).render, os.cpu_count() or 1)
    stage = PlainStage(studio.place)
    set_light(call[0][1])
    stage.photograph(*call[0], **call[1])  # with one sample, so that all is where it belongs
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 0, 1
    renderer = blenderproc().renderer

    def picture() -> None:
        renderer.set_max_amount_of_samples(SAMPLES)
        renderer.set_noise_threshold(0)
        renderer.set_denoiser("INTEL")
        renderer.set_output_format("PNG", 8, False)
        renderer.render(output_dir=folder)
        renderer.render_segmap(output_dir=folder, temp_dir=folder, map_by=["instance"])

    return picture


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
