"""The frozen list of jobs: a recipe, a seed, and which samples go into which shard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mage.generator.sensors.table import chosen_sensors
from mage.scenes.dataset.store import file_sha256
from mage.scenes.errors import CityError
from mage.scenes.recipe import Recipe


@dataclass(frozen=True, slots=True)
class ShardJob:
    """Samples ``first`` to ``first + count - 1`` of a recipe, to be packed as ``name``; a pure function of itself."""

    name: str
    first: int
    count: int
    recipe: Recipe
    recipe_hash: str
    allow_plugins: bool = False  # no recipe can grant that

    def rng(self, *stream: int) -> np.random.Generator:
        """Randomness of one stream (a sample's index, or what a part of the city is drawn with)."""
        return np.random.default_rng([int(self.recipe_hash, 16), self.recipe.seed, *stream])


@dataclass(frozen=True, slots=True)
class Plan:
    """All jobs of a dataset."""

    recipe: Recipe
    recipe_hash: str
    jobs: tuple[ShardJob, ...]
    allow_plugins: bool = False


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
    recipe_hash = recipe.hash(digests)
    size = recipe.output.shard_size
    jobs = tuple(
        ShardJob(f"train-{k:06d}.tar", first, min(size, recipe.count - first), recipe, recipe_hash, allow_plugins)
        for k, first in enumerate(range(0, recipe.count, size))
    )
    return Plan(recipe, recipe_hash, jobs, allow_plugins)


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except FileNotFoundError:
        raise CityError("no such file", file=path, expected="a file that can be read") from None
    except IsADirectoryError:
        raise CityError("this is a folder", file=path, expected="a file that can be read") from None
    except OSError as error:
        raise CityError(f"cannot be read: {error.strerror}", file=path) from None
