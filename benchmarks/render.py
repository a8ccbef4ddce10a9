"""CPU seconds of a labelled pair, by MAGE and by a plain loop over Blender, and where they go.

Run: ``python benchmarks/render.py [SIZE] [SMALL] [REFERENCE]`` (pixels; pixels and samples of what PSNR is taken on).
The pair is the first of the bundled recipe, at standard quality. The plain loop has the same city, ground picture, sun,
sky and materials and as many bounces, but builds all objects for every picture, one a building, from lists; it takes 64
samples, not denoised, Blender's own choice of light sampling, and one more rendering for the buildings' numbers. It is
given the ground's painting for nothing. Ratios are taken within one run on one machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray
from samples import Recorder, psnr, shown

from mage.generator import photography
from mage.generator.blender.engine import render_array, start_engine
from mage.generator.blender.geometry import wear
from mage.generator.blender.light import set_light
from mage.generator.blender.stage import Stage
from mage.generator.colour import BLACK, GAIN, to_srgb
from mage.generator.patchwork import patched
from mage.generator.photography import Studio
from mage.generator.plan import make_plan
from mage.generator.shards import open_studio, render_sample
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.store import LocalStore, write_shard
from mage.scenes.mesh import Mesh, Surface
from mage.scenes.recipe import QUALITY, read_recipe

Call = tuple[tuple[Any, ...], dict[str, Any]]
PLAIN = 64
now = time.process_time


class PlainStage(Stage):
    """What a loop without care builds: an object a building, from lists."""

    def __init__(self, place: Any) -> None:
        super().__init__(place)
        worn = patched(place.fabric, place.owner, place.albedo, place.pattern, place.patches)
        owner = place.owner[worn.source]
        for i in np.unique(owner):
            own = owner == i
            mesh: Mesh = worn.mesh.faces(own).compact()
            data = bpy.data.meshes.new(f"building{i}")
            data.from_pydata(mesh.vertices.tolist(), [], mesh.triangles.tolist())
            layer = data.uv_layers.new(name="uv")
            for loop, uv in zip(layer.data, mesh.uv.reshape(-1, 2).tolist(), strict=True):
                loop.uv = uv
            for name, values in (("tint", worn.albedo[own]), ("pattern", worn.pattern[own])):
                attribute = data.attributes.new(name, "FLOAT_VECTOR", "FACE")
                for item, value in zip(attribute.data, values.tolist(), strict=True):
                    item.vector = value
            data.materials.append(self._facing)
            wear(data, self._facade, mesh.surface == Surface.WALL)
            thing = bpy.data.objects.new(f"building{i}", data)
            thing.pass_index = int(i) + 1
            bpy.context.scene.collection.objects.link(thing)

    def _build(self, standing: NDArray[np.bool_]) -> None:
        """All buildings stand already."""


def plainly(studio: Studio, call: Call, samples: int) -> tuple[NDArray[np.float64], float]:
    """A picture by the plain loop as 8-bit sRGB, and its CPU seconds, with the rendering of the buildings' numbers."""
    start = now()
    start_engine(read_recipe("flood", {"render.spp": samples, "render.denoise": False}).render, os.cpu_count() or 1)
    bpy.context.scene.cycles.use_light_tree = True
    stage = PlainStage(studio.place)
    set_light(call[0][1])
    bpy.data.worlds["sky"].cycles.sampling_method = "AUTOMATIC"
    light = stage.photograph(*call[0], **call[1])
    layer, scene = bpy.context.view_layer, bpy.context.scene
    layer.material_override = _numbers()
    scene.cycles.samples, scene.cycles.max_bounces = 1, 0
    render_array(*call[0][0].grid.shape)
    return np.clip(to_srgb(light * GAIN + BLACK), 0, 255), now() - start


