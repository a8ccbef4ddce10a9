"""How good a map is and how sure one can be of it: counts by tile, figures, intervals, tests, reports."""
