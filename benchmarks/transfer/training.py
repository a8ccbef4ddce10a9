"""What is trained, and how: settings as a value, a run for each in a folder named by their hash, trained once."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset
from transfer.chips import SHARE, Before, Chip, Chips
from transfer.pairs import Colours, Pairs, looks
from transfer.places import built_shares

from mage.learning import (
    CBST,
    DACS,
    EfficientNetLite,
    FourierStyle,
    Geometry,
    HistogramMatching,
    LinearColour,
    MoCo,
    Run,
    ShardDataset,
    SiameseDamageNet,
    Supervised,
    Translator,
    adapt_batch_norm,
    bundled_weights,
    fit,
    grade_weights,
    load_pretrained,
    open_run,
)
from mage.learning.pretext.task import Pretext
from mage.scenes.errors import ModelError

TRANSLATORS = {"histogram": HistogramMatching, "linear": LinearColour, "fourier": FourierStyle}


@dataclass(frozen=True, slots=True)
class Setting:
    """One training.

    Attributes:
        synthetic: learns from a corpus; else from real labels alone.
        corpus: which, of :data:`~corpora.CORPORA`.
        annotated, zoom, jitter, far, same: of :class:`~pairs.Pairs` and :func:`~pairs.looks`.
        places: only pairs of places whose name begins with one of these.
        views: ``nadir`` keeps pairs seen within 10° of it, ``oblique`` the others.
        most: samples, the first so many; none takes all.
        colours: images get the colours of unlabelled real ones: histogram, linear or fourier.
        alone: a decoder of its own looks for buildings in the image before.
        pretrained: the encoder begins with ImageNet weights; else it is the small one from scratch.
        pretext: what the small one learns first: ``geometry`` of the corpus, or ``moco`` on unlabelled real imagery.
        lite: which EfficientNet-Lite it is.
        rate: of the encoder's learning, as a multiple of ``lr``; 0 leaves it as ImageNet made it.
        fixed: its BatchNorm keeps ImageNet's statistics; else it takes those of the batch.
        hide: share of the features' channels that are left out while it learns.
        weighted: rare grades count more.
        method: supervised, or with unlabelled real imagery dacs or cbst.
        imagery: unlabelled real imagery: ``dev``, also of the places that rounds are judged on; or ``open``, that may
            be passed on, none of which is judged but Kampala's.
        few: labelled real chips beside the source.
        start: name of the setting whose model it begins with.
        adapted: it begins with BatchNorm's statistics of the unlabelled real imagery.
        parted: cbst is told the shares that the model it begins with finds by the threshold of each place; else those
            of simulated places of the same style.
    """

    synthetic: bool = True
    corpus: str = "main"
    annotated: bool = True
    zoom: float = 1.0
    jitter: float = 1.0
    far: bool = False
    same: float = 0.0
    places: tuple[str, ...] = ("",)
    views: str | None = None
    most: int | None = None
    colours: str | None = None
    alone: bool = False
    pretrained: bool = True
    pretext: str | None = None
    lite: int = 0
    rate: float = 0.0
    fixed: bool = False
    hide: float = 0.0
    weighted: bool = True
    method: str = "supervised"
    imagery: str = "dev"
    few: int = 0
    start: str | None = None
    adapted: bool = False
    parted: bool = False
    steps: int = 400
    batch: int = 8
    lr: float = 2e-3
    seed: int = 0

    def name(self) -> str:
        """12 hex digits of all that is set otherwise than by default, so that a further field changes no name."""
        plain = asdict(Setting())
        told = {field: value for field, value in asdict(self).items() if value != plain[field]}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:12]


class Steady(Supervised):
    """A method whose encoder always normalises by the statistics that it came with, and learns at a rate of its own."""

    model: SiameseDamageNet
    rate = 1.0

    def train(self, mode: bool = True) -> Self:
        """Training mode, but for the encoder."""
        super().train(mode)
        self.model.encoder.train(False)
        return self

    def rates(self) -> dict[str, float]:
        """The encoder's multiple of the learning rate."""
        return {"model.encoder": self.rate}


class SteadyCBST(Steady, CBST):
    """Learns from labels and from unlabelled imagery."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where things are: the folder of corpora and which is ours, runs, and real chips: ``few`` to draw labels from, and
    by the kind of imagery ``free`` whose labels are not read; and the device that learns.
    """

    corpora: Path
    source: str
    runs: Path
    few: list[Chip]
    free: dict[str, list[Chip]]
    device: str = "cpu"


def train(setting: Setting, ground: Ground, begin: Run | None = None) -> tuple[Run, float]:
    """The run of a setting, and the CPU seconds that it took; trained where it is not there yet."""
    out = ground.runs / f"{ground.source}-{setting.name()}"
    record = out / "setting.json"
    if record.is_file():
        return open_run(out), json.loads(record.read_text())["seconds"]
    began = time.process_time()
    source = pairs(setting, ground) if setting.synthetic else None
    weights = grade_weights(source.grade_counts()) if setting.weighted and source is not None else None
    model = network(setting, ground, begin)
    free = unlabelled(setting, ground, model)
    if setting.adapted:
        adapt_batch_norm(model, Before(ground.free[setting.imagery], 128), batch=8, device=ground.device)
    options = {"weights": weights, "augment": looks(setting.jitter, setting.far, setting.same), "hide": setting.hide}
    method = learner(setting, model, options)
    run = fit(
        method,
        source,
        Chips(chosen(ground.few, setting.few, setting.seed), 128) if setting.few else None,
        free,
        out=out,
        steps=setting.steps,
        batch=setting.batch,
        lr=setting.lr,
        seed=setting.seed,
        device=ground.device,
        preview=0,
        every=200,
        resume=_begun(out),
    )
    spent = round(time.process_time() - began, 1)
    record.write_text(json.dumps(asdict(setting) | {"seconds": spent}, indent=1) + "\n")
    return run, spent