def _numbers() -> bpy.types.Material:
    material = bpy.data.materials.new("numbers")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    info, emission = nodes.new("ShaderNodeObjectInfo"), nodes.new("ShaderNodeEmission")
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(info.outputs["Object Index"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    return material


def opened(size: int, **changes: Any) -> tuple[Studio, list[Call], Any]:
    """A studio, what its first pair asks to be photographed, and the job."""
    job = make_plan(read_recipe("flood", {"output.size": size, "render.device": "cpu", **changes})).jobs[0]
    studio = open_studio(job, os.cpu_count() or 1)
    stage, studio.stage = studio.stage, Recorder()  # type: ignore[assignment]
    render_sample(job, 0, studio)
    calls = studio.stage.calls  # type: ignore[attr-defined]
    studio.stage = stage
    return studio, calls, job


def where_time_goes(size: int) -> tuple[float, float, Studio, list[Call]]:
    """Print the stages of a pair, each the better of two; its CPU seconds, and those of painting."""
    photography.time = SimpleNamespace(perf_counter=now)  # type: ignore[assignment]
    studio, calls, job = opened(size)
    sample, seconds = render_sample(job, 0, studio)
    n = bpy.context.scene.cycles.samples  # what the pair took
    _, again = render_sample(job, 0, studio)
    seconds = {stage: min(spent, again[stage]) for stage, spent in seconds.items()}

    def colour(samples: int, *, denoised: bool) -> float:
        """Of both pictures, each the better of two."""
        return sum(min(shown(studio, c, samples, denoised=denoised)[1] for _ in range(2)) for c in calls)

    one, plain, whole = colour(1, denoised=False), colour(n, denoised=False), colour(n, denoised=True)
    written = min(_written(sample, job.recipe_hash) for _ in range(2))
    sampling, denoising = (plain - one) * n / (n - 1), whole - plain
    table = {
        "sampling": sampling,
        "denoising": denoising,
        "scene, synchronisation, reading back": whole - sampling - denoising,
        "draw, hazard, labels": seconds["labels"],
        "ground painting": seconds["ground"],
        "sensor": seconds["sensor"],
        "writing": written,
    }
    total = sum(table.values())
    print(f"a pair of {size} px, {n} samples, {len(studio.place.city.buildings)} buildings: {total:.1f} CPU s")
    for name, value in table.items():
        print(f"  {name:<38}{value:8.2f}  {100 * value / total:4.0f} %")
    once = ", ".join(f"{name} {value:.1f}" for name, value in studio.seconds.items())
    print(f"  once a worker: {once} CPU s")
    print(f"  all but sampling and denoising: {100 * (1 - (sampling + denoising) / total):.0f} % (target 15)")
    print(f"  labels / colour: {100 * seconds['labels'] / whole:.0f} % (target 10)", flush=True)
    return total, seconds["ground"], studio, calls


def _written(sample: Sample, recipe_hash: str) -> float:
    start = now()
    with tempfile.TemporaryDirectory() as folder:
        write_shard(LocalStore(Path(folder)), "train-000000.tar", iter([sample]), recipe_hash)
    return now() - start


def main() -> None:
    """Print all tables."""
    size, small, reference = (
        int(sys.argv[k]) if len(sys.argv) > k else default for k, default in ((1, 512), (2, 128), (3, 1024))
    )
    total, painting, studio, calls = where_time_goes(size)
    plain = 2 * plainly(studio, calls[0], PLAIN)[1]
    print(
        f"plain loop, {PLAIN} samples: {plain:.1f} CPU s; {plain / (total - painting):.1f} times (target 3)", flush=True
    )

    studio, calls, _ = opened(small)
    n = bpy.context.scene.cycles.samples
    truth, _ = shown(studio, calls[0], reference, denoised=False)
    ours, seconds = shown(studio, calls[0], n, denoised=True)
    print(f"{small} px, PSNR against {reference} samples: {psnr(ours, truth):.1f} dB (standard: {QUALITY['standard']})")
    for samples in (16, 32, 64, 128):
        theirs, spent = plainly(studio, calls[0], samples)
        print(f"  plain, {samples:3d} samples: {psnr(theirs, truth):.1f} dB, {spent / seconds:.1f} times", flush=True)
    for name, changes in (
        ("twice the pixels a side", {"output.size": 2 * small}),
        ("a city 3 times", {"city.extent": 1120.0}),
    ):
        other, more, _ = opened(small, **changes)
        spent = shown(other, more[0], n, denoised=True)[1]
        count = len(other.place.city.buildings) / len(studio.place.city.buildings)
        print(
            f"  {name}: {spent / seconds:.2f} times the colour's seconds, {count:.1f} times the buildings", flush=True
        )
    os._exit(0)  # Blender may crash while it is torn down


if __name__ == "__main__":
    main()
