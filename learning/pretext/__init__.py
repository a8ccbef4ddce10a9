"""Pretext tasks: what an encoder can learn before, or without, labels of damage."""
