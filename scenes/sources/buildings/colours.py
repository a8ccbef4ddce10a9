"""Colours that sources state for roofs and walls: hex codes, names, and materials."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Literal

from mage.scenes.city import Colour
from mage.scenes.yamlio import parse_yaml

_HEX = re.compile(r"#?([0-9a-f]{3}|[0-9a-f]{6})(?:[0-9a-f]{2})?")


@cache
def _tables() -> dict[str, dict[str, Colour]]:
    text = files("mage.assets").joinpath("materials.yaml").read_text(encoding="utf-8")
    content = parse_yaml(text, "materials.yaml")
    named = ("colours", "roofs", "walls")
    return {kind: {name: (r, g, b) for name, (r, g, b) in content[kind].items()} for kind in named}


def colour_of(text: str | None) -> Colour | None:
    """8-bit sRGB of ``#c84``, ``#cc8844`` or a name (``dark red`` is ``darkred``); None for all else."""
    text = (text or "").split(";")[0].strip().lower()[:40]
    match = _HEX.fullmatch(text)
    names = _tables()["colours"]
    if match and (text.startswith("#") or text not in names):
        digits = match[1] if len(match[1]) == 6 else "".join(2 * c for c in match[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    plain = re.sub(r"[\s_-]+", "_", text)
    return names.get(plain) or names.get(plain.replace("_", ""))


def material_colour(material: str | None, part: Literal["roofs", "walls"]) -> Colour | None:
    """8-bit sRGB that a roof or a wall of this material has as a rule; None for a material that is not known."""
    plain = re.sub(r"[\s_-]+", "_", (material or "").split(";")[0].strip().lower()[:40])
    return _tables()[part].get(plain)
