"""Labels of whole scenes against what Blender itself sees along the same rays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ALLOWED = 0.0002  # of all pixels, every one of them on an edge

Scene = dict[str, Any]


def scene(recipe: str, size: int, **settings: object) -> Scene:
    return {"recipe": recipe, "set": {"output.size": size, "city.extent": 240, "between.changes": [0, 0]} | settings}


def aslant(low: float, high: float, shift: float = 0.0) -> dict[str, object]:
    return {"view.off_nadir": [low, high], "view.shift": [shift / 2, shift]}


SHORT = [
    scene("flood", 96, **{"city.extent": 160}),
    scene("flood", 96, **{"city.extent": 160, "city.style": "village"} | aslant(25, 25, 8)),
    scene("fire", 96, **{"city.extent": 160} | aslant(10, 40)),
]


def check(scenes: list[Scene], folder: Path, seconds: float) -> None:
    """Every raster of both dates agrees on all but a few pixels, and those lie on edges."""
    (folder / "scenes.json").write_text(json.dumps(scenes))
    command = [sys.executable, Path(__file__).with_name("scene_oracle.py"), folder / "out.json", folder / "scenes.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, env=os.environ)
    assert done.returncode == 0, done.stderr
    for asked, report in zip(scenes, json.loads((folder / "out.json").read_text()), strict=True):
        for date, fields in report.items():
            assert {"class", "building", "height", "water", "road"} <= fields.keys()
            for field, (differing, off_edges, pixels) in fields.items():
                assert differing <= max(ALLOWED * pixels, 2), (asked, date, field, differing)
                assert off_edges == 0, (asked, date, field)


def test_labels_are_what_blender_sees_from_above_and_aslant(tmp_path: Path) -> None:
    check(SHORT, tmp_path, 300)


@pytest.mark.long
@pytest.mark.parametrize(
    "made",
    [
        scene("fire", 256),
        scene("wind", 192, **aslant(15, 30, 20)),
        scene("earthquake", 192, **{"city.style": "mediterranean"}),
        scene("earthquake", 192, **{"city.style": "downtown"} | aslant(25, 45)),
        scene("flood", 192, **{"city.style": "village", "hazard.stage": [3, 4]} | aslant(45, 45)),
        scene("flood", 256, **{"city.style": "european-old-town"} | aslant(25, 25)),
    ],
    ids=lambda s: f"{s['recipe']}-{s['set'].get('city.style', 'suburb')}",
)
def test_labels_of_procedural_scenes_are_what_blender_sees(made: Scene, tmp_path: Path) -> None:
    check([made], tmp_path, 900)


@pytest.mark.long
@pytest.mark.parametrize(
    ("recipe", "city", "settings"),
    [
        ("flood", "cityjson/rotterdam_delfshaven_lod2.city.json", {}),
        ("flood", "cityjson/denhaag_lod2_small.city.json", aslant(30, 30, 8)),
        ("wind", "citygml/zurich_lod2_small.xml", aslant(20, 45)),
        ("flood", "osm/monaco.osm.pbf", {"city.bounds": [7.418, 43.73, 7.423, 43.734]} | aslant(35, 35)),
        ("earthquake", "citygml/berlin_lod2.gml", {}),
    ],
)
def test_labels_of_real_scenes_are_what_blender_sees(
    shared_data: Path, tmp_path: Path, recipe: str, city: str, settings: dict[str, object]
) -> None:
    check([scene(recipe, 224, **{"city.file": str(shared_data / city)} | settings)], tmp_path, 900)
