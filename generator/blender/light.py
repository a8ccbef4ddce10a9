"""The sun as a lamp and the sky as a baked dome."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector

from mage.generator.blender.materials import float_image
from mage.generator.sky import Light, sky_dome

SUN_ANGLE = np.radians(0.533)  # mean apparent diameter of the sun's disc


def set_light(light: Light) -> None:
    """Light the scene; a horizontal white plane then renders as ``light.horizontal / pi``."""
    lamp = bpy.data.lights.get("sun") or bpy.data.lights.new("sun", "SUN")
    lamp.energy = 1.0
    lamp.color = tuple(light.direct)
    lamp.angle = SUN_ANGLE
    sun = bpy.data.objects.get("sun")
    if sun is None:
        sun = bpy.data.objects.new("sun", lamp)
        bpy.context.scene.collection.objects.link(sun)
    sun.rotation_euler = Vector(tuple(-light.sun.direction)).to_track_quat("-Z", "Y").to_euler()
    world = bpy.data.worlds.get("sky") or _sky_world()
    bpy.context.scene.world = world
    # float_image lays row 0 in the north, that is on top; the dome's row 0 is the nadir
    world.node_tree.nodes["dome"].image = float_image("sky-dome", sky_dome(light)[::-1])


def _sky_world() -> bpy.types.World:
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    # The dome is smooth, and met by the rays that surfaces scatter; every light ray then goes to the sun. Choosing
    # between sun and sky at every point costs twice the samples for the same noise (benchmarks/README.md).
    world.cycles.sampling_method = "NONE"
    nodes, links = world.node_tree.nodes, world.node_tree.links
    nodes.clear()
    dome = nodes.new("ShaderNodeTexEnvironment")
    dome.name = "dome"
    background, output = nodes.new("ShaderNodeBackground"), nodes.new("ShaderNodeOutputWorld")
    links.new(dome.outputs["Color"], background.inputs["Color"])
    links.new(background.outputs["Background"], output.inputs["Surface"])
    return world
