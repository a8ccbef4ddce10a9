"""How label rasters are shown: classes by colour and name, instances by colours of their own, measures by a scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.scenes.dataset.fields import DAMAGE_COLOURS, LabelField
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.grades import JDS_NAMES, Ems98

Colour = tuple[int, int, int]

GRADE_COLOURS: tuple[Colour, ...] = (*DAMAGE_COLOURS[:3], (245, 168, 52), (234, 105, 38), (206, 42, 52), (120, 16, 60))
# what people call the rasters, in the order in which they are offered
TITLES = {
    "class": "Land cover",
    "building": "Buildings",
    "height": "Height",
    "road": "Roads",
    "water": "Permanent water",
    "cloud": "Cloud",
    "annotated": "Annotators’ outlines",
    "damage": "Damage grade",
    "ems98": "EMS-98, physical",
    "visible": "EMS-98, visible",
    "debris": "Debris",
    "burn": "Burn severity",
    "flood": "Flood water",
    "depth": "Flood depth",
    "mud": "Mud",
    "blocked": "Closed roads",
    "tent": "Tents",
}
BINARY: dict[str, tuple[Colour, str]] = {
    "water": ((60, 110, 190), "permanent water"),
    "flood": ((64, 164, 232), "flood water"),
    "mud": ((150, 104, 52), "mud"),
    "debris": ((232, 120, 64), "debris"),
    "blocked": ((222, 38, 78), "closed to cars"),
}
# stops of colour from low to high, even apart
RAMPS: dict[str, tuple[Colour, ...]] = {
    "height": ((52, 36, 110), (38, 98, 146), (32, 150, 138), (122, 204, 84), (250, 228, 62)),
    "depth": ((190, 232, 246), (92, 184, 228), (32, 116, 200), (22, 58, 148), (24, 16, 84)),
    "burn": ((254, 224, 118), (250, 152, 48), (222, 66, 34), (138, 18, 36), (56, 8, 28)),
    "cloud": ((206, 196, 236), (170, 140, 222), (132, 88, 200), (96, 44, 162)),
}
PLAIN: tuple[Colour, ...] = ((40, 40, 60), (240, 240, 200))
BRIGHT_NAMES = ("intact", "damaged", "destroyed")


@dataclass(frozen=True, slots=True)
class Layer:
    """How one label raster is shown. ``kind`` is ``classes`` (``names`` and ``colours`` by value), ``instances``, or
    ``scale`` (``ramp`` of colours; a value times ``step`` is in ``unit``). Zero is nothing and shows as nothing.
    """

    kind: str
    names: dict[int, str] = field(default_factory=dict)
    colours: dict[int, Colour] = field(default_factory=dict)
    ramp: tuple[Colour, ...] = ()
    step: float = 1.0
    unit: str = ""

    def say(self, value: int) -> str:
        """A value in words."""
        if self.kind == "instances":
            return f"#{value}" if value else "none"
        if self.kind == "scale":
            return f"{value * self.step:.{2 if self.step < 1 else 0}f} {self.unit}"
        return self.names.get(value, str(value) if value else "none")


def layer_of(member: str, label: LabelField, manifest: DatasetRecord) -> Layer:
    """How the label raster ``member`` (``post_damage`` ...) of a dataset is shown."""
    known: dict[str, Callable[[], Layer]] = {
        "class": lambda: _land(manifest),
        "damage": lambda: _classes(("background", *JDS_NAMES), DAMAGE_COLOURS),
        "ems98": _ems98,
        "visible": _ems98,
    }
    if label.name in known:
        return known[label.name]()
    if label.name in BINARY:
        colour, word = BINARY[label.name]
        return Layer("classes", {0: "none", 1: word}, {1: colour})
    if label.unit:
        centimetres = label.unit == "cm"
        ramp = RAMPS.get(label.name, PLAIN)
        return Layer("scale", ramp=ramp, step=0.01 if centimetres else 1.0, unit="m" if centimetres else label.unit)
    if member == "post_annotated":
        bright = manifest.recipe.get("label_policy") == "bright"
        return _classes(("background", *(BRIGHT_NAMES if bright else JDS_NAMES)), DAMAGE_COLOURS)
    return Layer("instances")


def paint(layer: Layer, raster: NDArray[Any], top: int) -> NDArray[np.uint8]:
    """A label raster as uint8 (rows, columns, 4) RGBA; ``top`` is the value at the end of a scale."""
    table = _table(layer, int(raster.max(initial=0)) + 1, top)
    return np.asarray(table[raster], np.uint8)


def legend(layer: Layer, raster: NDArray[Any], top: int) -> dict[str, Any]:
    """What the colours of a raster mean, JSON types only: of classes those present and their share of the tile."""
    counts = np.bincount(raster.ravel(), minlength=1)
    values = [int(value) for value in np.flatnonzero(counts) if value]
    found: dict[str, Any] = {"kind": layer.kind, "share": round(1 - int(counts[0]) / raster.size, 6)}
    if layer.kind == "instances":
        return found | {"count": len(values)}
    if layer.kind == "scale":
        found |= {"ramp": [list(colour) for colour in layer.ramp], "unit": layer.unit, "top": top * layer.step}
        return found | {"highest": layer.say(int(raster.max(initial=0)))}
    table = _table(layer, len(counts), top)
    entries = [
        {"value": v, "name": layer.say(v), "colour": table[v, :3].tolist(), "share": round(counts[v] / raster.size, 6)}
        for v in values
    ]
    return found | {"entries": entries}


def nice_top(highest: int, layer: Layer) -> int:
    """The value at which a scale ends: a round one at or above the highest; of shares, 100 %."""
    if layer.unit == "%":
        return 100
    power = 10 ** max(len(str(highest)) - 1, 0)
    return next(int(power * step) for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if power * step >= highest)


def instance_colours(count: int) -> NDArray[np.uint8]:
    """uint8 (count, 3): a colour for each number from 0 on, the same in every picture, neighbours far apart."""
    numbers = np.arange(count)
    hue = (numbers * 0.61803398875) % 1.0  # the golden ratio: the hues of any few numbers in a row are well apart
    light = np.array([0.95, 0.75, 0.6])[numbers % 3]
    phase = (hue[:, None] * 6 + np.array([5, 3, 1])) % 6
    colours = light[:, None] * (1 - 0.7 * np.clip(np.minimum(phase, 4 - phase), 0, 1))
    return np.asarray(np.round(colours * 255), np.uint8)


def _table(layer: Layer, size: int, top: int) -> NDArray[np.uint8]:
    """uint8 (size, 4): the RGBA of each value."""
    table = np.full((size, 4), 255, np.uint8)
    if layer.kind == "scale":
        stops = np.array(layer.ramp, float)
        at = np.clip(np.arange(size) / max(top, 1), 0, 1) * (len(stops) - 1)
        table[:, :3] = np.stack([np.interp(at, range(len(stops)), stops[:, c]) for c in range(3)], axis=1).round()
    else:
        table[:, :3] = instance_colours(size)  # of classes that nobody gave a colour, too
        for value, colour in layer.colours.items():
            if 0 <= value < size:
                table[value, :3] = np.clip(colour, 0, 255)
    table[0] = 0
    return table


def _land(manifest: DatasetRecord) -> Layer:
    names = {value: name for name, value in manifest.classes.items()}
    colours = {value: manifest.colours[name] for value, name in names.items() if name in manifest.colours}
    return Layer("classes", names, colours)


def _ems98() -> Layer:
    grades = (f"{int(grade)} {grade.name.lower().replace('_', ' ')}" for grade in Ems98)
    return _classes(("background", *grades), GRADE_COLOURS)


def _classes(names: tuple[str, ...], colours: tuple[Colour, ...]) -> Layer:
    shown = {value: colours[value] for value in range(1, len(names))}
    return Layer("classes", dict(enumerate(names)), shown)
