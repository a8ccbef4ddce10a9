"""generator/runners."""
