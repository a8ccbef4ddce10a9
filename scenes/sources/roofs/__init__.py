"""Simple 3D Buildings: roofs over any plan."""
