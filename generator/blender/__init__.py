"""generator/blender."""
