"""What a model was built with, in words that JSON can keep: enough to build it again, without its weights."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from mage.learning.backbones.convnext import SMALL, TINY, ConvNeXt
from mage.learning.backbones.efficientnet import EfficientNetLite
from mage.learning.backbones.pyramid import SimplePyramid
from mage.learning.backbones.resnet import ResNet
from mage.learning.decoders import UNet, UPerNet
from mage.learning.encoders import Encoder, ResidualEncoder
from mage.learning.names import DecoderName, EncoderName, Head
from mage.learning.network import Network
from mage.learning.seeds import seeded
from mage.learning.segment import SegmentationNet, SiameseDamageNet
from mage.learning.vit import REFERENCE, ViT

DECODERS: dict[DecoderName, type[UNet] | type[UPerNet]] = {DecoderName.UNET: UNet, DecoderName.UPERNET: UPerNet}

PYRAMID = 256  # channels of each of its features, as in ViTDet
Count = Annotated[int, Field(ge=1)]
Blocks = Annotated[int, Field(ge=1, le=1000)]  # building more on the word of a file would take a while
Values = Annotated[int, Field(ge=2, le=255)]  # that a mask of bytes can hold


class Strict(BaseModel):
    """Exactly these fields, which do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ResidualShape(Strict):
    """Of a :class:`ResidualEncoder`."""

    kind: Literal["residual"] = "residual"
    width: Count
    bands: Count

    def build(self, seed: int = 0) -> Encoder:
        """Such an encoder, of fresh weights."""
        with seeded(seed):
            return ResidualEncoder(self.width, self.bands)


class ResNetShape(Strict):
    """Of a :class:`ResNet`."""

    kind: Literal["resnet"] = "resnet"
    depth: Literal[18, 34, 50, 101]
    width: Count
    bands: Count

    def build(self, seed: int = 0) -> Encoder:
        """Such an encoder, of fresh weights."""
        return ResNet(self.depth, self.bands, self.width, seed=seed)


class ConvNeXtShape(Strict):
    """Of a :class:`ConvNeXt`."""

    kind: Literal["convnext"] = "convnext"
    depths: tuple[Blocks, Blocks, Blocks, Blocks]
    width: Count
    bands: Count

    def build(self, seed: int = 0) -> Encoder:
        """Such an encoder, of fresh weights."""
        return ConvNeXt(self.depths, self.width, self.bands, seed=seed)


class EfficientNetLiteShape(Strict):
    """Of an :class:`EfficientNetLite`."""

    kind: Literal["efficientnet-lite"] = "efficientnet-lite"
    version: Literal[0, 1, 2]
    bands: Count
    scales: Annotated[int, Field(ge=1, le=5)] = 5

    def build(self, seed: int = 0) -> Encoder:
        """Such an encoder, of fresh weights."""
        return EfficientNetLite(self.version, self.bands, scales=self.scales, seed=seed)


class ViTShape(Strict):
    """Of a :class:`ViT`."""

    kind: Literal["vit"] = "vit"
    width: Count
    depth: Blocks
    heads: Count
    patch: Count
    bands: Count
    registers: Annotated[int, Field(ge=0)]
    gsd: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    expansion: Count

    def build(self, seed: int = 0) -> Encoder:
        """Such an encoder, of fresh weights."""
        return ViT(**self.model_dump(exclude={"kind"}), seed=seed)


PlainShape: TypeAlias = ResidualShape | ResNetShape | ConvNeXtShape | EfficientNetLiteShape | ViTShape


class PyramidShape(Strict):
    """Of a :class:`SimplePyramid`."""

    kind: Literal["pyramid"] = "pyramid"
    width: Count
    encoder: Annotated[PlainShape, Field(discriminator="kind")]

    @property
    def bands(self) -> int:
        """Channels of an image."""
        return self.encoder.bands

    def build(self, seed: int = 0) -> Encoder:
        """Such an encoder, of fresh weights."""
        return SimplePyramid(self.encoder.build(seed), self.width, seed=seed)


EncoderShape = Annotated[PlainShape | PyramidShape, Field(discriminator="kind")]


class DamageShape(Strict):
    """Of a :class:`SiameseDamageNet`."""

    kind: Literal["siamese-damage"] = "siamese-damage"
    width: Count
    grades: Annotated[int, Field(ge=2, le=254)]
    heads: tuple[Head, ...] = ()
    encoder: EncoderShape
    decoder: DecoderName = DecoderName.UNET
    alone: bool = False

    def build(self, seed: int = 0) -> SiameseDamageNet:
        """Such a network, of fresh weights."""
        return SiameseDamageNet(
            self.width,
            self.encoder.bands,
            self.grades,
            encoder=_made(self.encoder, self.width, seed),
            decoder=DECODERS[self.decoder],
            heads=self.heads,
            alone=self.alone,
            seed=seed,
        )


