"""A network as the steps of mapping use it: what it is shown, what its maps are of, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mage.learning.bundled import bundled_folder
from mage.learning.cards import card_of
from mage.learning.density import Density
from mage.learning.mapping.stream import Maps
from mage.learning.names import Head
from mage.learning.network import Network
from mage.learning.predict import predict_maps
from mage.learning.runs import open_run
from mage.learning.saved import CARD, WEIGHTS, ModelRecord, density_of, is_run, load_model, model_record
from mage.scenes.errors import ModelError
from mage.scenes.metrics import grade_names

BACKGROUND = "background"
FURTHER = {  # probabilities of further heads, as bands are called
    Head.FLOOD: ("flood",),
    Head.ROAD: ("no road", "open road", "blocked road"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Grader:
    """A model that grades buildings, from an image before and one after or from one after alone.

    Attributes:
        network: of two dates or of one; its classes are the background, then two grades or more, from no damage to
            destroyed.
        file: its weights; None where it is not on disk.
        facts: what it says of itself, by name.
        card: the model card, Markdown; empty where there is none.
        density: of what it was trained on; None where nobody fitted one.
        gsd: metres of a pixel, least and most, that it was trained for; None where it does not say.

    >>> from mage.learning import SiameseDamageNet
    >>> grader = Grader(SiameseDamageNet(width=2, heads=["flood"]))
    >>> grader.names[0], grader.names[-1], grader.grades
    ('background', 'flood', 4)
    >>> grader.forward(np.zeros((2, 3, 20, 30), np.uint8)).shape
    (6, 20, 30)
    """

    network: Network
    file: Path | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    card: str = ""
    density: Density | None = None
    gsd: tuple[float, float] | None = None

    @property
    def grades(self) -> int:
        """Their number."""
        return self.network.classes - 1

    @property
    def names(self) -> tuple[str, ...]:
        """Of the maps that :meth:`forward` gives."""
        heads = [name for head in _heads(self.network) for name in FURTHER[head]]
        return (BACKGROUND, *grade_names(self.grades), *heads)

    @property
    def stride(self) -> int:
        """Pixels between the places that the network looks at where it does so most coarsely."""
        return self.network.encoder.strides[-1]

    def forward(self, images: NDArray[np.uint8]) -> Maps:
        """Probabilities (maps, h, w) of images (dates, bands, h, w)."""
        shown = torch.from_numpy(images if self.network.dates > 1 else images[-1])
        maps = predict_maps(self.network, shown, window=max(images.shape[2:]))
        wanted = [maps["classes"], *(maps[head] for head in _heads(self.network))]
        return torch.cat(wanted).cpu().numpy()


def open_grader(path: Path | None = None, device: str = "auto") -> Grader:
    """The grader of a run, of a model that :func:`~mage.learning.save_model` wrote, or, without a path, of the model
    that comes with the package.

    Raises:
        ModelError: it is not there, cannot be read, or its classes are no grades of damage.
    """
    place = bundled_folder() if path is None else path
    network = load_model(place, device)
    opened = _of_run(place, network) if is_run(place) else _of_saved(place, network, bundled=path is None)
    if opened.grades < 2:
        expected, found = "a background and two grades or more", f"{network.classes} classes"
        raise ModelError("the model does not grade damage", file=place, expected=expected, found=found)
    return opened


def check_dates(grader: Grader, pre: bool) -> None:
    """Raise ModelError where a model of two dates is asked about one image."""
    if grader.network.dates > 1 and not pre:
        raise ModelError(
            "the model compares an image before the event with one after, and there is only one after",
            file=grader.file,
            expected="--pre, or --model with a model of one image, or --product DEL for the event's extent alone",
        )


def _of_run(place: Path, network: Network) -> Grader:
    run = open_run(place)
    streams = {f"trained on ({name})": stream.name for name, stream in run.trained_on().streams().items()}
    facts = _facts(place.resolve().name, network) | {"method": run.record.method.name, "steps": str(run.step)} | streams
    named = Grader(network)
    card = card_of(run, title=place.resolve().name, licence="not stated").text(named.names[: network.classes], facts)
    return Grader(network, run.checkpoint, facts, card, density_of(place, network))


def _of_saved(place: Path, network: Network, *, bundled: bool) -> Grader:
    file, record = place if place.suffix == ".safetensors" else place / WEIGHTS, model_record(place)
    wanted = (BACKGROUND, *grade_names(len(record.classes) - 1))
    if network.dates == 1 and record.classes != wanted:
        expected, found = ", ".join(wanted), ", ".join(record.classes)
        raise ModelError("the model's classes are no grades of damage", file=file, expected=expected, found=found)
    beside = file.with_name(CARD)
    card = beside.read_text(encoding="utf-8", errors="replace") if beside.is_file() else ""
    facts = _facts("bundled with MAGE" if bundled else file.resolve().parent.name, network)
    facts |= stated(record, card)
    return Grader(network, file, facts, card, density_of(place, network), record.gsd)


def stated(record: ModelRecord, card: str) -> dict[str, str]:
    """What a saved model and its card say of licence, pixels and limits, by name; what they do not is left out."""
    licences = [line.partition(":")[2].strip() for line in card.splitlines()[:10] if line.startswith("license")]
    facts = {"licence": licences[-1]} if licences else {}
    if record.gsd is not None:
        facts["pixels"] = f"{record.gsd[0]:.2g} to {record.gsd[1]:.2g} m"
    if warning := _warning(card):
        facts["warning"] = warning
    return facts


def _warning(card: str) -> str:
    """The first sentence of a card's section on limits; empty where there is none."""
    text = " ".join(card.partition("\n## Limits\n")[2].partition("\n## ")[0].split())
    return text.partition(". ")[0].rstrip(".") + "." if text else ""


def _facts(name: str, network: Network) -> dict[str, str]:
    images = "before and after" if network.dates > 1 else "after"
    calibrated = "on samples like its training" if network.temperatures is not None else "no"
    return {"name": name, "network": type(network).__name__, "images": images, "calibrated": calibrated}


def _heads(network: Network) -> list[Head]:
    """Further heads that tell probabilities."""
    return [head for head in getattr(network, "heads", ()) if head in FURTHER]
