"""Materials and passes that tell reflectance beyond the visible, beside an ordinary rendering of the visible."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.generator.bands import Passes
from mage.generator.blender.engine import rendered
from mage.generator.blender.exr import read_layers
from mage.generator.blender.materials import float_image
from mage.scenes.errors import RenderError
from mage.scenes.grid import Grid

# colour passes of three bands each, that hold the four beyond the visible
GROUPS = ("beyond0", "beyond1")
LAYER = "ViewLayer"


def grouped(beyond: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Reflectance (..., 4) as the vectors (..., 3) that :data:`GROUPS` hold."""
    rest = np.zeros((*beyond.shape[:-1], 3 * len(GROUPS) - beyond.shape[-1]), np.float32)
    whole = np.concatenate([beyond, rest], axis=-1).astype(np.float32)
    return {name: whole[..., 3 * k : 3 * k + 3] for k, name in enumerate(GROUPS)}


def use_passes() -> None:
    """Have the view layer keep what :func:`render_passes` needs."""
    layer = bpy.context.view_layer
    layer.name = LAYER
    for name in (
        "diffuse_color",
        "diffuse_indirect",
        "diffuse_direct",
        "glossy_direct",
        "glossy_indirect",
        "glossy_color",
    ):
        setattr(layer, f"use_pass_{name}", True)
    for name in GROUPS:
        output = layer.aovs.add()
        output.name, output.type = name, "COLOR"


def tell_beyond(material: bpy.types.Material) -> None:
    """Give the passes a material's colour beyond the visible.

    That is the chain of factors on its visible colour over again, with another colour at its head: the face attributes
    or object properties of :data:`GROUPS` in place of ``tint`` or the object's colour, other pictures in place of
    ``picture``.
    """
    tree = material.node_tree
    shader = next(n for n in tree.nodes if n.type in ("BSDF_DIFFUSE", "BSDF_PRINCIPLED"))
    socket = shader.inputs["Color" if shader.type == "BSDF_DIFFUSE" else "Base Color"].links[0].from_socket
    for name in GROUPS:
        output = tree.nodes.new("ShaderNodeOutputAOV")
        output.aov_name = name
        tree.links.new(_headed(tree, socket, name), output.inputs["Color"])


def _headed(tree: Any, socket: Any, name: str) -> Any:
    """A copy of the chain that ends at ``socket``, which begins with a group's colour; the factors are shared."""
    node = socket.node
    if node.type == "VECT_MATH":
        copy = tree.nodes.new("ShaderNodeVectorMath")
        copy.operation = node.operation
        tree.links.new(_headed(tree, node.inputs[0].links[0].from_socket, name), copy.inputs[0])
        tree.links.new(node.inputs[1].links[0].from_socket, copy.inputs[1])
        return copy.outputs["Vector"]
    if node.type == "TEX_IMAGE":
        copy = tree.nodes.new("ShaderNodeTexImage")
        copy.extension, copy.name = node.extension, f"picture-{name}"
        tree.links.new(node.inputs["Vector"].links[0].from_socket, copy.inputs["Vector"])
        return copy.outputs["Color"]
    own = tree.nodes.new("ShaderNodeAttribute")
    own.attribute_name = name
    own.attribute_type = "OBJECT" if node.type == "OBJECT_INFO" else "GEOMETRY"
    return own.outputs["Vector"]


def set_tile_beyond(material: bpy.types.Material, beyond: NDArray[np.float32]) -> None:
    """Lay reflectance (rows, columns, 4) over the square that the material's visible picture lies over."""
    for name, pixels in grouped(beyond).items():
        image = float_image(f"{material.name}-{name}", pixels)
        material.node_tree.nodes[f"picture-{name}"].image = image


def render_passes(grid: Grid) -> Passes:
    """Render the scene from its camera once, with the passes of :func:`use_passes`.

    Raises:
        DeviceError: a GPU failed.
        RenderError: Blender gave no picture of that size.
    """
    image = bpy.context.scene.render.image_settings
    image.file_format = "OPEN_EXR_MULTILAYER"
    try:
        with rendered(grid.rows, grid.columns) as path:
            layers = read_layers(path)
    finally:
        image.file_format, image.color_mode = "OPEN_EXR", "RGB"

    def _colour(name: str) -> NDArray[np.float32]:
        return np.stack([layers[f"{LAYER}.{name}.{c}"] for c in "RGB"], axis=-1)

    combined = _colour("Combined")
    if combined.shape[:2] != grid.shape:
        raise RenderError("wrong size", expected=f"{grid.shape}", found=f"{combined.shape[:2]}")
    return Passes(
        combined,
        _colour("DiffCol"),
        _colour("GlossCol") * (_colour("GlossDir") + _colour("GlossInd")),
        np.concatenate([_colour(name) for name in GROUPS], axis=-1)[..., :4],
        _colour("DiffDir"),
        _colour("DiffInd"),
    )
