"""The only folder that imports bpy: engine, geometry, materials, light and camera."""
