"""Where cities come from: files that are read, and what is made up for what they lack."""

from mage.scenes.sources.read import read_city

__all__ = ["read_city"]
