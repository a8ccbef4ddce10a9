"""Datasets in the formats of others. Read from disk: neither Blender nor torch, and no generation, is needed."""
