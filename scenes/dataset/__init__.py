"""The contract on disk that generator and learning share: no Blender, no torch."""
