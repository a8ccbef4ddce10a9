"""A dataset's events: which recipe each is, and into which split its samples go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mage.scenes.recipe import Recipe

TRAIN = "train"  # the split of a recipe on its own
SPLIT = r"[a-z][a-z0-9]*(-[a-z][a-z0-9]*)*"  # a split's name: `train`, `test-city`; its shards are SPLIT-NNNNNN.tar


@dataclass(frozen=True, slots=True)
class Event:
    """One disaster in one place, photographed ``recipe.count`` times.

    Attributes:
        recipe: all that its samples are rendered from.
        recipe_hash: of that recipe, see :meth:`mage.scenes.recipe.Recipe.hash`.
        split: the one split that all its samples go into.
        name: what samples call it; None leaves that to city, hazards and seed.
    """

    recipe: Recipe
    recipe_hash: str
    split: str = TRAIN
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Campaign:
    """All events of a dataset, in the order in which they are rendered. ``output``, ``sensors``, ``label_style`` and
    ``render`` are the same in all their recipes, but for the GSD.

    Attributes:
        name, seed: of the dataset.
        events: at least one.
        mixture: what the events were drawn from, JSON types; None for a recipe on its own.
    """

    name: str
    seed: int
    events: tuple[Event, ...]
    mixture: dict[str, Any] | None = None

    @property
    def recipe(self) -> Recipe:
        """The first event's recipe: what holds for all events can be read from it."""
        return self.events[0].recipe

    @property
    def count(self) -> int:
        """Samples of all events."""
        return sum(event.recipe.count for event in self.events)

    @property
    def hash(self) -> str:
        """16 hex digits: of a recipe on its own that recipe's, of a mixture over all that its events are."""
        if self.mixture is None:
            return self.events[0].recipe_hash
        told = [[e.name, e.split, e.recipe_hash, e.recipe.seed, e.recipe.count] for e in self.events]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def shared(self) -> dict[str, Any]:
        """The part of their recipes that all events have in common, JSON types; the whole of a recipe on its own."""
        common = self.recipe.model_dump(mode="json")
        for event in self.events[1:]:
            common = _common(common, event.recipe.model_dump(mode="json"))
        return common


def alone(recipe: Recipe, recipe_hash: str) -> Campaign:
    """The campaign of one recipe: the simplest there is."""
    return Campaign(recipe.name, recipe.seed, (Event(recipe, recipe_hash),))


def apart(recipe: Recipe, shared: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe holds beside what it shares with others; :func:`whole` puts both together again."""
    return _rest(recipe.model_dump(mode="json"), shared)


def whole(shared: Mapping[str, Any], rest: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the recipe that :func:`apart` split."""
    merged = dict(shared)
    for key, value in rest.items():
        below = merged.get(key)
        merged[key] = whole(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def shard_names(events: Sequence[Event], size: int) -> Iterator[tuple[Event, str, int, int]]:
    """Every shard of a campaign: its event, its name, and the first and the number of the event's samples in it."""
    numbers: dict[str, int] = {}
    for event in events:
        for first in range(0, event.recipe.count, size):
            number = numbers.get(event.split, 0)
            numbers[event.split] = number + 1
            yield event, f"{event.split}-{number:06d}.tar", first, min(size, event.recipe.count - first)


def _common(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    shared = {}
    for key, value in first.items():
        if key in second and value == second[key]:
            shared[key] = value
        elif isinstance(value, Mapping) and isinstance(second.get(key), Mapping):
            shared[key] = _common(value, second[key])
    return shared


def _rest(content: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    rest = {}
    for key, value in content.items():
        if key not in shared:
            rest[key] = value
        elif value != shared[key]:
            rest[key] = _rest(value, shared[key]) if isinstance(value, Mapping) else value
    return rest
