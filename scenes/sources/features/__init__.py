"""What is no building in a city file, made parts of a city."""
