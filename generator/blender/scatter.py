"""Copies of a few meshes in many places, as instances of one object.

An object for each copy costs Blender five times as much to build, to follow and to hand to the renderer
(benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.generator.blender.geometry import add_object, fill
from mage.generator.props import Placements


class Scatter:
    """Prototypes that stand ready; :meth:`place` puts copies of them into the scene.

    Materials read what differs between copies by attributes of the instancer: ``tint``, and others by their names.
    """

    def __init__(self, name: str, shapes: Sequence[bpy.types.Mesh]) -> None:
        self.name = name
        self._collection = bpy.data.collections.new(name)
        for number, shape in enumerate(shapes):
            # a collection's children are picked in the order of their names
            self._collection.objects.link(bpy.data.objects.new(f"{name}-{number:03d}", shape))
        self._nodes = _picked(self._collection)
        self._nodes.use_fake_user = True  # kept, and all that it holds, while nothing stands in the scene

    def place(
        self, placements: Placements, which: NDArray[np.int64], **vectors: NDArray[np.float32]
    ) -> list[bpy.types.Object]:
        """Have the copies ``which`` of the placements stand in the scene; ``vectors`` (n, 3) have a row for each of
        all. One object, or none where there is no copy.
        """
        if not len(which):
            return []
        data = bpy.data.meshes.new(self.name)
        data.vertices.add(len(which))
        fill(data, "position", "FLOAT_VECTOR", "POINT", placements.position[which])
        fill(data, "prototype", "INT", "POINT", placements.prototype[which])
        turned = np.zeros((len(which), 3))
        turned[:, 2] = placements.heading[which]
        own = {"turned": turned, "size": placements.scale[which], "tint": placements.tint[which]}
        for key, values in (own | {key: values[which] for key, values in vectors.items()}).items():
            fill(data, key, "FLOAT_VECTOR", "POINT", values)
        thing = add_object(self.name, data)
        thing.modifiers.new("copies", "NODES").node_group = self._nodes
        return [thing]


def _picked(collection: bpy.types.Collection) -> bpy.types.NodeTree:
    """Geometry nodes that put a child of a collection on every vertex, ``turned`` and of its ``size``."""
    tree = bpy.data.node_groups.new(collection.name, "GeometryNodeTree")
    for way in ("INPUT", "OUTPUT"):
        tree.interface.new_socket("Geometry", in_out=way, socket_type="NodeSocketGeometry")
    begin, end = tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")
    children = tree.nodes.new("GeometryNodeCollectionInfo")
    children.inputs["Collection"].default_value = collection
    children.inputs["Separate Children"].default_value = children.inputs["Reset Children"].default_value = True
    copies = tree.nodes.new("GeometryNodeInstanceOnPoints")
    copies.inputs["Pick Instance"].default_value = True
    turned = tree.nodes.new("FunctionNodeEulerToRotation")
    for source, target in (
        (begin.outputs[0], copies.inputs["Points"]),
        (children.outputs[0], copies.inputs["Instance"]),
        (_attribute(tree, "prototype", "INT"), copies.inputs["Instance Index"]),
        (_attribute(tree, "turned", "FLOAT_VECTOR"), turned.inputs[0]),
        (turned.outputs[0], copies.inputs["Rotation"]),
        (_attribute(tree, "size", "FLOAT_VECTOR"), copies.inputs["Scale"]),
        (copies.outputs[0], end.inputs[0]),
    ):
        tree.links.new(source, target)
    return tree


def _attribute(tree: bpy.types.NodeTree, name: str, kind: str) -> bpy.types.NodeSocket:
    node = tree.nodes.new("GeometryNodeInputNamedAttribute")
    node.data_type = kind
    node.inputs["Name"].default_value = name
    return node.outputs["Attribute"]
