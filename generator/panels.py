"""Small pictures of a sample for people: before, after, damage over the image after, depth of the water."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.scenes.dataset.fields import CLASS_COLOURS, DAMAGE_COLOURS, LandClass
from mage.scenes.dataset.schema import Sample

Picture = NDArray[np.uint8]

FLOOD_TINT = (40, 130, 230)
DRY, HOUSES, RIVER = (245, 243, 238), (208, 203, 196), (188, 196, 200)  # what the last panels show beside their subject
SCORCHED, DEBRIS, STREET, CLOSED = (52, 40, 36), (150, 106, 78), (226, 224, 220), (214, 60, 60)
CENTIMETRES = 100.0


def overlay(sample: Sample) -> Picture:
    """The image after with flood tinted blue, every building filled and outlined in its damage grade's colour, and
    tents in theirs.
    """
    damage, building = sample.labels["post_damage"], sample.labels["post_building"]
    colours = np.array(DAMAGE_COLOURS, float)[damage]
    tint = np.where(sample.labels["post_flood"][..., None] > 0, np.array(FLOOD_TINT, float), 0.0)
    strength = 0.28 * (sample.labels["post_flood"] > 0) + 0.5 * (damage > 0)
    strength[_rims(building)] = 1.0
    colour = np.where(damage[..., None] > 0, colours, tint)
    tent = sample.labels["post_tent"]
    colour[tent > 0], strength[tent > 0] = CLASS_COLOURS[LandClass.TENT], 0.5
    strength[_rims(tent)] = 1.0
    mixed = sample.images["post"] * (1 - strength[..., None]) + colour * strength[..., None]
    return np.asarray(np.rint(mixed), np.uint8)


def depth_panel(sample: Sample, deepest: float) -> Picture:
    """Flood depth as a ramp from 0 to ``deepest`` metres, on a pale map of houses and permanent water."""
    depth = sample.labels["post_depth"] / CENTIMETRES
    ground = np.full((*depth.shape, 3), DRY, np.uint8)
    ground[sample.labels["post_water"] > 0] = RIVER
    ground[sample.labels["post_building"] > 0] = HOUSES
    index = np.rint(np.clip(depth / deepest, 0, 1) * 255).astype(int)
    return np.where((depth > 0)[..., None], depth_ramp()[index], ground)


def trace_panel(sample: Sample) -> Picture:
    """Debris, burnt ground (the darker the worse) and closed streets, on a pale map of houses, streets and water."""
    labels = sample.labels
    ground = np.full((*labels["post_burn"].shape, 3), DRY, float)
    ground[labels["post_road"] > 0] = STREET
    ground[labels["post_water"] > 0] = RIVER
    ground[labels["post_building"] > 0] = HOUSES
    severity = labels["post_burn"][..., None] / 100
    ground = ground * (1 - severity) + np.array(SCORCHED) * severity
    ground[labels["post_blocked"] > 0] = CLOSED
    ground[labels["post_debris"] > 0] = DEBRIS
    return np.asarray(np.rint(ground), np.uint8)


def depth_ramp() -> Picture:
    """(256, 3) blues whose lightness falls in equal steps of CIELAB, so that equal depths differ equally to the eye."""
    share = np.linspace(0, 1, 256, dtype=np.float32)
    lab = np.stack([91 - 69 * share, -6 + 22 * share, -10 - 38 * np.sqrt(share)], axis=1)
    rgb = cv2.cvtColor(lab[None], cv2.COLOR_LAB2RGB)[0]
    return np.asarray(np.rint(np.clip(rgb, 0, 1) * 255), np.uint8)


def scale_of(depths: list[float]) -> float:
    """End of the depth scale in metres: the deepest of ``depths``, rounded up to half a metre."""
    return max(0.5, float(np.ceil(max(depths, default=0.0) * 2) / 2))


def deepest_of(sample: Sample) -> float:
    """The depth in metres that all but one in 200 of a sample's flooded pixels stay under, 0 where none is."""
    depth = sample.labels["post_depth"]
    return float(np.percentile(depth[depth > 0], 99.5)) / CENTIMETRES if (depth > 0).any() else 0.0


def shrunk(picture: Picture, side: int) -> Picture:
    """The picture at no more than ``side`` pixels along a side; small ones are left as they are."""
    rows, columns = picture.shape[:2]
    factor = side / max(rows, columns)
    if factor >= 1:
        return picture
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _rims(building: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Pixels of a building or tent with another value beside them; two pixels wide, to be seen in a small picture."""
    kernel = np.ones((3, 3), np.uint8)
    edge = cv2.dilate(building, kernel) != cv2.erode(building, kernel)
    return np.asarray(edge & (building > 0))
