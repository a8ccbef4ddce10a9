"""Labelled sets of real imagery in little: the folders and names of each, with pictures that are drawn."""

from __future__ import annotations

import json

import cv2
import numpy as np
import rasterio
from rasterio.transform import Affine

SIDE = 24


def draw(path, values=None):
    """A PNG or JPEG: grey, with ``values`` in vertical stripes, or noise in colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(path.name)).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    if values is not None:
        stripes = np.repeat(np.array(values, np.uint8), -(-SIDE // len(values)))[:SIDE]
        pixels = np.tile(stripes, (SIDE, 1))
    assert cv2.imwrite(str(path), pixels)


def write_tif(path, values, **profile):
    """A GeoTIFF of values (bands, rows, columns)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.asarray(values)
    given = {"crs": "EPSG:32631", "transform": Affine(10, 0, 500_000, 0, -10, 5_700_000)} | profile
    bands, rows, columns = values.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=bands, height=rows, width=columns, dtype=values.dtype, **given
    ) as file:
        file.write(values)


def striped(values, dtype):
    return np.broadcast_to(np.repeat(np.array(values, dtype), SIDE // len(values)), (1, SIDE, SIDE))


def fake_xbd(root):
    for split, event in (("tier1", "some-flood"), ("hold", "other-fire")):
        for number in range(2):
            for date in ("pre", "post"):
                name = f"{event}_{number:08d}_{date}_disaster"
                draw(root / split / "images" / f"{name}.png")
                draw(root / split / "targets" / f"{name}_target.png", (0, 1, 2, 3, 4, 0))


def square(west, north, side, subtype):
    east, south = west + side, north + side
    ring = f"{west} {north}, {east} {north}, {east} {south}, {west} {south}, {west} {north}"
    properties = {"feature_type": "building", "uid": "u"} | ({"subtype": subtype} if subtype else {})
    return {"properties": properties, "wkt": f"POLYGON (({ring}))"}


def label_file(path, features, side=SIDE):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"features": {"lng_lat": [], "xy": features}, "metadata": {"width": side, "height": side}}
    path.write_text(json.dumps(content))


def fake_bright(root):
    for number in range(2):
        key = f"some-earthquake_{number:08d}"
        noise = np.random.default_rng(number).integers(0, 255, (3, SIDE, SIDE), np.uint8)
        write_tif(root / "pre-event" / f"{key}_pre_disaster.tif", noise)
        write_tif(root / "post-event" / f"{key}_post_disaster.tif", noise[:1])
        write_tif(root / "target" / f"{key}_building_damage.tif", striped((0, 1, 2, 3), np.uint8))
    (root / "train_set.txt").write_text("some-earthquake_00000000\n")
    (root / "test_set.txt").write_text("some-earthquake_00000001\n")


def fake_ida(root):
    for name in ("1-3", "1-4"):
        for date in ("pre", "post"):
            draw(root / "images" / f"{name}_{date}_disaster.png")
        draw(root / "masks" / f"{name}_post_disaster.png", (0, 1, 2, 3))


def fake_drone(root, values=range(8)):
    for split in ("train", "val"):
        for name in ("10", "11"):
            draw(root / split / f"{split}-org-img" / f"{name}.jpg")
            draw(root / split / f"{split}-label-img" / f"{name}_lab.png", tuple(values))


def fake_levir(root):
    for split in ("train", "val"):
        for side in ("A", "B"):
            draw(root / split / side / f"{split}_1.png")
        draw(root / split / "label" / f"{split}_1.png", (0, 255))


def fake_sen1floods11(root):
    data, lists = root / "data" / "flood_events" / "HandLabeled", root / "splits" / "flood_handlabeled"
    lists.mkdir(parents=True)
    for split, chip in (("train", "Ghana_103272"), ("valid", "Ghana_24858"), ("bolivia", "Bolivia_23014")):
        optical = np.full((13, SIDE, SIDE), 2000, np.int16)
        optical[:, 0, 0] = 0
        write_tif(data / "S2Hand" / f"{chip}_S2Hand.tif", optical, nodata=0)
        radar = np.full((2, SIDE, SIDE), -24.5, np.float32)
        radar[:, 0, 1] = np.nan
        write_tif(data / "S1Hand" / f"{chip}_S1Hand.tif", radar)
        write_tif(data / "LabelHand" / f"{chip}_LabelHand.tif", striped((-1, 0, 1, 1), np.int16))
        (lists / f"flood_{split}_data.csv").write_text(f"{chip}_S1Hand.tif,{chip}_LabelHand.tif\n")


def fake_folder(root):
    for name in ("harvey/a.png", "ida/b.png"):
        draw(root / "pre" / name)
        draw(root / "post" / name)
        draw(root / "masks" / name, (0, 1, 7, 255))
