"""Bands beyond the visible out of the passes of one rendering, against a rendering of each band.

Run: ``python benchmarks/bands.py [SIZE] [SAMPLES] [REFERENCE] [EXTENT]``. The truth paints everything with
its reflectance in a band and lights it with that band's sun and sky; reference samples are denoised as well. The place
is a suburb with its river before a flood, EXTENT metres wide. ``--save FILE`` keeps the pictures.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.generator.bands import beyond_light
from mage.generator.blender.engine import start_engine
from mage.generator.blender.stage import Stage
from mage.generator.build import build_place
from mage.generator.ground import Painting, paint_ground
from mage.generator.ground_bands import ground_beyond, water_beyond
from mage.generator.place import Place
from mage.generator.plan import ShardJob, make_plan
from mage.generator.props import Placements
from mage.generator.sample import draw_sample
from mage.generator.sky import Light
from mage.generator.spectra import (
    BANDS,
    VISIBLE,
    Kind,
    beyond_visible,
    fabric_kinds,
    standing_kinds,
    tree_kinds,
)
from mage.generator.wet_ground import deep_water, with_water
from mage.scenes.dataset.fields import LandClass
from mage.scenes.hazards.flood import prepare_flood
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import read_recipe
from mage.scenes.terrain import depth_at

Pictures = dict[str, NDArray[Any]]


def measure(size: int, samples: int, reference: int, extent: int) -> Pictures:
    """``spectrum`` (rows, columns, 7) out of one rendering, ``visible`` (3) of a stage without bands, ``truth`` (4) of
    four renderings, the tile's ``cover`` and ``water``, and CPU seconds: ``seconds`` with and without bands.
    """
    job = make_plan(read_recipe("flood", {"output.size": size, "city.extent": extent})).jobs[0]
    place = replace(build_place(job), patches=())  # truth is of one colour a face
    draft = draw_sample(job, 0, place, prepare_flood(place.city, FloodPart()))
    fine = draft.grid.resampled(2)
    depth = depth_at(place.city.ground, place.water_levels, fine.points().reshape(*fine.shape, 2))
    dry = paint_ground(place, fine)
    painting = with_water(dry, fine, depth, deep_water(place, fine))
    both = (*water_beyond(painting, dry, ground_beyond(place, fine, dry), depth), None)
    light, vehicles, levels = draft.lights[0], draft.vehicles[0], place.water_levels
    plain = _stage(job, place, samples, spectral=False)
    start = time.process_time()
    visible = plain.photograph(draft.grid, light, painting, vehicles, levels)
    without = time.process_time() - start
    stage = _stage(job, place, samples, spectral=True)
    start = time.process_time()
    spectrum = stage.photograph_spectrum(draft.grid, light, painting, both, vehicles, levels)
    within = time.process_time() - start
    truth = []
    for bands in ([0, 1, 2], [3, 3, 3]):
        other = beyond_light(light)
        painted, cars = _painted(place, vehicles, bands)
        picture = Painting(fine, *(np.ascontiguousarray(part[..., bands]) for part in both[:2]))
        shone = Light(light.sun, other.direct[bands], other.diffuse[bands])
        truth.append(
            _stage(job, painted, reference, spectral=False).photograph(draft.grid, shone, picture, cars, levels)
        )
    return {
        "spectrum": spectrum,
        "visible": visible,
        "truth": np.concatenate([truth[0], truth[1][..., :1]], axis=-1),
        "cover": draft.labels["pre_class"],
        "seconds": np.array([within, without]),
    }


def _stage(job: ShardJob, place: Place, samples: int, *, spectral: bool) -> Stage:
    start_engine(job.recipe.render, os.cpu_count() or 1)
    bpy.context.scene.cycles.samples = samples
    return Stage(place, spectral=spectral)


def _painted(place: Place, vehicles: Placements, bands: list[int]) -> tuple[Place, Placements]:
    """The place and its vehicles with their reflectance in three bands beyond the visible for colours."""

    def of(rgb: NDArray[Any], kinds: Any, withered: Kind | None = None) -> NDArray[np.float32]:
        return beyond_visible(rgb, kinds, withered)[..., bands]

    works, trees = place.works, place.trees
    painted = replace(
        place,
        albedo=of(place.albedo, fabric_kinds(place.fabric.surface, place.albedo, place.pattern)),
        works=replace(works, albedo=of(works.albedo, standing_kinds(works.cover, works.albedo), Kind.DRY_LEAVES)),
        trees=replace(trees, tint=of(trees.tint, tree_kinds(trees.prototype), Kind.DRY_LEAVES).astype(float)),
    )
    return painted, replace(vehicles, tint=of(vehicles.tint, Kind.PAINT).astype(float))


def main() -> None:
    """Print the errors, a row a band, and the cost."""
    words = sys.argv[1:]
    save = words.pop(words.index("--save") + 1) if "--save" in words else None
    given = [int(w) for w in words if w != "--save"]
    size, samples, reference, extent = given + [128, 8, 96, 300][len(given) :]
    seen = measure(size, samples, reference, extent)
    error = seen["spectrum"][..., VISIBLE:] - seen["truth"]
    print(f"{size} px, {samples} samples against a rendering of each band with {reference}, both denoised")
    print(f"{'':<10}{'mean':>8}{'bias':>9}{'RMSE':>9}{'of mean':>9}   RMSE on tree, grass, building, road")
    for k, band in enumerate(BANDS[VISIBLE:]):
        mean, bias, rmse = seen["truth"][..., k].mean(), error[..., k].mean(), np.sqrt((error[..., k] ** 2).mean())
        parts = []
        for kind in (LandClass.TREE, LandClass.GRASS, LandClass.BUILDING, LandClass.ROAD):
            where = seen["cover"] == kind
            parts.append(f"{np.sqrt((error[where][:, k] ** 2).mean()):7.4f}" if where.any() else "      -")
        print(f"{band:<10}{mean:8.4f}{bias:9.4f}{rmse:9.4f}{rmse / mean:9.3f}   {''.join(parts)}")
    within, without = seen["seconds"]
    print(
        f"CPU s with bands {within:.2f}, without {without:.2f}; the visible differs by at most "
        f"{np.abs(seen['spectrum'][..., :VISIBLE] - seen['visible']).max():.1e}"
    )
    if save is not None:
        np.savez_compressed(save, **seen)
    sys.stdout.flush()
    os._exit(0)  # Blender may crash while it is torn down


if __name__ == "__main__":
    main()
