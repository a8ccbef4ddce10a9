"""Cycles, headless: settings, devices, and a rendering that comes back as an array."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.scenes.errors import RenderError
from mage.scenes.recipe import RenderPart

DEVICE_ORDER = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")  # the fastest interface of each vendor first


@dataclass(frozen=True, slots=True)
class Device:
    """What Cycles renders on: an interface (``CPU``, ``OPTIX`` ...) and the names of its processors."""

    kind: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} ({', '.join(self.names)})" if self.names else self.kind


def start_engine(part: RenderPart, threads: int) -> Device:
    """Empty Blender, set Cycles up for this recipe and say what it runs on.

    Raises:
        RenderError: the device that the recipe names is not there; the message lists those that are.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    device = _choose_device(part.device)
    cycles = scene.cycles
    cycles.device = "CPU" if device.kind == "CPU" else "GPU"
    cycles.samples = part.spp
    cycles.use_adaptive_sampling = False  # bit-identical for any number of threads only without it
    cycles.seed = 0
    cycles.use_denoising = part.denoise
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = "FAST"
    cycles.use_light_tree = False  # one sun and one sky leave nothing to choose
    cycles.max_bounces = 2
    cycles.diffuse_bounces = 2
    cycles.glossy_bounces = 1
    cycles.transmission_bounces = cycles.transparent_max_bounces = cycles.volume_bounces = 0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.use_auto_tile = False
    render = scene.render
    render.threads_mode, render.threads = "FIXED", threads
    render.resolution_percentage = 100
    render.use_compositing = render.use_sequencer = False
    render.film_transparent = False
    image = render.image_settings
    image.file_format, image.color_mode, image.color_depth, image.exr_codec = "OPEN_EXR", "RGB", "32", "NONE"
    return device


def _choose_device(wanted: str) -> Device:
    found = devices()
    if wanted == "cpu" or (wanted == "auto" and not found):
        return Device("CPU", ())
    kinds = [k for k in DEVICE_ORDER if k in found] if wanted == "auto" else [wanted.upper()]
    if kinds[0] not in found:
        there = ", ".join(["cpu", *(k.lower() for k in found)])
        raise RenderError("the device asked for is not on this machine", expected=wanted, found=there)
    preferences = bpy.context.preferences.addons["cycles"].preferences
    preferences.compute_device_type = kinds[0]
    for entry in preferences.get_devices_for_type(kinds[0]):
        entry.use = entry.type != "CPU"
    return Device(kinds[0], found[kinds[0]])


def devices() -> dict[str, tuple[str, ...]]:
    """Names of the GPUs that each of Cycles' interfaces finds; interfaces without any are left out."""
    preferences = bpy.context.preferences.addons["cycles"].preferences
    found = {}
    for kind in DEVICE_ORDER:
        try:
            names = tuple(d.name for d in preferences.get_devices_for_type(kind) if d.type != "CPU")
        except (TypeError, ValueError):  # an interface that this build of Blender does not know
            continue
        if names:
            found[kind] = names
    return found


def render_array(rows: int, columns: int) -> NDArray[np.float32]:
    """Render the scene from its camera, linear light, float32 (rows, columns, 3), row 0 in the north.

    Raises:
        RenderError: Blender gave no picture of that size.
    """
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = columns, rows
    with tempfile.TemporaryDirectory(prefix="mage-", dir=_scratch()) as folder:
        path = Path(folder) / "render.exr"
        scene.render.filepath = str(path)
        with quiet():
            bpy.ops.render.render(write_still=True)
        if not path.exists():
            raise RenderError("Blender rendered no picture")
        image = bpy.data.images.load(str(path))
        try:
            if tuple(image.size) != (columns, rows):
                raise RenderError("wrong size", expected=f"{columns} x {rows}", found=f"{tuple(image.size)}")
            pixels = np.empty(rows * columns * image.channels, np.float32)
            image.pixels.foreach_get(pixels)
            channels = image.channels
        finally:
            bpy.data.images.remove(image)
    return np.ascontiguousarray(pixels.reshape(rows, columns, channels)[::-1, :, :3])


def _scratch() -> str | None:
    """A memory file system where there is one: the picture is read back at once."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a fresh private folder is made in it


@contextmanager
def quiet() -> Iterator[None]:
    """Send what Blender prints from C to nowhere; its own messages follow another path."""
    sys.stdout.flush()
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)


def purge() -> None:
    """Drop meshes, materials and images that nothing uses, so that memory stays flat over many tiles."""
    bpy.data.orphans_purge(do_recursive=True)