def learner(setting: Setting, model: nn.Module, options: dict[str, Any]) -> Supervised:
    """The method of a setting."""
    if not setting.fixed:
        return DACS(model, **options) if setting.method == "dacs" else Supervised(model, **options)
    found = SteadyCBST(model, share=SHARE, **options) if setting.method == "cbst" else Steady(model, **options)
    found.rate = setting.rate
    return found


def unlabelled(setting: Setting, ground: Ground, model: nn.Module) -> Dataset[dict[str, Any]] | None:
    """Real imagery whose labels are not read: pairs, or for cbst the images before alone."""
    if setting.method == "cbst":
        chips = ground.free[setting.imagery]
        return Before(chips, 128, 1.3, built_shares(model, chips) if setting.parted else None)
    return Chips(ground.free[setting.imagery], 128) if setting.method == "dacs" else None


def _begun(out: Path) -> bool:
    """Whether a run can be gone on with; what cannot is cleared away."""
    try:
        open_run(out)
    except ModelError:
        shutil.rmtree(out, ignore_errors=True)
        return False
    return True


def network(setting: Setting, ground: Ground, begin: Run | None = None) -> nn.Module:
    """The siamese net of a setting, of an EfficientNet-Lite or a small encoder, begun where ``begin`` ended."""
    if setting.pretrained:
        encoder = load_pretrained(EfficientNetLite(setting.lite), bundled_weights(setting.lite))
        model = SiameseDamageNet(encoder=encoder, alone=setting.alone, seed=setting.seed)
    else:
        model = SiameseDamageNet(alone=setting.alone, seed=setting.seed)
        if setting.pretext is not None:
            taught(model.encoder, setting, ground)
    if begin is not None:
        begin.load_into(model)
    if setting.pretrained and not setting.rate:
        model.encoder.requires_grad_(False).to(memory_format=torch.channels_last)
    return model


def taught(encoder: nn.Module, setting: Setting, ground: Ground) -> None:
    """Have an encoder learn its pretext task, 300 steps of 8 crops."""
    if setting.pretext == "geometry":
        method: Pretext = Geometry(encoder, seed=setting.seed)
        root = ground.corpora / ground.source
        streams: dict[str, Any] = {"source": ShardDataset(root, size=128, labels=("pre_height", "post_height"))}
    else:  # a queue that fits so few images; both views are of one image
        method = MoCo(encoder, queue=512, temporal=0.0, decay=0.99, seed=setting.seed)
        streams = {"unlabelled": Before(ground.free[setting.imagery], 128, 1.3)}
    with tempfile.TemporaryDirectory() as out:
        options: dict[str, Any] = {"steps": 300, "batch": 8, "lr": 1e-3, "device": ground.device}
        fit(method, **streams, out=out, seed=setting.seed, preview=0, **options)


def pairs(setting: Setting, ground: Ground) -> Pairs:
    """The synthetic pairs of a setting."""
    root = ground.corpora / ground.source
    return Pairs(
        root,
        annotated=setting.annotated,
        zoom=setting.zoom,
        kept=_kept(setting, root),
        colours=None if setting.colours is None else _colours(setting.colours, ground, replace(setting, colours=None)),
    )


def _kept(setting: Setting, root: Path) -> Callable[[str], bool] | None:
    if setting.places == ("",) and setting.views is None and setting.most is None:
        return None
    plain = ShardDataset(root)
    rows = [row for row in plain.rows if row.place.startswith(setting.places)]
    if setting.views is not None:
        angles = {event.name: max(event.recipe["view"]["off_nadir"]) for event in plain.record.events}
        rows = [row for row in rows if (angles[row.event] <= 10) == (setting.views == "nadir")]
    order = np.random.default_rng(0).permutation(len(rows))[: setting.most]
    names = {rows[i].key for i in order}
    return names.__contains__


def _colours(kind: str, ground: Ground, plain: Setting) -> Colours:
    """A map of colours for the whole source domain, towards a target image that is drawn."""
    translator: Translator = TRANSLATORS[kind]()
    target = [chip.image for chip in ground.free[plain.imagery]]
    if kind == "fourier":
        translator.fit(target)  # type: ignore[attr-defined]
    else:
        source = pairs(plain, ground)
        translator.fit(target, [source.tile(i)["image"].numpy() for i in range(len(source))])  # type: ignore[attr-defined]

    def change(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return image if rng.random() < 0.3 else translator.transform(image, rng)

    return change


def chosen(chips: list[Chip], number: int, seed: int) -> list[Chip]:
    """So many chips that hold buildings, drawn; of one seed the fewer are among the more."""
    built = [chip for chip in chips if ((chip.mask > 0) & (chip.mask < 255)).mean() > 0.02]
    order = np.random.default_rng(seed).permutation(len(built))
    return [built[i] for i in order[:number]]