class SegmentationShape(Strict):
    """Of a :class:`SegmentationNet`."""

    kind: Literal["segmentation"] = "segmentation"
    width: Count
    classes: Values
    encoder: EncoderShape
    decoder: DecoderName

    def build(self, seed: int = 0) -> SegmentationNet:
        """Such a network, of fresh weights."""
        return SegmentationNet(
            self.classes,
            self.width,
            self.encoder.bands,
            encoder=_made(self.encoder, self.width, seed),
            decoder=DECODERS[self.decoder],
            seed=seed,
        )


ModelShape = Annotated[DamageShape | SegmentationShape, Field(discriminator="kind")]


def encoder_shape(name: EncoderName, width: int, bands: int = 3) -> PlainShape | PyramidShape:
    """The shape of the encoder that people know by this name; ``width`` is that of our own. Transformers stand in a
    pyramid.
    """
    match name:
        case EncoderName.RESIDUAL:
            return ResidualShape(width=width, bands=bands)
        case EncoderName.EFFICIENTNET_LITE0:
            return EfficientNetLiteShape(version=0, bands=bands)
        case EncoderName.EFFICIENTNET_LITE1:
            return EfficientNetLiteShape(version=1, bands=bands)
        case EncoderName.EFFICIENTNET_LITE2:
            return EfficientNetLiteShape(version=2, bands=bands)
        case EncoderName.RESNET18:
            return ResNetShape(depth=18, width=64, bands=bands)
        case EncoderName.RESNET34:
            return ResNetShape(depth=34, width=64, bands=bands)
        case EncoderName.RESNET50:
            return ResNetShape(depth=50, width=64, bands=bands)
        case EncoderName.RESNET101:
            return ResNetShape(depth=101, width=64, bands=bands)
        case EncoderName.CONVNEXT_TINY:
            return ConvNeXtShape(depths=TINY, width=96, bands=bands)
        case EncoderName.CONVNEXT_SMALL:
            return ConvNeXtShape(depths=SMALL, width=96, bands=bands)
        case EncoderName.CONVNEXT_BASE:
            return ConvNeXtShape(depths=SMALL, width=128, bands=bands)
        case EncoderName.VIT_TINY:
            return PyramidShape(width=PYRAMID, encoder=_vit(192, 3, bands))
        case EncoderName.VIT_SMALL:
            return PyramidShape(width=PYRAMID, encoder=_vit(384, 6, bands))


def _vit(width: int, heads: int, bands: int) -> ViTShape:
    """Of twelve blocks and patches of 16 pixels, as in Touvron et al. 2021 (DeiT), table 1."""
    return ViTShape(width=width, depth=12, heads=heads, patch=16, bands=bands, registers=0, gsd=REFERENCE, expansion=4)


def shape_of(model: nn.Module) -> DamageShape | SegmentationShape | None:
    """What a network of ours was built with; None for a model, or one with an encoder or decoder, of another class.

    >>> shape_of(SiameseDamageNet(4, encoder=ResNet(18, width=2))).encoder
    ResNetShape(kind='resnet', depth=18, width=2, bands=3)
    """
    if not isinstance(model, Network):
        return None
    encoder = _encoder(model.encoder)
    made_by: type = type(model.decoder)
    decoder = next((name for name, kind in DECODERS.items() if made_by is kind), None)
    if encoder is None or decoder is None:
        return None
    if type(model) is SiameseDamageNet:
        return DamageShape(
            width=model.width,
            grades=model.grades,
            heads=model.heads,
            encoder=encoder,
            decoder=decoder,
            alone=model.alone,
        )
    if type(model) is SegmentationNet:
        return SegmentationShape(width=model.width, classes=model.classes, encoder=encoder, decoder=decoder)
    return None


def _made(shape: PlainShape | PyramidShape, width: int, seed: int) -> Encoder | None:
    """None for the encoder that networks make themselves, so that it has the weights that they give it."""
    return None if isinstance(shape, ResidualShape) and shape.width == width else shape.build(seed)


def _encoder(encoder: Encoder) -> PlainShape | PyramidShape | None:
    if type(encoder) is SimplePyramid:
        inner = _plain(encoder.encoder)
        return None if inner is None else PyramidShape(width=encoder.width, encoder=inner)
    return _plain(encoder)


def _plain(encoder: Encoder) -> PlainShape | None:
    if type(encoder) is ResidualEncoder:
        return ResidualShape(width=encoder.width, bands=encoder.bands)
    if type(encoder) is ResNet:
        return ResNetShape.model_validate({"depth": encoder.depth, "width": encoder.width, "bands": encoder.bands})
    if type(encoder) is ConvNeXt:
        return ConvNeXtShape.model_validate({"depths": encoder.depths, "width": encoder.width, "bands": encoder.bands})
    if type(encoder) is EfficientNetLite:
        told = {"version": encoder.version, "bands": encoder.bands, "scales": encoder.scales}
        return EfficientNetLiteShape.model_validate(told)
    if type(encoder) is ViT:
        numbers = {name: getattr(encoder, name) for name in ViTShape.model_fields if name not in ("kind", "registers")}
        return ViTShape.model_validate(numbers | {"registers": len(encoder.registers)})
    return None
