"""From two images of a real place to maps for the field; every step is a function of its own on arrays."""
