"""Data, no code: recipes, city styles and reflectances."""
