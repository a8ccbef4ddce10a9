"""Learning from MAGE's datasets: loaders, a damage model, training and honest figures. Needs torch, never Blender.

Names are imported when they are first used, so that ``import mage.learning`` is free.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mage.learning.adapt.advent import ADVENT
    from mage.learning.adapt.batch_norm import adapt_batch_norm
    from mage.learning.adapt.dacs import DACS
    from mage.learning.adapt.daformer import DAFormer
    from mage.learning.adapt.dann import DANN
    from mage.learning.adapt.mic import MIC
    from mage.learning.adapt.min_ent import MinEnt
    from mage.learning.adapt.rare import RareClasses, class_counts
    from mage.learning.adapt.test_time import Tent
    from mage.learning.augmentation import augment
    from mage.learning.backbones.convnext import ConvNeXt
    from mage.learning.backbones.efficientnet import EfficientNetLite
    from mage.learning.backbones.pretrained import bundled_weights, load_pretrained
    from mage.learning.backbones.pyramid import SimplePyramid
    from mage.learning.backbones.resnet import ResNet
    from mage.learning.cards import Card, card_of
    from mage.learning.decoders import Decoder, UNet, UPerNet
    from mage.learning.ema import Teacher
    from mage.learning.encoders import Encoder, ResidualEncoder
    from mage.learning.evaluation import Evaluation, evaluate
    from mage.learning.heads import Prediction, maps_of
    from mage.learning.losses import (
        damage_losses,
        entropy,
        grade_weights,
        log_probabilities,
        pseudo_labels,
        supervised_losses,
        surprise,
    )
    from mage.learning.methods import Batch, Method, Supervised
    from mage.learning.names import Head
    from mage.learning.network import Network
    from mage.learning.pictures import PictureFolder
    from mage.learning.predict import classify, predict_maps, predict_tile
    from mage.learning.pretext.caco import CaCo
    from mage.learning.pretext.dino import DINO
    from mage.learning.pretext.geometry import Geometry
    from mage.learning.pretext.moco import MoCo
    from mage.learning.pretext.scale_mae import ScaleMAE
    from mage.learning.pretext.x_stars import XStars
    from mage.learning.runs import Run, open_run
    from mage.learning.sampling import EpochSampler
    from mage.learning.saved import load_model, model_record, save_model
    from mage.learning.segment import SegmentationNet, SiameseDamageNet
    from mage.learning.semi.corr_match import CorrMatch
    from mage.learning.semi.fix_match import FixMatch
    from mage.learning.semi.mean_teacher import MeanTeacher
    from mage.learning.semi.uni_match import UniMatch
    from mage.learning.semi.uni_match_v2 import UniMatchV2
    from mage.learning.shards import ShardDataset
    from mage.learning.single import SingleImage
    from mage.learning.train import fit
    from mage.learning.translate.color_map_gan import ColorMapGAN, ColourMap
    from mage.learning.translate.colour import HistogramMatching, LinearColour
    from mage.learning.translate.cut import CUT, Painter
    from mage.learning.translate.flow import Flow, FlowMatching
    from mage.learning.translate.fourier import FourierStyle
    from mage.learning.translate.network import NetworkTranslator
    from mage.learning.translate.preservation import damage_preservation
    from mage.learning.translate.translator import Translated, Translator
    from mage.learning.translate.write import write_translated
    from mage.learning.vit import ViT
    from mage.scenes.metrics import BuildingMetrics, DamageMetrics

__all__ = [
    "ADVENT",
    "CUT",
    "DACS",
    "DANN",
    "DINO",
    "MIC",
    "Batch",
    "BuildingMetrics",
    "CaCo",
    "Card",
    "ColorMapGAN",
    "ColourMap",
    "ConvNeXt",
    "CorrMatch",
    "DAFormer",
    "DamageMetrics",
    "Decoder",
    "EfficientNetLite",
    "Encoder",
    "EpochSampler",
    "Evaluation",
    "FixMatch",
    "Flow",
    "FlowMatching",
    "FourierStyle",
    "Geometry",
    "Head",
    "HistogramMatching",
    "LinearColour",
    "MeanTeacher",
    "Method",
    "MinEnt",
    "MoCo",
    "Network",
    "NetworkTranslator",
    "Painter",
    "PictureFolder",
    "Prediction",
    "RareClasses",
    "ResNet",
    "ResidualEncoder",
    "Run",
    "ScaleMAE",
    "SegmentationNet",
    "ShardDataset",
    "SiameseDamageNet",
    "SimplePyramid",
    "SingleImage",
    "Supervised",
    "Teacher",
    "Tent",
    "Translated",
    "Translator",
    "UNet",
    "UPerNet",
    "UniMatch",
    "UniMatchV2",
    "ViT",
    "XStars",
    "adapt_batch_norm",
    "augment",
    "bundled_weights",
    "card_of",
    "class_counts",
    "classify",
    "damage_losses",
    "damage_preservation",
    "entropy",
    "evaluate",
    "fit",
    "grade_weights",
    "load_model",
    "load_pretrained",
    "log_probabilities",
    "maps_of",
    "model_record",
    "open_run",
    "predict_maps",
    "predict_tile",
    "pseudo_labels",
    "save_model",
    "supervised_losses",
    "surprise",
    "write_translated",
]

_HOMES = {
    "adapt.advent": ("ADVENT",),
    "adapt.batch_norm": ("adapt_batch_norm",),
    "adapt.dacs": ("DACS",),
    "adapt.daformer": ("DAFormer",),
    "adapt.dann": ("DANN",),
    "adapt.mic": ("MIC",),
    "adapt.min_ent": ("MinEnt",),
    "adapt.rare": ("RareClasses", "class_counts"),
    "adapt.test_time": ("Tent",),
    "augmentation": ("augment",),
    "backbones.convnext": ("ConvNeXt",),
    "backbones.efficientnet": ("EfficientNetLite",),
    "backbones.pretrained": ("bundled_weights", "load_pretrained"),
    "backbones.pyramid": ("SimplePyramid",),
    "backbones.resnet": ("ResNet",),
    "cards": ("Card", "card_of"),
    "decoders": ("Decoder", "UNet", "UPerNet"),
    "ema": ("Teacher",),
    "encoders": ("Encoder", "ResidualEncoder"),
    "evaluation": ("Evaluation", "evaluate"),
    "heads": ("Prediction", "maps_of"),
    "losses": (
        "damage_losses",
        "entropy",
        "grade_weights",
        "log_probabilities",
        "pseudo_labels",
        "supervised_losses",
        "surprise",
    ),
    "methods": ("Batch", "Method", "Supervised"),
    "pictures": ("PictureFolder",),
    "mage.scenes.metrics": ("BuildingMetrics", "DamageMetrics"),
    "names": ("Head",),
    "network": ("Network",),
    "predict": ("classify", "predict_maps", "predict_tile"),
    "pretext.caco": ("CaCo",),
    "pretext.dino": ("DINO",),
    "pretext.geometry": ("Geometry",),
    "pretext.moco": ("MoCo",),
    "pretext.scale_mae": ("ScaleMAE",),
    "pretext.x_stars": ("XStars",),
    "runs": ("Run", "open_run"),
    "sampling": ("EpochSampler",),
    "saved": ("load_model", "model_record", "save_model"),
    "segment": ("SegmentationNet", "SiameseDamageNet"),
    "semi.corr_match": ("CorrMatch",),
    "semi.fix_match": ("FixMatch",),
    "semi.mean_teacher": ("MeanTeacher",),
    "semi.uni_match": ("UniMatch",),
    "semi.uni_match_v2": ("UniMatchV2",),
    "shards": ("ShardDataset",),
    "single": ("SingleImage",),
    "train": ("fit",),
    "translate.color_map_gan": ("ColorMapGAN", "ColourMap"),
    "translate.colour": ("HistogramMatching", "LinearColour"),
    "translate.cut": ("CUT", "Painter"),
    "translate.flow": ("Flow", "FlowMatching"),
    "translate.fourier": ("FourierStyle",),
    "translate.network": ("NetworkTranslator",),
    "translate.preservation": ("damage_preservation",),
    "translate.translator": ("Translated", "Translator"),
    "translate.write": ("write_translated",),
    "vit": ("ViT",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(import_module(_path_of(_HOME_OF[name])), name)
    globals()[name] = value
    return value


def _path_of(home: str) -> str:
    """A module of this package, or one that both ends share."""
    return home if home.startswith("mage.") else f"{__name__}.{home}"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
