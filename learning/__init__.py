"""Learning from MAGE's datasets: loaders, a damage model, training and honest figures. Needs torch, never Blender.

Names are imported when they are first used, so that ``import mage.learning`` is free.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mage.learning.augmentation import augment
    from mage.learning.ema import Teacher
    from mage.learning.encoders import ResidualEncoder
    from mage.learning.evaluation import Evaluation, evaluate
    from mage.learning.losses import damage_losses, grade_weights, log_probabilities, supervised_losses, surprise
    from mage.learning.methods import Batch, Method, Supervised
    from mage.learning.metrics import BuildingMetrics, DamageMetrics
    from mage.learning.pictures import PictureFolder
    from mage.learning.predict import classify, predict_tile
    from mage.learning.runs import Run, load_model, open_run
    from mage.learning.sampling import EpochSampler
    from mage.learning.segment import Prediction, SiameseDamageNet
    from mage.learning.shards import ShardDataset
    from mage.learning.train import fit
    from mage.learning.translate.colour import HistogramMatching, LinearColour
    from mage.learning.translate.fourier import FourierStyle
    from mage.learning.translate.preservation import damage_preservation
    from mage.learning.translate.translator import Translated, Translator
    from mage.learning.translate.write import write_translated

__all__ = [
    "Batch",
    "BuildingMetrics",
    "DamageMetrics",
    "EpochSampler",
    "Evaluation",
    "FourierStyle",
    "HistogramMatching",
    "LinearColour",
    "Method",
    "PictureFolder",
    "Prediction",
    "ResidualEncoder",
    "Run",
    "ShardDataset",
    "SiameseDamageNet",
    "Supervised",
    "Teacher",
    "Translated",
    "Translator",
    "augment",
    "classify",
    "damage_losses",
    "damage_preservation",
    "evaluate",
    "fit",
    "grade_weights",
    "load_model",
    "log_probabilities",
    "open_run",
    "predict_tile",
    "supervised_losses",
    "surprise",
    "write_translated",
]

_HOMES = {
    "augmentation": ("augment",),
    "ema": ("Teacher",),
    "encoders": ("ResidualEncoder",),
    "evaluation": ("Evaluation", "evaluate"),
    "losses": ("damage_losses", "grade_weights", "log_probabilities", "supervised_losses", "surprise"),
    "methods": ("Batch", "Method", "Supervised"),
    "metrics": ("BuildingMetrics", "DamageMetrics"),
    "pictures": ("PictureFolder",),
    "predict": ("classify", "predict_tile"),
    "runs": ("Run", "load_model", "open_run"),
    "sampling": ("EpochSampler",),
    "segment": ("Prediction", "SiameseDamageNet"),
    "shards": ("ShardDataset",),
    "train": ("fit",),
    "translate.colour": ("HistogramMatching", "LinearColour"),
    "translate.fourier": ("FourierStyle",),
    "translate.preservation": ("damage_preservation",),
    "translate.translator": ("Translated", "Translator"),
    "translate.write": ("write_translated",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
