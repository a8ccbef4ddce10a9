"""Mixtures: recipes of whole datasets, of many cities, hazards, seasons and splits; see README, "Mixtures"."""

from __future__ import annotations

import hashlib
import json
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from mage.scenes.campaign import SPLIT
from mage.scenes.errors import RecipeError
from mage.scenes.recipe import Recipe, assign, bundled_recipes, read_recipe
from mage.scenes.settings import DamagedPart
from mage.scenes.yamlio import parse_yaml, read_yaml, reason_of

MARKS = ("cities", "hazards", "vary", "splits", "events", "balance", "buffer", "overrides")  # no recipe has these keys
MOST_CITIES = 100_000
OWN = ("name", "seed", "count", "city.file")  # keys that `overrides` may not lay over events

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=50)]
SplitName = Annotated[str, StringConstraints(pattern=rf"^{SPLIT}$", max_length=30)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Alternative(BaseModel):
    """Keys of a recipe, as a mapping, that a share of events has; values may be distributions."""

    model_config = ConfigDict(extra="allow", frozen=True)

    weight: float = Field(1.0, gt=0, le=1e9, allow_inf_nan=False, description="against that of its fellows")
    copies: int = Field(1, ge=1, le=100_000, description="of a city: so many places that are made up alike")

    @property
    def content(self) -> dict[str, Any]:
        """The recipe's keys."""
        return dict(self.model_extra or {})


class SplitPart(_Part):
    """A part of the dataset. Its cities are its own, unless it lies ``within`` another split's."""

    share: float = Field(gt=0, le=1e9, allow_inf_nan=False, description="of all samples, against those of its fellows")
    cities: Annotated[int, Field(ge=1)] | tuple[Name, ...] | None = Field(
        None, description="by name, or how many; none takes what its share is of those that are left"
    )
    within: SplitName | None = Field(
        None, description="the split in whose cities its events are, in parts of them that are set apart"
    )
    hazards: tuple[Name, ...] | None = Field(None, description="alternatives that this split has alone")

    @model_validator(mode="after")
    def _of_one_kind(self) -> SplitPart:
        if self.within is not None and self.cities is not None:
            raise ValueError("a split `within` another has no cities of its own")
        if self.cities == () or self.hazards == ():
            raise ValueError("an empty list leaves a split nothing")
        return self


def _as_share(value: Any) -> Any:
    return {"share": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Mixture(_Part):
    """A dataset of many events, from which a campaign is drawn."""

    name: Name
    seed: int = Field(0, ge=0, le=2**63 - 1)
    count: int = Field(ge=1, le=10_000_000)
    events: int | None = Field(None, ge=1, le=1_000_000, description="none is every city with every hazard once")
    recipe: dict[str, Any] = Field({}, description="keys of a recipe that all events have, values or distributions")
    cities: dict[Name, Alternative] = Field(min_length=1)
    hazards: dict[Name, Alternative] = Field(min_length=1)
    vary: dict[Name, dict[Name, Alternative]] = Field({}, description="further alternatives: seasons, views …")
    splits: dict[SplitName, Annotated[SplitPart, BeforeValidator(_as_share)]] = Field(
        {"train": SplitPart(share=1.0)}, min_length=1
    )
    buffer: float = Field(100.0, ge=0, le=10_000, description="metres between tiles of two splits in one city")
    balance: DamagedPart | None = Field(None, description="least share of each split's samples with damage")
    overrides: dict[str, Any] = Field({}, description="dotted keys of a recipe that are laid over all events")

    @model_validator(mode="after")
    def _is_consistent(self) -> Mixture:
        for mistake in _mistakes(self):
            raise ValueError(mistake)
        return self

    @property
    def places(self) -> dict[str, Alternative]:
        """All cities by name, each copy of one as a city of its own with its share of the weight."""
        found = {}
        for name, city in self.cities.items():
            digits = len(str(city.copies - 1))
            for k in range(city.copies):
                called = name if city.copies == 1 else f"{name}-{k:0{digits}d}"
                found[called] = city.model_copy(update={"weight": city.weight / city.copies, "copies": 1})
        return found

    @property
    def hash(self) -> int:
        """Over all that decides what is drawn; seed, count and the dataset's name do not count."""
        content = self.model_dump(mode="json", exclude={"name", "seed", "count"})
        return int(hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16], 16)


def _mistakes(mixture: Mixture) -> list[str]:
    """What parts of a mixture say of each other that cannot be."""
    found: list[str] = []
    splits, copied = mixture.splits, sum(city.copies for city in mixture.cities.values())
    if copied > MOST_CITIES:
        return [f"cities: at most {MOST_CITIES:,}, found {copied:,}"]
    places = mixture.places
    if len(places) < copied:
        found.append("cities: a copy of one has the name of another")
    if any(h.copies > 1 for axis in (mixture.hazards, *mixture.vary.values()) for h in axis.values()):
        found.append("`copies` are of cities alone")
    found += [f"vary.{name} has no alternatives" for name, axis in mixture.vary.items() if not axis]
    for name, split in splits.items():
        host = None if split.within is None else splits.get(split.within)
        if split.within is not None and (host is None or host.within is not None):
            found.append(f"splits.{name}.within must name a split with cities of its own, found `{split.within}`")
        if isinstance(split.cities, tuple) and (odd := [c for c in split.cities if c not in places]):
            found.append(f"splits.{name}.cities: no such city, found `{odd[0]}`")
        if odd := [h for h in split.hazards or () if h not in mixture.hazards]:
            found.append(f"splits.{name}.hazards: no such hazard, found `{odd[0]}`")
    for what in ("cities", "hazards"):
        named = [n for s in splits.values() if isinstance(value := getattr(s, what), tuple) for n in value]
        if len(set(named)) < len(named):
            found.append(f"two splits hold {what} of one name: what one has alone, no other has")
    if len({h for s in splits.values() for h in s.hazards or ()}) == len(mixture.hazards) and any(
        s.hazards is None for s in splits.values()
    ):
        found.append("splits: all hazards are held back for some, and others have none")
    axes = {"cities": mixture.cities, "hazards": mixture.hazards}
    axes |= {f"vary.{name}": axis for name, axis in mixture.vary.items()}
    layers = {f"{a}.{n}": entry.content for a, axis in axes.items() for n, entry in axis.items()}
    for where, layer in ({"recipe": mixture.recipe} | layers).items():
        found += [
            f"{where}.{key}: is the mixture's, not an event's" for key in ("name", "seed", "count") if key in layer
        ]
    found += [f"overrides: {key} is not laid over events" for key in mixture.overrides if key in OWN]
    return found


def bundled_mixtures() -> list[str]:
    """Names of the mixtures that come with MAGE."""
    return sorted(f.name.removesuffix(".yaml") for f in files("mage.assets").joinpath("mixtures").iterdir())


def read_target(name_or_path: str, overrides: dict[str, Any] | None = None) -> Recipe | Mixture:
    """A recipe or a mixture, bundled or from a file; dotted ``overrides`` go over a recipe, or over all of a mixture's
    events but for its own ``seed`` and ``count``.

    Raises:
        RecipeError: as :func:`mage.scenes.recipe.read_recipe` and :func:`parse_mixture`.
    """
    if name_or_path in bundled_mixtures():
        text = files("mage.assets").joinpath("mixtures", f"{name_or_path}.yaml").read_text(encoding="utf-8")
        return parse_mixture(parse_yaml(text, f"{name_or_path}.yaml"), name_or_path, overrides)
    if name_or_path not in bundled_recipes() and Path(name_or_path).suffix in (".yaml", ".yml"):
        content = read_yaml(Path(name_or_path))
        if isinstance(content, dict) and any(key in content for key in MARKS):
            return parse_mixture(content, name_or_path, overrides)
    elif name_or_path not in bundled_recipes() and not Path(name_or_path).exists():
        known = ", ".join([*bundled_recipes(), *bundled_mixtures()])
        raise RecipeError("no such recipe", file=name_or_path, expected=f"a .yaml file or one of: {known}")
    return read_recipe(name_or_path, overrides)


def parse_mixture(content: Any, file: str, overrides: dict[str, Any] | None = None) -> Mixture:
    """A mixture out of the content of its YAML.

    Raises:
        RecipeError: not a mixture; every mistake is listed with its path.
    """
    content = plain(content)
    if not isinstance(content, dict):
        raise RecipeError("not a mixture", file=file, expected="a mapping of keys", found=type(content).__name__)
    laid = dict(content.get("overrides") or {}) if isinstance(content.get("overrides", {}), dict) else {}
    for path, value in (overrides or {}).items():
        if path in ("seed", "count", "events", "buffer", "name") or path.partition(".")[0] in ("balance", "splits"):
            assign(content, path, plain(value))
        else:
            laid[path] = plain(value)
    if laid:
        content["overrides"] = laid
    try:
        return Mixture.model_validate(content)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'mixture'}: {reason_of(e)}" for e in error.errors(include_url=False)
        )
        raise RecipeError(f"{error.error_count()} mistake(s): {mistakes}", file=file) from None


def plain(value: Any) -> Any:
    """A document with dates, which YAML reads without quotes, as text: JSON types only."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value
