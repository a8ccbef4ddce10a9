"""What a source lacks and a lived-in city has."""
