"""Run in a process of its own: what Blender itself sees at pixel centres, and a photograph, of a scene in closed form.

usage: python blender_oracle.py OUT.npz
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import bpy
import numpy as np
from scenes_in_closed_form import box_building, box_city, flat_terrain

from mage.generator.blender.camera import aim
from mage.generator.blender.engine import render_array, start_engine
from mage.generator.blender.geometry import add_mesh, add_object
from mage.generator.blender.stage import Stage
from mage.generator.ground import paint_ground
from mage.generator.labels import Truth
from mage.generator.place import Place, prepare_place
from mage.generator.props import place_vehicles
from mage.generator.rays import cast_down
from mage.generator.remains import dress_remains
from mage.generator.sight import Sight
from mage.generator.sky import Light, clear_light, sun_position
from mage.generator.struck import Struck
from mage.generator.views import View
from mage.generator.wet_ground import with_water
from mage.scenes.grid import Grid
from mage.scenes.hazards.chain import combined
from mage.scenes.impact import Vehicles
from mage.scenes.mesh import concatenate
from mage.scenes.modifiers import aftermath
from mage.scenes.recipe import RenderPart
from mage.scenes.strike import Collapse, untouched
from mage.scenes.style import load_style
from mage.scenes.terrain import Terrain

GRID = Grid.around(3.25, -1.75, 128, 0.5)


def main() -> None:
    """Save ids seen by Blender, ids seen by rays, and a photograph."""
    rng = np.random.default_rng(4)
    boxes = []
    for i in range(24):
        x, y = rng.uniform(-30, 30, 2)
        w, d = rng.uniform(3, 12, 2)
        boxes.append(box_building(f"b{i}", x, y, x + w, y + d, 2.0, float(rng.uniform(3, 15))))
    city = box_city(tuple(boxes), flat_terrain(2.0))
    place = prepare_place(city, load_style("suburb"), rng)
    no_cars = place_vehicles(Vehicles(), city.ground)
    start_engine(RenderPart(spp=1, denoise=False, device="cpu"), 2)
    bpy.context.scene.cycles.filter_width = 0.01
    seen = _ids_by_blender(place.fabric, place.owner)
    start_engine(RenderPart(spp=4, device="cpu"), 2)
    from datetime import date

    light = clear_light(sun_position(date(2023, 6, 14), 12.0, 50.0))
    fine = GRID.resampled(2)
    painting = with_water(paint_ground(place, fine), fine, np.zeros(fine.shape), np.array([0.2, 0.2, 0.1], np.float32))
    stage = Stage(place)
    photo = stage.photograph(GRID, light, painting, no_cars, place.water_levels)
    struck, owner_after = _struck(place)
    photo_after = stage.photograph(GRID, light, painting, no_cars, place.water_levels, struck)
    photo_again = stage.photograph(GRID, light, painting, no_cars, place.water_levels)
    start_engine(RenderPart(spp=1, denoise=False, device="cpu"), 2)
    bpy.context.scene.cycles.filter_width = 0.01
    seen_after = _ids_by_blender(*struck.fabric(place))
    photo_aslant, owner_aslant = _aslant(light)
    np.savez(
        sys.argv[1],
        seen=seen,
        owner=Truth(place, GRID).owner,
        photo=photo,
        albedo=place.albedo,
        seen_after=seen_after,
        owner_after=owner_after,
        photo_after=photo_after,
        photo_again=photo_again,
        photo_aslant=photo_aslant,
        owner_aslant=owner_aslant,
    )


def _aslant(light: Light) -> tuple[np.ndarray, np.ndarray]:
    """A photograph from 35 degrees off nadir of boxes on hills, and which side of which box each ray meets."""
    rng = np.random.default_rng(8)
    x, y = np.meshgrid(np.arange(101) * 2.0 - 100, 100 - np.arange(101) * 2.0)
    hills = Terrain(6 * np.sin(x / 17) + 5 * np.cos(y / 13), -100.0, 100.0, 2.0)
    boxes = []
    for i, (west, south) in enumerate(rng.uniform(-30, 25, (14, 2))):
        foot = float(hills.sample(np.array([west + 4, south + 4])))
        boxes.append(box_building(f"b{i}", west, south, west + 8, south + 8, foot, float(rng.uniform(4, 12))))
    place = prepare_place(box_city(tuple(boxes), hills), load_style("suburb"), rng)
    sides = np.unique(np.column_stack([place.owner, np.round(2 * place.fabric.normals)]), axis=0, return_inverse=True)[
        1
    ]
    # every side of a house has a grey of its own, so that the picture tells them apart
    greys = rng.uniform(0.05, 0.6, sides.max() + 1).astype(np.float32)
    albedo = np.repeat(greys[sides.reshape(-1)][:, None], 3, axis=1)
    place = replace(place, albedo=albedo, pattern=np.zeros_like(place.pattern), patches=())
    sight = View(np.radians(35), 0.8).sight(GRID, hills)
    start_engine(RenderPart(spp=4, device="cpu"), 2)
    fine = GRID.padded(20).resampled(2)
    painting = with_water(paint_ground(place, fine), fine, np.zeros(fine.shape), np.array([0.2, 0.2, 0.1], np.float32))
    no_cars = place_vehicles(Vehicles(), hills)
    photo = Stage(place).photograph(sight, light, painting, no_cars, place.water_levels)
    hits = cast_down(place.fabric, sight)
    return photo, np.where(Truth(place, sight).owner >= 0, sides.reshape(-1)[hits.face], -1)


def _struck(place: Place) -> tuple[Struck, np.ndarray]:
    """Every second box in a heap, and the owner of what stands or lies at each pixel centre by rays."""
    n = len(place.city.buildings)
    collapse = np.where(np.arange(n) % 2, Collapse.HEAP, Collapse.NONE).astype(np.uint8)
    strike = replace(untouched(place.city, "earthquake"), collapse=collapse, ems98=collapse // 3)
    left = aftermath(place.city, strike, 1)
    struck = Struck(dress_remains(place, left, 1), place.trees, strike.severity)
    impact = combined(place.city, [strike], strike, left)
    truth = Truth(place, GRID).struck(struck)
    numbers = np.concatenate([[-1], truth.buildings()])
    after = truth.after(place_vehicles(Vehicles(), place.city.ground), impact)
    return struck, numbers[after["building"]]


def _ids_by_blender(fabric: object, owner: np.ndarray) -> np.ndarray:
    material = bpy.data.materials.new("id")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    tint = nodes.new("ShaderNodeAttribute")
    tint.attribute_name = "tint"
    emission, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    links.new(tint.outputs["Vector"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    colour = np.repeat((owner + 1)[:, None], 3, axis=1).astype(np.float32)
    mesh, _ = concatenate([fabric])  # type: ignore[list-item]
    add_object("ids", add_mesh("ids", mesh, material, colour))
    aim(Sight(GRID), 60.0)
    return np.rint(render_array(*GRID.shape)[..., 0]).astype(int) - 1


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
