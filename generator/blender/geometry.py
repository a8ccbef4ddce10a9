"""Arrays into Blender meshes and objects, without a single operator."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from mage.scenes.mesh import Mesh

# kinds of attributes: what Blender calls their values, and how they lie in memory
_HELD: dict[str, tuple[str, type[np.generic]]] = {
    "FLOAT_VECTOR": ("vector", np.float32),
    "FLOAT2": ("vector", np.float32),
    "FLOAT": ("value", np.float32),
    "INT": ("value", np.int32),
    "BOOLEAN": ("value", np.bool_),
}


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
    data.polygons.foreach_set("loop_start", np.arange(0, 3 * m, 3, dtype=np.int32))
    fill(data, "position", "FLOAT_VECTOR", "POINT", mesh.vertices)
    fill(data, ".corner_vert", "INT", "CORNER", mesh.triangles)
    fill(data, "sharp_face", "BOOLEAN", "FACE", np.ones(m, bool))
    fill(data, "uv", "FLOAT2", "CORNER", mesh.uv)
    for key, values in (({} if colour is None else {"tint": colour}) | vectors).items():
        fill(data, key, "FLOAT_VECTOR", "FACE", values)
    if "shade" in mesh.attributes:
        fill(data, "shade", "FLOAT", "FACE", mesh.attributes["shade"])
    data.materials.append(material)
    data.update(calc_edges=True)
    return data


def fill(data: bpy.types.Mesh, name: str, kind: str, domain: str, values: NDArray[Any]) -> None:
    """Set a mesh's attribute, one of Blender's own or a new one, in the kinds and domains that Blender names.

    Attributes are copied as they lie in memory; the same values set vertex by vertex or face by face, even by
    ``foreach_set``, take Blender a hundred times as long.
    """
    if not len(values):
        return
    attribute = data.attributes.get(name) or data.attributes.new(name, kind, domain)
    key, dtype = _HELD[kind]
    attribute.data.foreach_set(key, np.ascontiguousarray(values, dtype).ravel())


def smoothed(data: bpy.types.Mesh) -> bpy.types.Mesh:
    """The same mesh with normals blended over its edges: of ground, water and crowns."""
    data.shade_smooth()
    return data


def wear(data: bpy.types.Mesh, material: bpy.types.Material, faces: NDArray[np.bool_]) -> None:
    """Some of a mesh's faces (m,) wear another material."""
    data.materials.append(material)
    fill(data, "material_index", "INT", "FACE", faces * (len(data.materials) - 1))


def add_object(name: str, data: bpy.types.Mesh) -> bpy.types.Object:
    """An object of that mesh at the origin."""
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    return thing
