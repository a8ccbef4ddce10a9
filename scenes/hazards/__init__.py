"""scenes/hazards."""
