"""Blender headless: settings, and a rendering that comes back as an array."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.generator.blender.devices import Device, choose_device
from mage.generator.blender.eevee import opengl_driver, set_up_eevee
from mage.generator.runners.share import WHOLE, Share
from mage.scenes.errors import DeviceError, RenderError
from mage.scenes.recipe import RenderPart


def start_engine(part: RenderPart, threads: int, share: Share = WHOLE) -> Device:
    """Empty Blender, set it up for this recipe and say what it renders on.

    Raises:
        RenderError: the device that the recipe names is not there; the message lists those that are.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    render = bpy.context.scene.render
    render.threads_mode, render.threads = "FIXED", threads
    render.resolution_percentage = 100
    render.use_compositing = render.use_sequencer = False
    render.film_transparent = False
    image = render.image_settings
    image.file_format, image.color_mode, image.color_depth, image.exr_codec = "OPEN_EXR", "RGB", "32", "NONE"
    if part.engine == "cycles":
        return _set_up_cycles(part, share)
    set_up_eevee(part)
    _render_nothing()
    return Device("EEVEE", (opengl_driver(),), len(share.gpus or (0,)))


def _set_up_cycles(part: RenderPart, share: Share) -> Device:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    device = choose_device(part.device, share)
    cycles = scene.cycles
    cycles.device = "CPU" if device.kind == "CPU" else "GPU"
    cycles.samples = part.samples(0.0)  # until a picture asks for fewer
    cycles.use_adaptive_sampling = False  # bit-identical for any number of threads only without it
    cycles.seed = 0
    cycles.use_denoising = part.denoise
    cycles.denoiser = "OPENIMAGEDENOISE"
    # normals as a guide cost more than they tell of ground and crowns; the smaller network takes half the seconds and a
    # quarter of a decibel, which high quality does not have to spare (benchmarks/README.md)
    cycles.denoising_input_passes = "RGB_ALBEDO"
    cycles.denoising_quality = "HIGH" if part.quality == "high" else "FAST"
    cycles.denoising_prefilter = "FAST"
    cycles.denoising_use_gpu = device.kind != "CPU"
    cycles.use_light_tree = False  # one sun and one sky leave nothing to choose
    cycles.max_bounces = 2
    cycles.diffuse_bounces = 2
    cycles.glossy_bounces = 1
    cycles.transmission_bounces = cycles.volume_bounces = 0
    cycles.transparent_max_bounces = 4  # crowns that one light ray passes; more let none through
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.use_auto_tile = False
    return device


def set_samples(samples: int) -> None:
    """Have the pictures that follow take that many samples per pixel; EEVEE's number is fixed."""
    if bpy.context.scene.render.engine == "CYCLES":
        bpy.context.scene.cycles.samples = samples


def _render_nothing() -> None:
    """A picture of a few pixels: where no OpenGL driver starts, Blender dies here, before any work is lost."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("nothing", bpy.data.cameras.new("nothing"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    render_array(4, 4)
    bpy.data.objects.remove(camera)
    purge()


def render_array(rows: int, columns: int) -> NDArray[np.float32]:
    """Render the scene from its camera, linear light, float32 (rows, columns, 3), row 0 in the north.

    Raises:
        DeviceError, RenderError: as :func:`rendered`.
    """
    with rendered(rows, columns) as path:
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


@contextmanager
def rendered(rows: int, columns: int) -> Iterator[Path]:
    """The file of a rendering of the scene from its camera; it is gone when the context is left.

    Raises:
        DeviceError: a GPU failed: out of memory, a kernel that is missing.
        RenderError: Blender gave no picture.
    """
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = columns, rows
    with tempfile.TemporaryDirectory(prefix="mage-", dir=_scratch()) as folder:
        path = Path(folder) / "render.exr"
        scene.render.filepath = str(path)
        try:
            with quiet():
                bpy.ops.render.render(write_still=True)
        except RuntimeError as error:  # what the renderer reported
            raise _failure(str(error)) from None
        if not path.exists():
            raise _failure("no picture")
        yield path


def _failure(reason: str) -> RenderError:
    words = " ".join(reason.replace("Error:", " ").split())
    scene = bpy.context.scene
    if scene.render.engine == "CYCLES" and scene.cycles.device == "GPU":
        kind = bpy.context.preferences.addons["cycles"].preferences.compute_device_type
        return DeviceError(f"rendering on {kind} failed: {words}")
    return RenderError(f"rendering failed: {words}")


def _scratch() -> str | None:
    """The folder for temporary files that the environment names, or a memory file system: a picture is read back at
    once.
    """
    shared = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a fresh private folder is made in it
    return os.environ.get("TMPDIR") or shared


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
