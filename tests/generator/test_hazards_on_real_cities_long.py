"""Every hazard on real cities, from their files to a pair whose labels hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import mage, samples_of

BERLIN = ("citygml/berlin_lod2.gml",)
ROTTERDAM = ("cityjson/rotterdam_delfshaven_lod2.city.json",)
VIENNA = ("cityjson/vienna_lod2.city.jsonl",)
HELSINKI = ("osm/helsinki_centre.osm.pbf", "--bounds", "24.938,60.166,24.946,60.171")
MONACO = ("osm/monaco.osm.pbf", "--bounds", "7.418,43.730,7.426,43.736", "--terrain", "dem/N43E007.hgt.zip")
ANDORRA = ("osm/andorra.osm.pbf", "--bounds", "1.574,42.531,1.581,42.536", "--terrain", "dem/N42E001.hgt.zip")
BAYREUTH = ("osm/north-bayreuth.osm.gz", "--bounds", "11.599,49.980,11.605,49.983", "--terrain", "dem/N49E011.hgt.zip")

QUAKE = {"kind": "earthquake", "magnitude": [7.4, 7.8], "distance": [2, 6]}
FIRE = {"kind": "fire", "minutes": [90, 150], "ignitions": 8, "wind": [8, 14], "resistant": [0, 0.1]}
MUD = {"kind": "flood", "share": [0.3, 0.6], "recession": [0.5, 0.8]}
HAZARDS = {
    "flood": {"kind": "flood", "share": [0.3, 0.6]},
    "mud": MUD,
    "hand": {"kind": "flood", "model": "hand", "stage": [3, 5]},
    "earthquake": QUAKE,
    "fire": FIRE,
    "hurricane": {"kind": "wind", "speed": [30, 35], "distance": [10, 25]},
    "tornado": {"kind": "wind", "storm": "tornado", "speed": [85, 95]},
    "earthquake-fire": [QUAKE, FIRE],
    "earthquake-mud": [QUAKE, MUD],
}
PAIRS = [
    ("flood", HELSINKI),
    ("flood", ROTTERDAM),
    ("mud", BAYREUTH),
    ("hand", ANDORRA),
    ("earthquake", MONACO),
    ("earthquake", VIENNA),
    ("earthquake", ANDORRA),
    ("fire", BERLIN),
    ("fire", BAYREUTH),
    ("fire", MONACO),
    ("hurricane", ROTTERDAM),
    ("hurricane", HELSINKI),
    ("tornado", BERLIN),
    ("tornado", VIENNA),
    ("earthquake-fire", HELSINKI),
    ("earthquake-mud", ROTTERDAM),
]


@pytest.mark.long
@pytest.mark.parametrize(("hazard", "city"), PAIRS, ids=[f"{h}-{c[0].split('/')[1].split('.')[0]}" for h, c in PAIRS])
def test_a_real_city_is_struck_and_its_labels_hold(
    hazard: str, city: tuple[str, ...], shared_data: Path, tmp_path: Path
) -> None:
    file, *options = [str(shared_data / word) if "/" in word else word for word in city]
    root = tmp_path / "dataset"
    settings = [f"hazard={json.dumps(HAZARDS[hazard])}", "output.gsd=1.0", "output.shard_size=1"]
    words = [word for setting in settings for word in ("--set", setting)]
    size = ["--size", "128", "--spp", "1", "--count", "1"]
    mage("generate", "flood", "--city", file, *options, *size, *words, "--out", root, seconds=600)
    assert mage("verify", root).returncode == 0
    sample = samples_of(root)[0]
    record = sample.record
    assert record.hazard == "-".join(part["kind"] for part in _parts(hazard))
    harmed = [b for b in record.buildings if b.causes]
    if hazard != "hand":
        assert harmed
        assert (sample.labels["post_damage"] > 1).any() == any(
            b.jds and (sample.labels["post_building"] == b.id).any() for b in record.buildings
        )
    if "mud" in hazard:
        assert (sample.labels["post_mud"] > 0).any()
    assert all(
        b.roof_seen_pre is not None or b.new or not (sample.labels["pre_building"] == b.id).any() for b in harmed
    )
    assert np.abs(sample.images["post"].astype(int) - sample.images["pre"]).mean() > 1


def _parts(hazard: str) -> list[dict[str, object]]:
    found = HAZARDS[hazard]
    return found if isinstance(found, list) else [found]  # type: ignore[list-item]
