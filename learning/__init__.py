"""Learning from MAGE's datasets: loaders, a damage model, training and honest figures. Needs torch, never Blender.

Names are imported when they are first used, so that ``import mage.learning`` is free.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mage.learning.augmentation import augment
    from mage.learning.encoders import ResidualEncoder
    from mage.learning.evaluation import Evaluation, evaluate
    from mage.learning.losses import damage_losses, grade_weights
    from mage.learning.predict import classify, predict_tile
    from mage.learning.runs import Run, load_model, open_run
    from mage.learning.sampling import EpochSampler
    from mage.learning.segment import Prediction, SiameseDamageNet
    from mage.learning.shards import ShardDataset
    from mage.learning.train import fit
    from mage.scenes.metrics import BuildingMetrics, DamageMetrics

__all__ = [
    "BuildingMetrics",
    "DamageMetrics",
    "EpochSampler",
    "Evaluation",
    "Prediction",
    "ResidualEncoder",
    "Run",
    "ShardDataset",
    "SiameseDamageNet",
    "augment",
    "classify",
    "damage_losses",
    "evaluate",
    "fit",
    "grade_weights",
    "load_model",
    "open_run",
    "predict_tile",
]

_HOMES = {
    "augmentation": ("augment",),
    "encoders": ("ResidualEncoder",),
    "evaluation": ("Evaluation", "evaluate"),
    "losses": ("damage_losses", "grade_weights"),
    "mage.scenes.metrics": ("BuildingMetrics", "DamageMetrics"),
    "predict": ("classify", "predict_tile"),
    "runs": ("Run", "load_model", "open_run"),
    "sampling": ("EpochSampler",),
    "segment": ("Prediction", "SiameseDamageNet"),
    "shards": ("ShardDataset",),
    "train": ("fit",),
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
