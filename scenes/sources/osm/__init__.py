"""OpenStreetMap: planet files of any format, answers of Overpass, GeoJSON, and lists of building footprints."""

from mage.scenes.sources.osm.formats import is_osm, osm_format
from mage.scenes.sources.osm.read import read_elements, read_osm

__all__ = ["is_osm", "osm_format", "read_elements", "read_osm"]
