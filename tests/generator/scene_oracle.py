"""Run in a process of its own: how labels differ from what Blender itself sees along the same rays.

usage: python scene_oracle.py OUT.json SCENES.json

Every scene is a recipe's name and overrides. Blender renders one sample at each pixel's centre that tells layer, number
and height of what it met, of three sets of layers: all of them, what annotators see, and that with water.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from mage.generator.blender.camera import aim
from mage.generator.blender.engine import purge, render_array, start_engine
from mage.generator.blender.geometry import add_mesh, add_object
from mage.generator.blender.scatter import Scatter
from mage.generator.build import build_place
from mage.generator.covers import CLASS_OF_COVER, Cover, cover_of, road_ids
from mage.generator.labels import Truth
from mage.generator.place import Place
from mage.generator.plan import make_plan
from mage.generator.props import tree_prototypes, vehicle_prototypes
from mage.generator.sample import Draft, draw_sample
from mage.generator.sight import Sight
from mage.generator.spots import Spots
from mage.scenes.dataset.fields import LandClass
from mage.scenes.hazards.flood import prepare_flood
from mage.scenes.mesh import Mesh
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import RenderPart, read_recipe
from mage.scenes.terrain import Terrain, depth_at

GROUND, WATER, FABRIC, SHED, DECK, WORKS, DEBRIS, ADDED, TREE, CAR = range(1, 11)
EVERYTHING = {*range(1, 11)}
STANDING = {GROUND, FABRIC, SHED, DECK}
LIFT = 1000.0  # added to heights: light cannot be negative
BEYOND = 60.0  # metres around a tile that are built

Seen = dict[str, np.ndarray]


def main() -> None:
    """Write, per scene, date and raster, how many pixels differ, how many of them off any edge, and how many are."""
    report = [compare(scene["recipe"], scene.get("set", {})) for scene in json.loads(Path(sys.argv[2]).read_text())]
    Path(sys.argv[1]).write_text(json.dumps(report))


def compare(name: str, overrides: dict[str, Any]) -> dict[str, Any]:
    """One scene's report."""
    job = make_plan(read_recipe(name, overrides)).jobs[0]
    place = build_place(job)
    floods = [part for part in job.recipe.hazards if isinstance(part, FloodPart)]
    draft = draw_sample(job, 0, place, prepare_flood(place.city, floods[0]) if floods else None)
    sights = tuple(level(sight) for sight in draft.sights)
    first = Truth(place, sights[0]).changed(draft.between.change, draft.between.added)
    later = Truth(place, sights[1], first)
    later = later if draft.struck is None else later.struck(draft.struck)
    later = later.changed(draft.between.change, draft.between.added)
    labels = first.before(draft.vehicles[0]), later.after(draft.vehicles[1], draft.impact)
    numbers, edges = later.buildings(), later.edges()
    start_engine(RenderPart(spp=1, denoise=False, device="cpu"), 2)
    bpy.context.scene.cycles.filter_width = 0.01
    report = {}
    for date, sight in enumerate(sights):
        expected = expect(place, draft, date, sight, Blender(place, draft, date, sight))
        expected["building"] = number(expected["building"], numbers)
        expected["road"] = number(expected["road"] - 1, edges)
        report[("pre", "post")[date]] = {
            field: difference(labels[date][field], raster) for field, raster in expected.items()
        }
    return report


def level(sight: Sight) -> Sight:
    """A slanted sight that is rectified to a level plane: Blender's camera has its pixels' centres there."""
    if not sight.slanted:
        return sight
    west, south, east, north = sight.grid.bounds
    plane = Terrain(np.full((2, 2), round(sight.datum, 1)), west, north, max(east - west, north - south))
    return replace(sight, ground=plane)


