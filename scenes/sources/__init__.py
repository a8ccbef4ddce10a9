"""scenes/sources."""
