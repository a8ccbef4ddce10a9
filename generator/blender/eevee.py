"""EEVEE: Blender's rasteriser, headless through EGL."""

from __future__ import annotations

import bpy

from mage.scenes.recipe import RenderPart


def set_up_eevee(part: RenderPart) -> None:
    """Make EEVEE the scene's renderer.

    The sun and its shadows are as in Cycles. Light from the sky, and from what it falls on, is traced within the
    picture only.
    """
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_EEVEE_NEXT"
    eevee = scene.eevee
    eevee.taa_render_samples = part.samples(0.0)
    eevee.use_shadows = True
    eevee.use_raytracing = True
    eevee.ray_tracing_method = "SCREEN"
    eevee.use_fast_gi = True
    eevee.fast_gi_method = "GLOBAL_ILLUMINATION"


def opengl_driver() -> str:
    """Name of the driver that draws; Blender has rendered a picture before."""
    import gpu

    return str(gpu.platform.renderer_get())
