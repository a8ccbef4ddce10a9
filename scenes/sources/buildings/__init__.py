"""Buildings of city files: repaired, closed, measured."""
