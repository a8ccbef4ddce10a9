"""Names that people type, and files keep, for parts of models and for maps; without torch, so that `mage --help` is
quick.
"""

from __future__ import annotations

from enum import StrEnum


class EncoderName(StrEnum):
    """Encoders of usual sizes."""

    RESIDUAL = "residual"
    EFFICIENTNET_LITE0 = "efficientnet-lite0"
    EFFICIENTNET_LITE1 = "efficientnet-lite1"
    EFFICIENTNET_LITE2 = "efficientnet-lite2"
    RESNET18 = "resnet18"
    RESNET34 = "resnet34"
    RESNET50 = "resnet50"
    RESNET101 = "resnet101"
    CONVNEXT_TINY = "convnext-tiny"
    CONVNEXT_SMALL = "convnext-small"
    CONVNEXT_BASE = "convnext-base"
    VIT_TINY = "vit-tiny"
    VIT_SMALL = "vit-small"


class DecoderName(StrEnum):
    """Decoders."""

    UNET = "unet"
    UPERNET = "upernet"


class Head(StrEnum):
    """What a damage network can predict beside buildings and their grades.

    >>> Head("road").wants
    ('post_road', 'post_blocked')
    """

    FLOOD = "flood"
    """Whether water stands there: one logit."""
    HEIGHT = "height"
    """Height above the ground before and after: log(1 + metres), two channels. What fell is their difference."""
    ROAD = "road"
    """No road, an open one or a blocked one: three logits."""

    @property
    def channels(self) -> int:
        """Of its logits."""
        return {Head.FLOOD: 1, Head.HEIGHT: 2, Head.ROAD: 3}[self]

    @property
    def wants(self) -> tuple[str, ...]:
        """Tensors of a sample from which it learns, by the names that MAGE's datasets give them."""
        return {
            Head.FLOOD: ("post_flood",),
            Head.HEIGHT: ("pre_height", "post_height"),
            Head.ROAD: ("post_road", "post_blocked"),
        }[self]


class Theme(StrEnum):
    """What a network for one image can map of what MAGE's datasets know: the image after the event alone, and a mask.

    >>> Theme("water").classes
    ('dry', 'water')
    """

    BUILDINGS = "buildings"
    WATER = "water"
    """Permanent water and floods."""
    ROADS = "roads"

    @property
    def wants(self) -> tuple[str, ...]:
        """Labels that the mask is made of."""
        return {
            Theme.BUILDINGS: ("post_building",),
            Theme.WATER: ("post_water", "post_flood"),
            Theme.ROADS: ("post_road", "post_blocked"),
        }[self]

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the mask's values, named as real sets name them."""
        return {
            Theme.BUILDINGS: ("background", "building"),
            Theme.WATER: ("dry", "water"),
            Theme.ROADS: ("none", "clear", "blocked"),
        }[self]


class SetName(StrEnum):
    """Labelled sets, as MAGE and their authors write them, and by what their masks are read as where they can be read
    in several ways: pairs first, then images alone, then a folder of either.

    >>> SetName("rescuenet-roads").name
    'RESCUENET_ROADS'
    """

    MAGE, XBD, IDA_BD, BRIGHT, LEVIR_CD = "mage", "xbd", "ida-bd", "bright", "levir-cd"
    MAGE_BUILDINGS, MAGE_WATER, MAGE_ROADS = "mage-buildings", "mage-water", "mage-roads"
    SEN1FLOODS11, SEN1FLOODS11_RGB = "sen1floods11", "sen1floods11-rgb"
    SEN1FLOODS11_RADAR = "sen1floods11-radar"
    FLOODNET, FLOODNET_WATER, FLOODNET_CLASSES = "floodnet", "floodnet-water", "floodnet-classes"
    RESCUENET, RESCUENET_ROADS, RESCUENET_CLASSES = "rescuenet", "rescuenet-roads", "rescuenet-classes"
    FOLDER = "folder"


class Kind(StrEnum):
    """What struck."""

    EARTHQUAKE, FLOOD, WIND, FIRE = "earthquake", "flood", "wind", "fire"


class Product(StrEnum):
    """What Copernicus EMS calls its products: a first estimate by areas, the event's outline, or every building's
    grade.
    """

    FIRST_ESTIMATE, DELINEATION, GRADING = "FEP", "DEL", "GRA"
