"""Cities out of nothing but a style and a seed."""
