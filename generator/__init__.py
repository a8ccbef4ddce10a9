"""From a scene to pixels, labels, shards and datasets; Blender is touched in ``blender/`` only."""
