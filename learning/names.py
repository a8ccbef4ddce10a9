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


class Kind(StrEnum):
    """What struck."""

    EARTHQUAKE, FLOOD, WIND, FIRE = "earthquake", "flood", "wind", "fire"


class Product(StrEnum):
    """What Copernicus EMS calls its products: a first estimate by areas, the event's outline, or every building's
    grade.
    """

    FIRST_ESTIMATE, DELINEATION, GRADING = "FEP", "DEL", "GRA"
