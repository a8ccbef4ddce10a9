"""The ground under a city: read from rasters, or made up."""
