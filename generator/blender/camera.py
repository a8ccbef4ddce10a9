"""A nadir camera over a grid: orthographic, so that pixel (row, column) sees exactly its square of ground."""

from __future__ import annotations

import bpy

from mage.scenes.grid import Grid


def aim(grid: Grid, top: float) -> None:
    """Point the camera straight down on ``grid`` from above ``top`` (m), north up."""
    camera = bpy.data.cameras.get("nadir") or bpy.data.cameras.new("nadir")
    camera.type = "ORTHO"
    camera.sensor_fit = "HORIZONTAL"
    camera.ortho_scale = grid.columns * grid.gsd
    camera.clip_start, camera.clip_end = 1.0, 20000.0
    eye = bpy.data.objects.get("nadir")
    if eye is None:
        eye = bpy.data.objects.new("nadir", camera)
        bpy.context.scene.collection.objects.link(eye)
    x, y = grid.centre
    eye.location = (x, y, top + 50.0)
    eye.rotation_euler = (0.0, 0.0, 0.0)
    bpy.context.scene.camera = eye
