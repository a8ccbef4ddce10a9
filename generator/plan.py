"""The frozen list of jobs: which samples of which event go into which shard."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mage.generator.sensors.table import chosen_sensors
from mage.scenes.campaign import TRAIN, Campaign, Event, shard_names
from mage.scenes.dataset.store import file_sha256
from mage.scenes.errors import CityError, RecipeError
from mage.scenes.mixture import Mixture, read_target
from mage.scenes.recipe import Recipe
from mage.scenes.resolve import Drawn, draw_events

MOST_SHARDS = 1_000_000  # of a split: their names have six digits


@dataclass(frozen=True, slots=True)
class ShardJob:
    """Samples ``first`` to ``first + count - 1`` of a recipe, to be packed as ``name``; a pure function of itself.

    ``split`` and ``event`` are what its samples say of themselves; without an ``event`` they are called after their
    city, hazards and seed.
    """

    name: str
    first: int
    count: int
    recipe: Recipe
    recipe_hash: str
    allow_plugins: bool = False  # no recipe can grant that
    split: str = TRAIN
    event: str | None = None

    def rng(self, *stream: int) -> np.random.Generator:
        """Randomness of one stream (a sample's index, or what a part of the event is drawn with)."""
        return np.random.default_rng([int(self.recipe_hash, 16), self.recipe.seed, *stream])

    def place_rng(self, stream: int) -> np.random.Generator:
        """Randomness of what is made up of the city: with a ``city.seed``, the same for all events in that city."""
        seed = self.recipe.city.seed
        return self.rng(stream) if seed is None else np.random.default_rng([seed, stream])

    @property
    def place(self) -> str:
        """Equal for jobs whose city, as it is built and painted, is the same."""
        recipe = self.recipe
        city = recipe.city.model_dump(mode="json")
        own = (self.recipe_hash, recipe.seed) if recipe.city.seed is None else ()
        # bounds are widened to hold a tile where the city is a file
        side = recipe.output.size * recipe.output.gsd if recipe.city.file else None
        return json.dumps([city, side, own], sort_keys=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """All jobs of a dataset; those of one event stand together, and events of one city follow each other."""

    campaign: Campaign
    jobs: tuple[ShardJob, ...]
    digests: dict[str, str]  # SHA-256 of each file that decides what is rendered
    allow_plugins: bool = False

    @property
    def recipe(self) -> Recipe:
        """The first event's recipe, whose size, sensors, label style and rendering are those of all."""
        return self.campaign.recipe

    @property
    def recipe_hash(self) -> str:
        """The recipe's, or of all events of a mixture."""
        return self.campaign.hash


def make_plan(target: Recipe | Mixture, *, allow_plugins: bool = False) -> Plan:
    """Cut a recipe's samples, or those of a mixture's events, into shards.

    Args:
        target: a recipe, or a mixture of many; its events are drawn here.
        allow_plugins: let code run that a recipe names.

    Raises:
        CityError: a file that a recipe names is not there or cannot be read.
        RecipeError: sensors that are not known or do not fit the tiles, a hazard of the recipe's own that is not
            allowed or has no source, or a mixture that gives no events, see
            :func:`mage.scenes.resolve.draw_events`.
    """
    if isinstance(target, Recipe):
        drawn, mixture = [Drawn(None, TRAIN, target)], None
    else:
        drawn, mixture = draw_events(target), target.model_dump(mode="json")
    recipes = [event.recipe for event in drawn]
    check_sensors(recipes)
    digests = digests_of(recipes, allow_plugins=allow_plugins)
    events = tuple(Event(e.recipe, e.recipe.hash(digests), e.split, e.name) for e in drawn)
    return plan_of(Campaign(target.name, target.seed, events, mixture), digests, allow_plugins=allow_plugins)


def open_plan(target: str, overrides: Mapping[str, Any] | None = None, *, allow_plugins: bool = False) -> Plan:
    """The plan of whatever a name or path says: a bundled recipe or mixture, one in a file, or a plan that was frozen.

    Raises:
        RecipeError: no such thing, or overrides of a plan, which is frozen.
        MageError: as :func:`make_plan` and :func:`mage.generator.plan_file.read_plan`.
    """
    given = dict(overrides or {})
    if Path(target).suffix == ".json":
        from mage.generator.plan_file import read_plan

        if given:
            raise RecipeError(
                "a plan is frozen: make another from its recipe", file=target, found=", ".join(sorted(given))
            )
        return read_plan(Path(target), allow_plugins=allow_plugins)
    return make_plan(read_target(target, given), allow_plugins=allow_plugins)


def plan_of(campaign: Campaign, digests: Mapping[str, str], *, allow_plugins: bool = False) -> Plan:
    """A campaign cut into shards, of one event each.

    Raises:
        RecipeError: more shards than their names can tell apart.
    """
    size, shards = campaign.recipe.output.shard_size, Counter[str]()
    for event in campaign.events:
        shards[event.split] += -(-event.recipe.count // size)
    if (most := max(shards.values())) > MOST_SHARDS:
        raise RecipeError(
            "too many shards in a split: raise output.shard_size",
            file=campaign.name,
            expected=f"at most {MOST_SHARDS:,}",
            found=f"{most:,}",
        )
    jobs = tuple(
        ShardJob(name, first, count, event.recipe, event.recipe_hash, allow_plugins, event.split, event.name)
        for event, name, first, count in shard_names(campaign.events, size)
    )
    return Plan(campaign, jobs, dict(digests), allow_plugins)


def check_sensors(recipes: Sequence[Recipe]) -> None:
    """That the sensors of recipes are known and fit their tiles.

    Raises:
        RecipeError: they do not.
    """
    seen = set()
    for recipe in recipes:
        kind = (recipe.sensors, recipe.radiometry, recipe.output.size, recipe.output.gsd, recipe.render.engine)
        if kind not in seen:
            chosen_sensors(recipe)
            seen.add(kind)


def digests_of(recipes: Sequence[Recipe], *, allow_plugins: bool = False) -> dict[str, str]:
    """The SHA-256 of every file that decides what is rendered, and of the source of every plugin, by its name.

    Raises:
        CityError, RecipeError: one is not there or cannot be read; a plugin that is not allowed.
    """
    digests = {path: _sha256(Path(path)) for path in sorted({p for recipe in recipes for p in recipe.files})}
    plugins = sorted({path for recipe in recipes for path in recipe.plugins})
    if plugins:
        from mage.scenes.hazards.plugin import plugin_source

        digests |= {path: _sha256(plugin_source(path, allowed=allow_plugins)) for path in plugins}
    return digests


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except FileNotFoundError:
        raise CityError("no such file", file=path, expected="a file that can be read") from None
    except IsADirectoryError:
        raise CityError("this is a folder", file=path, expected="a file that can be read") from None
    except OSError as error:
        raise CityError(f"cannot be read: {error.strerror}", file=path) from None
