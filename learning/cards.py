"""Model cards: what somebody who is handed a model needs to know, as model hubs show it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from mage.learning.runs import Run, TrainedOn
from mage.scenes.errors import ModelError

LICENCES = {  # our names (SPDX) to those that hubs know
    "Apache-2.0": "apache-2.0",
    "CC-BY-4.0": "cc-by-4.0",
    "CC-BY-SA-4.0": "cc-by-sa-4.0",
    "CC-BY-NC-4.0": "cc-by-nc-4.0",
    "CC-BY-NC-SA-4.0": "cc-by-nc-sa-4.0",
    "CC0-1.0": "cc0-1.0",
    "MIT": "mit",
    "ODbL-1.0": "odbl",
}
LIMITS = (
    "Trained on what is named above and nothing else: under other sensors, seasons, building styles or hazards it errs "
    "more, and its probabilities are not calibrated for them. A map of damage is no substitute for a look at the place."
)


@dataclass(frozen=True, slots=True)
class Card:
    """What a model is, in the words of who made it.

    Attributes:
        title: of the card.
        trained_on: which images and labels, and whose.
        licence: of the weights, by its SPDX name where it has one.
        classes: names of the values of a mask; empty takes the network's own.
        figures: what was measured, by name; say on what in ``measured_on``.
        measured_on: the samples that the figures are of.
        limits: what it should not be used for.
        recipe: how it was trained, by name.
        notes: what else there is to say, in Markdown.

    >>> card = Card("Water", "a drawn lake", "CC0-1.0", figures={"mean IoU": 0.9}, measured_on="a lake nearby")
    >>> "| mean IoU | 0.9 |" in card.text(["land", "water"], {"input": "one image"})
    True
    """

    title: str
    trained_on: str
    licence: str
    classes: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    measured_on: str = ""
    limits: str = LIMITS
    recipe: Mapping[str, object] = field(default_factory=dict)
    notes: str = ""

    def __post_init__(self) -> None:
        for name in ("title", "trained_on", "licence", "limits"):
            if not getattr(self, name).strip():
                raise ModelError(f"a model card needs its '{name}'", expected="words", found="none")
        if self.figures and not self.measured_on.strip():
            raise ModelError("a model card with figures says on what they were measured", expected="'measured_on'")
        for name, value in self.figures.items():
            if not math.isfinite(value):
                raise ModelError(f"the figure '{name}' of a model card is not finite", found=str(value))

    def text(self, classes: Sequence[str], facts: Mapping[str, str]) -> str:
        """The card in Markdown, with front matter in YAML.

        >>> card = Card("Water", "a drawn lake", "CC0-1.0")
        >>> card.text(["land", "water"], {"input": "one image"}).splitlines()[1:3]
        ['license: cc0-1.0', 'library_name: mage']
        """
        front = yaml.safe_dump(self._front(), sort_keys=False, allow_unicode=True, width=10_000)
        parts = [
            f"---\n{front}---\n\n# {_line(self.title)}",
            _table({**facts, "classes": ", ".join(f"{n} {name}" for n, name in enumerate(classes))}),
            f"## Trained on\n\n{self.trained_on.strip()}",
            f"## Licence\n\n{_line(self.licence)}",
        ]
        if self.figures:
            rows = {name: f"{value:.4g}" for name, value in self.figures.items()}
            parts.append(f"## Figures\n\nMeasured on {_line(self.measured_on)}.\n\n{_table(rows)}")
        parts.append(f"## Limits\n\n{self.limits.strip()}")
        if self.recipe:
            rows = {name: str(value) for name, value in self.recipe.items()}
            parts.append(f"## Training recipe\n\n{_table(rows)}")
        parts.append(f"## Use\n\n{USE}")
        return "\n\n".join([*parts, *([self.notes.strip()] if self.notes.strip() else [])]) + "\n"

    def _front(self) -> dict[str, Any]:
        known = LICENCES.get(self.licence)
        front: dict[str, Any] = {"license": known or "other"}
        if known is None:
            front["license_name"] = _line(self.licence)
        front |= {
            "library_name": "mage",
            "pipeline_tag": "image-segmentation",
            "tags": ["remote-sensing", "disaster", "damage-assessment", "synthetic-data"],
        }
        if self.figures:
            metrics = [{"type": _slug(name), "name": name, "value": float(v)} for name, v in self.figures.items()]
            data = {"type": _slug(self.measured_on), "name": _line(self.measured_on)}
            result = {"task": {"type": "image-segmentation"}, "dataset": data, "metrics": metrics}
            front["model-index"] = [{"name": _line(self.title), "results": [result]}]
        return front


USE = """```python
from mage.learning import load_model

model = load_model("model.safetensors")
classes, probabilities = model.predict(*images)  # uint8 (H, W, bands) each
```"""


def card_of(
    run: Run,
    *,
    title: str,
    licence: str,
    figures: Mapping[str, float] | None = None,
    measured_on: str = "",
    limits: str = LIMITS,
    notes: str = "",
) -> Card:
    """The card of a run's model: what it was trained on and how is read from the run.

    Raises:
        ModelError: the run's record cannot be read, or the card would lack something.

    >>> from mage.learning import open_run
    >>> card = card_of(open_run(run), title="A damage model", licence="Apache-2.0")
    >>> card.recipe["method"], card.recipe["steps done"]
    ('Supervised', 4)
    """
    record, streams = run.record, run.trained_on().streams()
    recipe: dict[str, object] = {"method": record.method.name, **record.method.settings}
    recipe |= record.arguments.model_dump() | {"steps done": record.step, "precision": record.precision}
    return Card(
        title,
        "\n".join(f"- {name}: {_of(stream)}" for name, stream in streams.items()),
        licence,
        figures=figures or {},
        measured_on=measured_on,
        limits=limits,
        recipe=recipe | {f"{name} version": version for name, version in record.versions.items()},
        notes=notes,
    )


def _of(stream: TrainedOn) -> str:
    about = {"recipe": stream.recipe_hash, "seed": stream.seed, "split": stream.split, "crops of": stream.size}
    told = "".join(f", {name} {value}" for name, value in about.items() if value is not None)
    return f"{stream.samples} samples of {_line(stream.name)}{told}"


def _table(rows: Mapping[str, str]) -> str:
    lines = [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _line(text: str) -> str:
    return " ".join(text.split())


def _slug(text: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
