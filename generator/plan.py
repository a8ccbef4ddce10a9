"""The frozen list of jobs: which samples of which event go into which shard."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mage.generator.sensors.table import chosen_sensors
from mage.scenes.campaign import TRAIN, Campaign, alone, shard_names
from mage.scenes.dataset.store import file_sha256
from mage.scenes.errors import CityError
from mage.scenes.recipe import Recipe


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
    allow_plugins: bool = False

    @property
    def recipe(self) -> Recipe:
        """The first event's recipe, whose size, sensors, label style and rendering are those of all."""
        return self.campaign.recipe

    @property
    def recipe_hash(self) -> str:
        """The recipe's, or of all events of a mixture."""
        return self.campaign.hash


def make_plan(recipe: Recipe, *, allow_plugins: bool = False) -> Plan:
    """Cut a recipe's samples into shards; ``allow_plugins`` lets code run that the recipe names.

    Raises:
        CityError: a file that the recipe names is not there or cannot be read.
        RecipeError: sensors that are not known or do not fit the tiles, or a hazard of the recipe's own that is not
            allowed or has no source.
    """
    chosen_sensors(recipe)
    digests = {path: _sha256(Path(path)) for path in recipe.files}
    if recipe.plugins:
        from mage.scenes.hazards.plugin import plugin_source

        digests |= {path: _sha256(plugin_source(path, allowed=allow_plugins)) for path in recipe.plugins}
    return plan_of(alone(recipe, recipe.hash(digests)), allow_plugins=allow_plugins)


def plan_of(campaign: Campaign, *, allow_plugins: bool = False) -> Plan:
    """A campaign cut into shards, of one event each."""
    jobs = tuple(
        ShardJob(name, first, count, event.recipe, event.recipe_hash, allow_plugins, event.split, event.name)
        for event, name, first, count in shard_names(campaign.events, campaign.recipe.output.shard_size)
    )
    return Plan(campaign, jobs, allow_plugins)


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except FileNotFoundError:
        raise CityError("no such file", file=path, expected="a file that can be read") from None
    except IsADirectoryError:
        raise CityError("this is a folder", file=path, expected="a file that can be read") from None
    except OSError as error:
        raise CityError(f"cannot be read: {error.strerror}", file=path) from None