def number(index: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Positions in ``present`` plus 1; 0 for -1, and 65535 for what is not there."""
    table = np.full(max(index.max(), present.max(initial=0)) + 2, 65535)
    table[present], table[-1] = np.arange(1, len(present) + 1), 0
    return table[index]


def difference(label: np.ndarray, expected: np.ndarray) -> list[int]:
    """Pixels that differ, those of them that no edge of either raster passes, and all pixels."""
    # a height in centimetres is that of a steep face at most a few off: the sample is not quite at the centre
    loose = 6 if label.dtype == np.uint16 and label.max(initial=0) > 300 else 0
    differs = np.abs(label.astype(np.int64) - expected.astype(np.int64)) > loose
    flat = np.ones(label.shape, bool)
    for raster in (label.astype(np.int64), expected.astype(np.int64)):
        flat &= maximum_filter(raster, 3) - minimum_filter(raster, 3) <= 4 * loose
    return [int(differs.sum()), int((differs & flat).sum()), int(differs.size)]


def expect(place: Place, draft: Draft, date: int, sight: Sight, blender: Blender) -> Seen:
    """The rasters that follow from what Blender sees."""
    ground, flood = place.city.ground, draft.impact.levels if date else np.full(place.water_levels.shape, np.nan)
    every, stands, wet = (blender.sees(layers) for layers in (EVERYTHING, STANDING, {*STANDING, WATER}))
    at = {k: sight.at(np.where(seen["layer"] > 0, seen["z"], 0.0)) for k, seen in (("e", every), ("w", wet))}
    met = np.isin(stands["layer"], (FABRIC, SHED))
    wall = met & (np.abs(stands["up"]) < 0.3) if sight.slanted else np.zeros(met.shape, bool)
    drowned = wall & (wet["layer"] == WATER)
    built = met & ~drowned
    water = (wet["layer"] == WATER) & ~built
    normal = centimetres(depth_at(ground, place.water_levels, at["w"]))
    risen = centimetres(depth_at(ground, flood, at["w"]))
    owner = np.where(stands["layer"] == SHED, len(place.city.buildings) + stands["index"], stands["index"])
    open_ground = np.isin(stands["layer"], (GROUND, DECK))
    cover, roads = beneath_and_on(place, sight.at(stands["z"]), stands["layer"] == DECK, aslant=sight.slanted)
    under, _ = beneath_and_on(place, sight.at(every["z"]), every["layer"] == DECK, aslant=sight.slanted)
    land = class_seen(CLASS_OF_COVER[under].astype(np.int64), every, normal, risen)
    land[(every["layer"] == WATER) & built] = LandClass.BUILDING
    soil = [p for p in draft.between.change.patches if p.kind == "soil"]
    assert not soil, "choose a scene without building sites: their ground is asked of no one here"
    return {
        "class": land,
        "building": np.where(built, owner, -1),
        "road": np.where(open_ground, np.where(cover == Cover.ROAD, roads, 0), 0),
        "water": (water & (normal > 0)).astype(np.int64),
        "height": np.where(
            (every["layer"] == WATER) & ~built, 0, centimetres(np.maximum(every["z"] - ground.sample(at["e"]), 0))
        ),
    } | ({"depth": np.where(water & (normal == 0), risen, 0)} if date else {})


def beneath_and_on(place: Place, xy: np.ndarray, deck: np.ndarray, *, aslant: bool) -> tuple[np.ndarray, np.ndarray]:
    """Cover and road at points; aslant, what is no deck is the ground beneath them all."""
    spots = Spots(xy.reshape(-1, 2))
    on, beneath = (
        (r := road_ids(place, spots, decks=d), cover_of(place, spots, r, decks=d)) for d in (True, not aslant)
    )
    return tuple(
        np.where(deck, a.reshape(deck.shape), b.reshape(deck.shape)) for a, b in zip(on, beneath, strict=True)
    )[::-1]


def class_seen(land: np.ndarray, every: Seen, normal: np.ndarray, risen: np.ndarray) -> np.ndarray:
    """Land cover by the layer met first, ``land`` that of the ground; less than half a centimetre of water is none."""
    layer = every["layer"]
    land[(layer == WATER) & (risen > 0)] = LandClass.FLOOD
    land[(layer == WATER) & (normal > 0)] = LandClass.WATER
    land[np.isin(layer, (FABRIC, SHED))] = LandClass.BUILDING
    painted = np.isin(layer, (DECK, WORKS, ADDED))
    land[painted] = every["index"][painted]
    land[layer == DEBRIS], land[layer == TREE], land[layer == CAR] = LandClass.RUBBLE, LandClass.TREE, LandClass.VEHICLE
    return land


def centimetres(metres: np.ndarray) -> np.ndarray:
    """Whole ones."""
    return np.rint(metres * 100).astype(np.int64)


class Blender:
    """A date's scene in Blender, every face in the colour of its layer and number."""

    def __init__(self, place: Place, draft: Draft, date: int, sight: Sight) -> None:
        self.sight, self.objects = sight, {}
        for thing in list(bpy.data.objects):
            if thing.type == "MESH":
                bpy.data.objects.remove(thing)
        purge()
        self.material = telling()
        ground, struck = place.city.ground, draft.struck if date else None
        levels = np.fmax(place.water_levels, draft.impact.levels) if date else place.water_levels
        self.add(GROUND, ground.mesh())
        self.add(WATER, ground.water_mesh(levels))
        self.add(FABRIC, *((place.fabric, place.owner) if struck is None else struck.fabric(place)))
        works, added = place.works, draft.between.added[date]
        deck = np.isin(works.cover, (LandClass.ROAD, LandClass.RAIL))
        self.add(DECK, works.mesh.faces(deck), works.cover[deck])
        self.add(WORKS, works.mesh.faces(~deck), works.cover[~deck])
        self.add(SHED, added.mesh.faces(added.shed >= 0), added.shed[added.shed >= 0])
        self.add(ADDED, added.mesh.faces(added.shed < 0), added.cover[added.shed < 0])
        if struck is not None:
            self.add(DEBRIS, struck.remains.debris)
        near = sight.grid.padded(int(BEYOND / sight.grid.gsd)).bounds
        trees = place.trees if struck is None else struck.trees
        for layer, placed, shapes in (
            (TREE, trees, tree_prototypes()),
            (CAR, draft.vehicles[date], vehicle_prototypes()),
        ):
            data = [self.mesh(layer, shape) for shape in shapes]
            self.objects[layer] = Scatter(f"l{layer}", data).place(placed, placed.within(near, shapes))

    def mesh(self, layer: int, mesh: Mesh, index: np.ndarray | None = None) -> bpy.types.Mesh:
        """A mesh whose ``tint`` is layer and number."""
        numbers = np.zeros(len(mesh)) if index is None else index
        tint = np.stack([np.full(len(mesh), layer), numbers, np.zeros(len(mesh))], axis=1)
        return add_mesh(f"l{layer}", mesh, self.material, tint.astype(np.float32))

    def add(self, layer: int, mesh: Mesh, index: np.ndarray | None = None) -> None:
        """Add a layer, if there is any of it."""
        self.objects[layer] = [add_object(f"l{layer}", self.mesh(layer, mesh, index))] if len(mesh) else []

    def sees(self, layers: set[int]) -> Seen:
        """Layer (0 for none), number, height and upward part of the normal of what each ray meets first of these."""
        for layer, things in self.objects.items():
            for thing in things:
                thing.hide_render = layer not in layers
        aim(self.sight, 400.0)
        image = render_array(*self.sight.grid.shape)
        code = np.rint(image[..., 0]).astype(np.int64)
        return {
            "layer": code % 16,
            "index": np.rint(image[..., 1]).astype(np.int64),
            "z": image[..., 2].astype(float) - LIFT,
            "up": (code // 16) / 100.0,
        }


def telling() -> bpy.types.Material:
    """Light of layer + 16 * (100 * upward part of the normal), number, height + LIFT."""
    material = bpy.data.materials.new("telling")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()

    def node(kind: str, *inputs: Any, **settings: Any) -> Any:
        made = nodes.new(kind)
        for key, value in settings.items():
            setattr(made, key, value)
        for socket, value in zip(made.inputs, inputs, strict=False):
            if isinstance(value, float):
                socket.default_value = value
            else:
                links.new(value, socket)
        return made

    tint = node("ShaderNodeSeparateXYZ", node("ShaderNodeAttribute", attribute_name="tint").outputs["Vector"])
    facing = nodes.new("ShaderNodeNewGeometry")
    where, normal = (node("ShaderNodeSeparateXYZ", facing.outputs[k]) for k in ("Position", "True Normal"))
    up = node("ShaderNodeMath", normal.outputs["Z"], operation="ABSOLUTE").outputs[0]
    up = node("ShaderNodeMath", up, 100.0, operation="MULTIPLY").outputs[0]
    up = node("ShaderNodeMath", node("ShaderNodeMath", up, operation="ROUND").outputs[0], 16.0, operation="MULTIPLY")
    code = node("ShaderNodeMath", tint.outputs["X"], up.outputs[0], operation="ADD").outputs[0]
    height = node("ShaderNodeMath", where.outputs["Z"], LIFT, operation="ADD").outputs[0]
    emission = node("ShaderNodeEmission", node("ShaderNodeCombineXYZ", code, tint.outputs["Y"], height).outputs[0])
    node("ShaderNodeOutputMaterial", emission.outputs[0])
    return material


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
