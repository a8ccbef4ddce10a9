"""What is in the world before and after a disaster: cities, hazards, grades and the dataset contract."""
