"""Recipes: what to generate, as YAML checked by pydantic with all mistakes reported at once."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationError

from mage.scenes.errors import RecipeError
from mage.scenes.parts import CampPart, EarthquakePart, FirePart, FloodPart, PluginPart, WindPart
from mage.scenes.settings import (
    AtmospherePart,
    BetweenPart,
    CityPart,
    LightPart,
    OutputPart,
    Part,
    TilesPart,
    ViewPart,
)
from mage.scenes.yamlio import parse_yaml, read_yaml, reason_of

STYLE_FILES = SENSOR_FILES = (".yaml", ".yml")
MIXTURE = "mixture"  # the radiometry that draws a kind for each date
LONGEST_CHAIN = 8

Quality = Literal["draft", "standard", "high"]
# PSNR in dB of 8-bit sRGB after the nominal stretch against a reference of 1,024 samples that the scenes of
# benchmarks/samples.py reach with the samples below, which are more where the sun is low or buildings stand close,
# since shade is noisier than sunlight, on water, whose ripples glint, and where buildings broke: a denoiser takes the
# fine grain of rubble for noise
QUALITY: dict[Quality, float] = {"draft": 32.0, "standard": 36.0, "high": 40.0}
SAMPLES: dict[Quality, int] = {"draft": 2, "standard": 4, "high": 12}
SAMPLES_IN_THE_OPEN: dict[Quality, int] = {"draft": 2, "standard": 3, "high": 8}
OPEN = 0.08  # share of a picture in the shade of buildings or under water below which it counts as open
SAMPLES_UNDER_LOW_SUN: dict[Quality, int] = {"draft": 2, "standard": 8, "high": 48}
LOW_SUN = math.radians(25.0)  # elevation below which it counts as low
SAMPLES_OF_RUBBLE: dict[Quality, int] = {"draft": 8, "standard": 16, "high": 48}
NOT_DENOISED: dict[Quality, int] = {"draft": 32, "standard": 64, "high": 192}
EEVEE_SAMPLES = 32  # of anti-aliasing and soft shadows; it is not held to a reference


def _kind(value: Any) -> str:
    """Which part of a hazard a value is meant to be; a flood where it does not say, and ``chain`` for a list."""
    if isinstance(value, (list, tuple)):
        return "chain"
    kind = value.get("kind", "flood") if isinstance(value, Mapping) else getattr(value, "kind", "")
    return str(kind)


def _is_chain(parts: tuple[HazardPart, ...]) -> tuple[HazardPart, ...]:
    if not 1 <= len(parts) <= LONGEST_CHAIN:
        raise ValueError(f"a chain holds 1 to {LONGEST_CHAIN} hazards, found {len(parts)}")
    if sum(part.kind == "flood" for part in parts) > 1:
        raise ValueError("a chain holds one flood at most")
    if any(part.kind == "camp" for part in parts[:-1]):
        raise ValueError("a camp comes last in a chain: it is put up where the disaster has not come")
    return parts


_BY_KIND = Discriminator(
    _kind,
    custom_error_type="hazard_kind",
    custom_error_message="no such kind of hazard, expected flood, earthquake, wind, fire, camp or plugin",
)
HazardPart = FloodPart | EarthquakePart | WindPart | FirePart | CampPart | PluginPart
_OneHazard = Annotated[
    Annotated[FloodPart, Tag("flood")]
    | Annotated[EarthquakePart, Tag("earthquake")]
    | Annotated[WindPart, Tag("wind")]
    | Annotated[FirePart, Tag("fire")]
    | Annotated[CampPart, Tag("camp")]
    | Annotated[PluginPart, Tag("plugin")],
    _BY_KIND,
]
_Chain = Annotated[tuple[_OneHazard, ...], AfterValidator(_is_chain)]
Hazard = Annotated[
    Annotated[FloodPart, Tag("flood")]
    | Annotated[EarthquakePart, Tag("earthquake")]
    | Annotated[WindPart, Tag("wind")]
    | Annotated[FirePart, Tag("fire")]
    | Annotated[CampPart, Tag("camp")]
    | Annotated[PluginPart, Tag("plugin")]
    | Annotated[_Chain, Tag("chain")],
    _BY_KIND,
]


class RenderPart(Part):
    """How Blender renders."""

    engine: Literal["cycles", "eevee"] = Field("cycles", description="path tracing, or rasterising (needs OpenGL)")
    quality: Quality = Field("standard", description="PSNR against a reference of 1,024 samples; see QUALITY")
    spp: int | None = Field(None, ge=1, le=4096, description="samples per pixel; none goes by the quality")
    denoise: bool = Field(True, description="OpenImageDenoise, fast prefilter")
    device: Literal["auto", "cpu", "cuda", "optix", "hip", "metal", "oneapi"] = "auto"

    def samples(self, elevation: float, *, hard: float = 1.0, rubble: bool = False) -> int:
        """Samples per pixel under a sun at ``elevation``, radians, where ``hard`` is the share of the picture in the
        shade of buildings or under water; ``rubble`` where some broke.
        """
        if self.spp is not None:
            return self.spp
        if self.engine == "eevee":
            return EEVEE_SAMPLES
        if not self.denoise:
            return NOT_DENOISED[self.quality]
        if rubble:
            return SAMPLES_OF_RUBBLE[self.quality]
        if elevation < LOW_SUN:
            return SAMPLES_UNDER_LOW_SUN[self.quality]
        return (SAMPLES_IN_THE_OPEN if hard < OPEN else SAMPLES)[self.quality]


class Recipe(Part):
    """A dataset to generate; see README, "Recipes"."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = Field(0, ge=0, le=2**63 - 1)
    count: int = Field(4, ge=1, le=10_000_000)
    city: CityPart = CityPart()
    hazard: Hazard = FloodPart()
    light: LightPart = LightPart()
    between: BetweenPart = BetweenPart()
    view: ViewPart = ViewPart()
    atmosphere: AtmospherePart = AtmospherePart()
    sensors: tuple[str, ...] = Field((), max_length=8, description="further images, by sensors' names or files")
    radiometry: str | None = Field(None, description="kind of the default image, or `mixture`; none is xBD's")
    label_style: Literal["exact", "annotator"] = Field(
        "exact", description="the exact truth alone, or with it what annotators would have drawn"
    )
    label_policy: Literal["xbd", "roof", "bright"] = Field(
        "xbd", description="how annotators grade: by what is seen and the water around it, by roofs alone, in classes"
    )
    tiles: TilesPart = TilesPart()
    output: OutputPart = OutputPart()
    render: RenderPart = RenderPart()

    @property
    def hazards(self) -> tuple[HazardPart, ...]:
        """The parts of all hazards, in the order in which they strike."""
        return self.hazard if isinstance(self.hazard, tuple) else (self.hazard,)

    def samples(self, elevation: float, *, hard: float = 1.0, after: bool = True) -> int:
        """Samples per pixel of a picture before or ``after`` the disaster; see :meth:`RenderPart.samples`."""
        breaking = after and any(part.kind != "flood" for part in self.hazards)
        return self.render.samples(elevation, hard=hard, rubble=breaking)

    @property
    def disaster(self) -> str:
        """The hazards' kinds in order, of plugins their names: ``flood``, ``earthquake-fire`` ..."""
        return "-".join(part.name if isinstance(part, PluginPart) else part.kind for part in self.hazards)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all files that decide what is rendered."""
        style = self.city.style or ""
        maps = [part.shakemap for part in self.hazards if isinstance(part, EarthquakePart)]
        maps += [part.file for part in self.hazards if isinstance(part, FloodPart)]
        own = style if style.endswith(STYLE_FILES) else None
        sensors = [name for name in self.sensors if name.endswith(SENSOR_FILES)]
        named = (self.city.file, *self.city.terrain, self.city.surface, own, *maps, *sensors)
        return tuple(dict.fromkeys(path for path in named if path))

    @property
    def plugins(self) -> tuple[str, ...]:
        """Import paths of the hazards of the user's own."""
        return tuple(dict.fromkeys(part.function for part in self.hazards if isinstance(part, PluginPart)))

    def hash(self, digests: Mapping[str, str]) -> str:
        """16 hex digits over all that decides what is rendered.

        Files count by their content (``digests``: the SHA-256 of each of :attr:`files`, and of the source of each of
        :attr:`plugins`), not by their path; seed, count, device and packing do not count.
        """
        content = self.model_dump(mode="json")
        for key in ("seed", "count"):
            del content[key]
        del content["render"]["device"], content["output"]["shard_size"]
        city = content["city"]
        # younger than recipes whose hash must not change
        for key in ("name", "seed"):
            if city[key] is None:
                del city[key]
        if self.tiles == TilesPart():
            del content["tiles"]
        for key in ("file", "style", "surface"):
            city[key] = digests.get(city[key], city[key])
        city["terrain"] = [digests[path] for path in city["terrain"]]
        content["sensors"] = [digests.get(name, name) for name in content["sensors"]]
        for part in content["hazard"] if isinstance(content["hazard"], list) else [content["hazard"]]:
            for key in ("shakemap", "file"):
                if part.get(key) is not None:
                    part[key] = digests[part[key]]
            if "function" in part:
                part["function"] = f"{digests[part['function']]}:{part['function'].partition(':')[2]}"
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_yaml(self) -> str:
        """The recipe as YAML that :func:`read_recipe` reads back to an equal value."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def bundled_recipes() -> list[str]:
    """Names of the recipes that come with MAGE."""
    return sorted(f.name.removesuffix(".yaml") for f in files("mage.assets").joinpath("recipes").iterdir())


def read_recipe(name_or_path: str, overrides: dict[str, Any] | None = None) -> Recipe:
    """A bundled recipe by its name, or one from a file, with dotted ``overrides`` such as ``{"output.size": 256}``.

    The style that a bundled recipe names is that of its made-up city: with a city's file it gives way to the style of
    where that city is.

    Raises:
        RecipeError: no such recipe, bad YAML, or any invalid key or value; every mistake is listed with its path.
    """
    if name_or_path in bundled_recipes():
        text = files("mage.assets").joinpath("recipes", f"{name_or_path}.yaml").read_text(encoding="utf-8")
        content = parse_yaml(text, f"{name_or_path}.yaml")
    elif Path(name_or_path).suffix in (".yaml", ".yml") or Path(name_or_path).exists():
        content = read_yaml(Path(name_or_path))
    else:
        raise RecipeError(
            "no such recipe", file=name_or_path, expected=f"a .yaml file or one of: {', '.join(bundled_recipes())}"
        )
    if not isinstance(content, dict):
        raise RecipeError("not a recipe", file=name_or_path, expected="a mapping of keys", found=type(content).__name__)
    overrides = overrides or {}
    if name_or_path in bundled_recipes() and overrides.get("city.file") is not None:
        content.get("city", {}).pop("style", None)
    for path, value in overrides.items():
        assign(content, path, value)
    return as_recipe(content, name_or_path)


def as_recipe(content: Any, file: str) -> Recipe:
    """A recipe out of the content of its YAML.

    Raises:
        RecipeError: any invalid key or value; every mistake is listed with its path.
    """
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{_path_of(e['loc']) or 'recipe'}: {reason_of(e)}" for e in error.errors(include_url=False)
        )
        raise RecipeError(f"{error.error_count()} mistake(s): {mistakes}", file=file) from None


def parse_assignment(text: str) -> tuple[str, Any]:
    """``key.path=value`` of the command line as (path, value); the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise RecipeError(f"cannot understand '{text}'", expected="key=value, such as output.shard_size=8")
    return key, parse_yaml(value, f"--set {key}")


def assign(content: dict[str, Any], path: str, value: Any) -> None:
    """Put a value into nested mappings at a dotted path.

    Raises:
        RecipeError: the path leads through a plain value.
    """
    *parents, last = path.split(".")
    for part in parents:
        child = content.setdefault(part, {})
        if not isinstance(child, dict):
            raise RecipeError(f"'{path}' leads into '{part}', which holds a plain value")
        content = child
    content[last] = value


def _path_of(place: tuple[int | str, ...]) -> str:
    """Where a mistake is, as keys joined by dots, without the kinds of hazards that pydantic puts among them."""
    keys = list(place)
    if keys[:1] == ["hazard"]:
        del keys[1:2]
        if len(keys) > 1 and isinstance(keys[1], int):
            del keys[2:3]
    return ".".join(map(str, keys))
