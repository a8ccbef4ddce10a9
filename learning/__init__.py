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
    from mage.learning.ema import Teacher
    from mage.learning.encoders import ResidualEncoder
    from mage.learning.evaluation import Evaluation, evaluate
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
    from mage.learning.pictures import PictureFolder
    from mage.learning.predict import classify, predict_tile
    from mage.learning.raster_crops import RasterCrops, RasterPairs
    from mage.learning.real.bright import BRIGHT
    from mage.learning.real.drone_floods import FloodNet, RescueNet
    from mage.learning.real.ida_bd import IdaBD
    from mage.learning.real.labelled_folder import LabelledFolder
    from mage.learning.real.levir_cd import LevirCD
    from mage.learning.real.scenes import LabelledScenes, Scene
    from mage.learning.real.sen1floods11 import Sen1Floods11
    from mage.learning.real.taxonomy import BUILDINGS, CHANGE, DAMAGE, DAMAGED, Taxonomy
    from mage.learning.real.xbd import XBD
    from mage.learning.runs import Run, load_model, open_run
    from mage.learning.sampling import EpochSampler
    from mage.learning.segment import Prediction, SiameseDamageNet
    from mage.learning.semi.corr_match import CorrMatch
    from mage.learning.semi.fix_match import FixMatch
    from mage.learning.semi.mean_teacher import MeanTeacher
    from mage.learning.semi.uni_match import UniMatch
    from mage.learning.semi.uni_match_v2 import UniMatchV2
    from mage.learning.shards import ShardDataset
    from mage.learning.splits import Part, Row, by_block, by_event, by_place, leave_one_event_out
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
    from mage.scenes.metrics import BuildingMetrics, DamageMetrics

__all__ = [
    "ADVENT",
    "BRIGHT",
    "BUILDINGS",
    "CHANGE",
    "CUT",
    "DACS",
    "DAMAGE",
    "DAMAGED",
    "DANN",
    "MIC",
    "XBD",
    "Batch",
    "BuildingMetrics",
    "ColorMapGAN",
    "ColourMap",
    "CorrMatch",
    "DAFormer",
    "DamageMetrics",
    "EpochSampler",
    "Evaluation",
    "FixMatch",
    "FloodNet",
    "Flow",
    "FlowMatching",
    "FourierStyle",
    "HistogramMatching",
    "IdaBD",
    "LabelledFolder",
    "LabelledScenes",
    "LevirCD",
    "LinearColour",
    "MeanTeacher",
    "Method",
    "MinEnt",
    "NetworkTranslator",
    "Painter",
    "Part",
    "PictureFolder",
    "Prediction",
    "RareClasses",
    "RasterCrops",
    "RasterPairs",
    "RescueNet",
    "ResidualEncoder",
    "Row",
    "Run",
    "Scene",
    "Sen1Floods11",
    "ShardDataset",
    "SiameseDamageNet",
    "Supervised",
    "Taxonomy",
    "Teacher",
    "Tent",
    "Translated",
    "Translator",
    "UniMatch",
    "UniMatchV2",
    "adapt_batch_norm",
    "augment",
    "by_block",
    "by_event",
    "by_place",
    "class_counts",
    "classify",
    "damage_losses",
    "damage_preservation",
    "entropy",
    "evaluate",
    "fit",
    "grade_weights",
    "leave_one_event_out",
    "load_model",
    "log_probabilities",
    "open_run",
    "predict_tile",
    "pseudo_labels",
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
    "ema": ("Teacher",),
    "encoders": ("ResidualEncoder",),
    "evaluation": ("Evaluation", "evaluate"),
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
    "mage.scenes.metrics": ("BuildingMetrics", "DamageMetrics"),
    "pictures": ("PictureFolder",),
    "predict": ("classify", "predict_tile"),
    "raster_crops": (
        "RasterCrops",
        "RasterPairs",
    ),
    "real.bright": ("BRIGHT",),
    "real.drone_floods": (
        "FloodNet",
        "RescueNet",
    ),
    "real.ida_bd": ("IdaBD",),
    "real.labelled_folder": ("LabelledFolder",),
    "real.levir_cd": ("LevirCD",),
    "real.scenes": (
        "LabelledScenes",
        "Scene",
    ),
    "real.sen1floods11": ("Sen1Floods11",),
    "real.taxonomy": (
        "BUILDINGS",
        "CHANGE",
        "DAMAGE",
        "DAMAGED",
        "Taxonomy",
    ),
    "real.xbd": ("XBD",),
    "runs": ("Run", "load_model", "open_run"),
    "sampling": ("EpochSampler",),
    "segment": ("Prediction", "SiameseDamageNet"),
    "semi.corr_match": ("CorrMatch",),
    "semi.fix_match": ("FixMatch",),
    "semi.mean_teacher": ("MeanTeacher",),
    "semi.uni_match": ("UniMatch",),
    "semi.uni_match_v2": ("UniMatchV2",),
    "shards": ("ShardDataset",),
    "splits": (
        "Part",
        "Row",
        "by_block",
        "by_event",
        "by_place",
        "leave_one_event_out",
    ),
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
