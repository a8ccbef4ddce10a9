"""Every real city that is at hand, from its file to a picture from above."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest
from command_line import mage

# what each file needs besides its name: those of whole countries are read in part, some stand on their terrain
CITIES: dict[str, tuple[str, ...]] = {
    "citygml/berlin_lod2.gml": (),
    "citygml/delft_lod1_small.xml": (),
    "citygml/ingolstadt_lod3_53bldg.tar.xz": (),
    "citygml/melbourne_roads_4wayintersection_citygml3.gml": (),
    "citygml/melbourne_roads_roundabout_citygml3.gml": (),
    "citygml/plateau_tokyo_53394517_citygml2.gml": (),
    "citygml/plateau_tokyo_53394517_citygml3.gml": (),
    "citygml/zurich_lod2_small.xml": (),
    "cityjson/3dbag_901.city.jsonl": (),
    "cityjson/delft_scene_lod1.city.json": ("--terrain", "dem/delft_ahn3_dtm_0.5m.tif"),
    "cityjson/denhaag_lod2_small.city.json": (),
    "cityjson/rotterdam_delfshaven_lod2.city.json": (),
    "cityjson/vienna_lod2.city.jsonl": (),
    "osm/aberdeen_block.osm.gz": (),
    "osm/andorra.osm.pbf": ("--bounds", "1.574,42.531,1.581,42.536", "--terrain", "dem/N42E001.hgt.zip"),
    "osm/emmering_small.osm": (),
    "osm/helsinki_centre.osm.pbf": ("--bounds", "24.938,60.166,24.946,60.171"),
    "osm/monaco.osm.pbf": ("--bounds", "7.418,43.730,7.426,43.736", "--terrain", "dem/N43E007.hgt.zip"),
    "osm/myllykoski_fi.osm.pbf": ("--bounds", "26.945,60.525,26.960,60.533"),
    "osm/north-bayreuth.osm.gz": ("--bounds", "11.599,49.980,11.605,49.983", "--terrain", "dem/N49E011.hgt.zip"),
}


def test_no_file_is_left_out(shared_data: Path) -> None:
    found = {
        f"{folder}/{p.name}" for folder in ("citygml", "cityjson", "osm") for p in (shared_data / folder).iterdir()
    }
    assert found == set(CITIES)


@pytest.mark.long
@pytest.mark.parametrize("name", CITIES)
def test_a_real_city_is_read_described_and_photographed(name: str, shared_data: Path, tmp_path: Path) -> None:
    options = [str(shared_data / word) if word.startswith("dem/") else word for word in CITIES[name]]
    facts = json.loads(mage("info", shared_data / name, "--json").stdout)
    assert facts["kind"] == "city"
    assert facts["counts"]["buildings"] > 0 or facts["counts"]["road_km"] > 0
    out = tmp_path / "city.png"
    mage("preview", shared_data / name, *options, "--size", "256", "--spp", "1", "--out", out)
    picture = cv2.imread(str(out))
    assert max(picture.shape[:2]) == 256
    assert picture.std() > 10  # neither a blank nor a single colour
    assert (picture.max(axis=-1) <= 4).mean() < 0.01
