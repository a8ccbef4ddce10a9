"""Arrays into Blender meshes and objects, without a single operator."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh


def add_mesh(
    name: str,
    mesh: Mesh,
    material: bpy.types.Material,
    colour: NDArray[np.float32] | None = None,
    **vectors: NDArray[np.float32],
) -> bpy.types.Mesh:
    """A Blender mesh from arrays: triangles, the UV layer ``uv``, a face attribute ``tint`` (m, 3) where a colour is
    given, and others (m, 3) by their names.

    A ``shade`` attribute of the mesh is carried over as a face attribute of that name. Faces are flat: Blender
    would blend normals over the edges of a roof by itself, see :func:`smoothed`.
    """
    data = bpy.data.meshes.new(name)
    n, m = len(mesh.vertices), len(mesh)
    data.vertices.add(n)
    data.loops.add(3 * m)
    data.polygons.add(m)
    data.vertices.foreach_set("co", mesh.vertices.astype(np.float32).ravel())
    data.loops.foreach_set("vertex_index", mesh.triangles.ravel())
    data.polygons.foreach_set("loop_start", np.arange(0, 3 * m, 3, dtype=np.int32))
    data.polygons.foreach_set("use_smooth", np.zeros(m, bool))
    layer = data.uv_layers.new(name="uv")
    layer.data.foreach_set("uv", mesh.uv.ravel())
    for key, values in (({} if colour is None else {"tint": colour}) | vectors).items():
        attribute = data.attributes.new(key, "FLOAT_VECTOR", "FACE")
        attribute.data.foreach_set("vector", np.ascontiguousarray(values, np.float32).ravel())
    if "shade" in mesh.attributes:
        shade = data.attributes.new("shade", "FLOAT", "FACE")
        shade.data.foreach_set("value", mesh.attributes["shade"])
    data.materials.append(material)
    data.update(calc_edges=True)
    return data


def smoothed(data: bpy.types.Mesh) -> bpy.types.Mesh:
    """The same mesh with normals blended over its edges: of ground, water and crowns."""
    data.shade_smooth()
    return data


def wear(data: bpy.types.Mesh, material: bpy.types.Material, faces: NDArray[np.bool_]) -> None:
    """Some of a mesh's faces (m,) wear another material."""
    data.materials.append(material)
    data.polygons.foreach_set("material_index", faces.astype(np.int32) * (len(data.materials) - 1))


def add_object(name: str, data: bpy.types.Mesh) -> bpy.types.Object:
    """An object of that mesh at the origin."""
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    return thing
