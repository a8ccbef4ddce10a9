"""An orthographic camera over a grid: pixel (row, column) sees exactly its square of a level plane, straight down or
aslant.
"""

from __future__ import annotations

import bpy
from mathutils import Matrix

from mage.generator.sight import Sight

ABOVE = 50.0  # metres over the highest thing in the scene at which rays start


def aim(sight: Sight, top: float) -> None:
    """Point the camera along the rays of a sight from above ``top`` (m), north up; its pixels are those of
    :meth:`Sight.lattice`.
    """
    camera = bpy.data.cameras.get("nadir") or bpy.data.cameras.new("nadir")
    camera.type = "ORTHO"
    camera.sensor_fit = "HORIZONTAL"
    grid = sight.lattice()
    camera.ortho_scale = grid.columns * grid.gsd
    camera.clip_start, camera.clip_end = 1.0, 20000.0
    eye = bpy.data.objects.get("nadir")
    if eye is None:
        eye = bpy.data.objects.new("nadir", camera)
        bpy.context.scene.collection.objects.link(eye)
        # an object's own transform cannot shear, but what it inherits can
        eye.parent = bpy.data.objects.new("nadir-parent", None)
        bpy.context.scene.collection.objects.link(eye.parent)
    (x, y), z = grid.centre, top + ABOVE
    east, north = sight.lean
    eye.location = (x + (z - sight.datum) * east, y + (z - sight.datum) * north, z)
    eye.rotation_euler = (0.0, 0.0, 0.0)
    # the picture's axes stay those of the map while its rays, the third axis, lean: an oblique parallel projection
    shear = Matrix.Identity(4)
    shear[0][2], shear[1][2] = east, north
    origin = Matrix.Translation(eye.location)
    eye.matrix_parent_inverse = origin @ shear @ origin.inverted()
    bpy.context.scene.camera = eye
