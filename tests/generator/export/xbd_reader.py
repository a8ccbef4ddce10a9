"""A reader of xBD, written from the description of the format only: it knows nothing of MAGE."""

from __future__ import annotations

import json
import re
from datetime import datetime
from uuid import UUID

import cv2

IMAGE = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*)_([0-9]{8})_(pre|post)_disaster\.png")
SUBTYPES = ("no-damage", "minor-damage", "major-damage", "destroyed", "un-classified")
NUMBERS = (
    "gsd",
    "off_nadir_angle",
    "pan_resolution",
    "sun_azimuth",
    "sun_elevation",
    "target_azimuth",
    "original_width",
    "original_height",
    "width",
    "height",
)
TEXTS = (
    "sensor",
    "provider_asset_type",
    "capture_date",
    "disaster",
    "disaster_type",
    "catalog_id",
    "id",
    "img_name",
)


def read_split(folder):
    """All pairs of a split: ``{stem: {"pre": image, "post": image}}``; AssertionError on what the format forbids."""
    pairs = {}
    for path in sorted((folder / "images").iterdir()):
        match = IMAGE.fullmatch(path.name)
        assert match, path
        event, number, date = match.groups()
        pairs.setdefault(f"{event}_{number}", {})[date] = read_image(path, event)
    for folder_name, suffix in (("labels", ".json"), ("targets", "_target.png")):
        there = {p.name for p in (folder / folder_name).iterdir()}
        assert there == {f"{s}_{d}_disaster{suffix}" for s in pairs for d in ("pre", "post")}
    assert all(set(pair) == {"pre", "post"} for pair in pairs.values())
    return pairs


def read_image(path, event):
    """Picture, target, metadata and polygons of one image."""
    label = json.loads((path.parent.parent / "labels" / f"{path.stem}.json").read_text())
    assert set(label) == {"features", "metadata"}
    assert set(label["features"]) == {"lng_lat", "xy"}
    about, after = label["metadata"], path.stem.endswith("post_disaster")
    assert set(about) == {*NUMBERS, *TEXTS}
    assert all(isinstance(about[name], int | float) for name in NUMBERS)
    assert all(isinstance(about[name], str) and about[name] for name in TEXTS)
    datetime.strptime(about["capture_date"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert about["img_name"] == path.name
    assert about["disaster"] == event
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    target = cv2.imread(str(path.parent.parent / "targets" / f"{path.stem}_target.png"), cv2.IMREAD_UNCHANGED)
    assert image.shape == (about["height"], about["width"], 3)
    assert target.shape == image.shape[:2]
    assert target.max() <= (4 if after else 1)
    polygons = {kind: [read_feature(f, after) for f in label["features"][kind]] for kind in ("xy", "lng_lat")}
    assert [p["uid"] for p in polygons["xy"]] == [p["uid"] for p in polygons["lng_lat"]]
    return {"image": image[..., ::-1], "target": target, "metadata": about, **polygons}


def read_feature(feature, after):
    """A polygon: uid, damage (None before), rings of points."""
    about = feature["properties"]
    assert set(feature) == {"properties", "wkt"}
    assert set(about) == {"feature_type", "uid", "subtype"} if after else {"feature_type", "uid"}
    assert about["feature_type"] == "building"
    assert not after or about["subtype"] in SUBTYPES
    UUID(about["uid"])
    return {"uid": about["uid"], "damage": about.get("subtype"), "rings": read_wkt(feature["wkt"])}


def read_wkt(text):
    """Rings of a ``POLYGON ((x y, x y), (...))``."""
    body = re.fullmatch(r"POLYGON \((.*)\)", text)
    assert body, text
    rings = [
        [tuple(float(v) for v in point.split()) for point in ring.split(",")]
        for ring in re.findall(r"\(([^()]*)\)", body[1])
    ]
    assert all(len(ring) > 3 and ring[0] == ring[-1] and all(len(p) == 2 for p in ring) for ring in rings)
    return rings
