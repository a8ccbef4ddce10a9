"""Learning from MAGE's datasets: loaders, a damage model, training and honest figures. Needs torch, never Blender.

Names are imported when they are first used, so that ``import mage.learning`` is free.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mage.learning.adapt.advent import ADVENT
    from mage.learning.adapt.batch_norm import adapt_batch_norm
    from mage.learning.adapt.cbst import CBST
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
    from mage.learning.buildings import Graded, cems_verdicts, grade_buildings, grade_entropy
    from mage.learning.bundled import bundled_folder, bundled_model, bundled_record
    from mage.learning.calibrated import Calibration, calibrate
    from mage.learning.cards import Card, card_of
    from mage.learning.choice import Choice, choose, mixed_consistency, neighbourhood_density
    from mage.learning.collected import CollectedDataset
    from mage.learning.decoders import Decoder, UNet, UPerNet
    from mage.learning.density import Density, auroc, fit_density, load_density
    from mage.learning.ema import Teacher
    from mage.learning.encoders import Encoder, ResidualEncoder
    from mage.learning.evaluation import Evaluation, evaluate
    from mage.learning.heads import Prediction, maps_of
    from mage.learning.log import TensorBoard
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
    from mage.learning.names import Head, SetName, Theme
    from mage.learning.network import Network
    from mage.learning.pictures import PictureFolder, PicturePairs
    from mage.learning.predict import classify, predict_maps, predict_tile
    from mage.learning.pretext.caco import CaCo
    from mage.learning.pretext.dino import DINO
    from mage.learning.pretext.geometry import Geometry
    from mage.learning.pretext.moco import MoCo
    from mage.learning.pretext.scale_mae import ScaleMAE
    from mage.learning.pretext.x_stars import XStars
    from mage.learning.raster_crops import RasterCrops, RasterPairs
    from mage.learning.real.bright import BRIGHT
    from mage.learning.real.drone_floods import FloodNet, RescueNet
    from mage.learning.real.ida_bd import IdaBD
    from mage.learning.real.labelled_folder import LabelledFolder
    from mage.learning.real.levir_cd import LevirCD
    from mage.learning.real.scenes import LabelledScenes, Scene
    from mage.learning.real.sen1floods11 import Sen1Floods11
    from mage.learning.real.sets import open_set
    from mage.learning.real.taxonomy import BUILDINGS, CHANGE, DAMAGE, DAMAGED, Taxonomy
    from mage.learning.real.xbd import XBD
    from mage.learning.runs import Run, open_run, save_temperatures
    from mage.learning.sampling import EpochSampler
    from mage.learning.saved import density_of, keep_calibration, load_model, model_record, save_model
    from mage.learning.scoring.boundary import boundary_counts, boundary_f1
    from mage.learning.scoring.calibration import Reliability
    from mage.learning.scoring.comparison import Comparison, Groups, compare, group
    from mage.learning.scoring.intervals import Interval, OverSeeds, Paired, bootstrap, over_seeds, paired
    from mage.learning.scoring.report import write_report
    from mage.learning.scoring.tiles import TileCounts
    from mage.learning.segment import SegmentationNet, SiameseDamageNet
    from mage.learning.semi.corr_match import CorrMatch
    from mage.learning.semi.fix_match import FixMatch
    from mage.learning.semi.mean_teacher import MeanTeacher
    from mage.learning.semi.uni_match import UniMatch
    from mage.learning.semi.uni_match_v2 import UniMatchV2
    from mage.learning.shards import ShardDataset
    from mage.learning.single import SingleImage, ThemeImage
    from mage.learning.splits import Part, Row, by_block, by_event, by_place, leave_one_event_out
    from mage.learning.temperature import Temperatures, fit_temperatures
    from mage.learning.threshold import place_separability, place_threshold
    from mage.learning.train import fit
    from mage.learning.translate.color_map_gan import ColorMapGAN, ColourMap
    from mage.learning.translate.colour import HistogramMatching, LinearColour
    from mage.learning.translate.cut import CUT, Painter
    from mage.learning.translate.flow import Flow, FlowMatching
    from mage.learning.translate.fourier import FourierStyle
    from mage.learning.translate.network import NetworkTranslator
    from mage.learning.translate.preservation import damage_preservation, preserving
    from mage.learning.translate.translator import Translated, Translator
    from mage.learning.translate.write import write_translated
    from mage.learning.vit import ViT
    from mage.scenes.metrics import BuildingMetrics, DamageMetrics

__all__ = [
    "ADVENT",
    "BRIGHT",
    "BUILDINGS",
    "CBST",
    "CHANGE",
    "CUT",
    "DACS",
    "DAMAGE",
    "DAMAGED",
    "DANN",
    "DINO",
    "MIC",
    "XBD",
    "Batch",
    "BuildingMetrics",
    "CaCo",
    "Calibration",
    "Card",
    "Choice",
    "CollectedDataset",
    "ColorMapGAN",
    "ColourMap",
    "Comparison",
    "ConvNeXt",
    "CorrMatch",
    "DAFormer",
    "DamageMetrics",
    "Decoder",
    "Density",
    "EfficientNetLite",
    "Encoder",
    "EpochSampler",
    "Evaluation",
    "FixMatch",
    "FloodNet",
    "Flow",
    "FlowMatching",
    "FourierStyle",
    "Geometry",
    "Graded",
    "Groups",
    "Head",
    "HistogramMatching",
    "IdaBD",
    "Interval",
    "LabelledFolder",
    "LabelledScenes",
    "LevirCD",
    "LinearColour",
    "MeanTeacher",
    "Method",
    "MinEnt",
    "MoCo",
    "Network",
    "NetworkTranslator",
    "OverSeeds",
    "Painter",
    "Paired",
    "Part",
    "PictureFolder",
    "PicturePairs",
    "Prediction",
    "RareClasses",
    "RasterCrops",
    "RasterPairs",
    "Reliability",
    "ResNet",
    "RescueNet",
    "ResidualEncoder",
    "Row",
    "Run",
    "ScaleMAE",
    "Scene",
    "SegmentationNet",
    "Sen1Floods11",
    "SetName",
    "ShardDataset",
    "SiameseDamageNet",
    "SimplePyramid",
    "SingleImage",
    "Supervised",
    "Taxonomy",
    "Teacher",
    "Temperatures",
    "TensorBoard",
    "Tent",
    "Theme",
    "ThemeImage",
    "TileCounts",
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
    "auroc",
    "bootstrap",
    "boundary_counts",
    "boundary_f1",
    "bundled_folder",
    "bundled_model",
    "bundled_record",
    "bundled_weights",
    "by_block",
    "by_event",
    "by_place",
    "calibrate",
    "card_of",
    "cems_verdicts",
    "choose",
    "class_counts",
    "classify",
    "compare",
    "damage_losses",
    "damage_preservation",
    "density_of",
    "entropy",
    "evaluate",
    "fit",
    "fit_density",
    "fit_temperatures",
    "grade_buildings",
    "grade_entropy",
    "grade_weights",
    "group",
    "keep_calibration",
    "leave_one_event_out",
    "load_density",
    "load_model",
    "load_pretrained",
    "log_probabilities",
    "maps_of",
    "mixed_consistency",
    "model_record",
    "neighbourhood_density",
    "open_run",
    "open_set",
    "over_seeds",
    "paired",
    "place_separability",
    "place_threshold",
    "predict_maps",
    "predict_tile",
    "preserving",
    "pseudo_labels",
    "save_model",
    "save_temperatures",
    "supervised_losses",
    "surprise",
    "write_report",
    "write_translated",
]

_HOMES = {
    "adapt.advent": ("ADVENT",),
    "adapt.batch_norm": ("adapt_batch_norm",),
    "adapt.cbst": ("CBST",),
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
    "buildings": ("Graded", "cems_verdicts", "grade_buildings", "grade_entropy"),
    "bundled": ("bundled_folder", "bundled_model", "bundled_record"),
    "calibrated": ("Calibration", "calibrate"),
    "cards": ("Card", "card_of"),
    "choice": ("Choice", "choose", "mixed_consistency", "neighbourhood_density"),
    "collected": ("CollectedDataset",),
    "decoders": ("Decoder", "UNet", "UPerNet"),
    "density": ("Density", "auroc", "fit_density", "load_density"),
    "ema": ("Teacher",),
    "encoders": ("Encoder", "ResidualEncoder"),
    "evaluation": ("Evaluation", "evaluate"),
    "heads": ("Prediction", "maps_of"),
    "log": ("TensorBoard",),
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
    "names": ("Head", "SetName", "Theme"),
    "network": ("Network",),
    "pictures": ("PictureFolder", "PicturePairs"),
    "predict": ("classify", "predict_maps", "predict_tile"),
    "pretext.caco": ("CaCo",),
    "pretext.dino": ("DINO",),
    "pretext.geometry": ("Geometry",),
    "pretext.moco": ("MoCo",),
    "pretext.scale_mae": ("ScaleMAE",),
    "pretext.x_stars": ("XStars",),
    "raster_crops": ("RasterCrops", "RasterPairs"),
    "real.bright": ("BRIGHT",),
    "real.drone_floods": ("FloodNet", "RescueNet"),
    "real.ida_bd": ("IdaBD",),
    "real.labelled_folder": ("LabelledFolder",),
    "real.levir_cd": ("LevirCD",),
    "real.scenes": ("LabelledScenes", "Scene"),
    "real.sen1floods11": ("Sen1Floods11",),
    "real.sets": ("open_set",),
    "real.taxonomy": ("BUILDINGS", "CHANGE", "DAMAGE", "DAMAGED", "Taxonomy"),
    "real.xbd": ("XBD",),
    "runs": ("Run", "open_run", "save_temperatures"),
    "sampling": ("EpochSampler",),
    "saved": ("density_of", "keep_calibration", "load_model", "model_record", "save_model"),
    "scoring.boundary": ("boundary_counts", "boundary_f1"),
    "scoring.calibration": ("Reliability",),
    "scoring.comparison": ("Comparison", "Groups", "compare", "group"),
    "scoring.intervals": ("Interval", "OverSeeds", "Paired", "bootstrap", "over_seeds", "paired"),
    "scoring.report": ("write_report",),
    "scoring.tiles": ("TileCounts",),
    "segment": ("SegmentationNet", "SiameseDamageNet"),
    "semi.corr_match": ("CorrMatch",),
    "semi.fix_match": ("FixMatch",),
    "semi.mean_teacher": ("MeanTeacher",),
    "semi.uni_match": ("UniMatch",),
    "semi.uni_match_v2": ("UniMatchV2",),
    "shards": ("ShardDataset",),
    "single": ("SingleImage", "ThemeImage"),
    "splits": ("Part", "Row", "by_block", "by_event", "by_place", "leave_one_event_out"),
    "temperature": ("Temperatures", "fit_temperatures"),
    "threshold": ("place_separability", "place_threshold"),
    "train": ("fit",),
    "translate.color_map_gan": ("ColorMapGAN", "ColourMap"),
    "translate.colour": ("HistogramMatching", "LinearColour"),
    "translate.cut": ("CUT", "Painter"),
    "translate.flow": ("Flow", "FlowMatching"),
    "translate.fourier": ("FourierStyle",),
    "translate.network": ("NetworkTranslator",),
    "translate.preservation": ("damage_preservation", "preserving"),
    "translate.translator": ("Translated", "Translator"),
    "translate.write": ("write_translated",),
    "vit": ("ViT",),
    "mage.scenes.metrics": ("BuildingMetrics", "DamageMetrics"),
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
