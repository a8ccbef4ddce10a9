"""From a mixture to its events: which city, which hazard, which split, and the whole recipe of each."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mage.scenes.apportion import apportion, spread_out
from mage.scenes.distributions import AFTER, days_of, distribution_in, reader_of
from mage.scenes.errors import RecipeError
from mage.scenes.mixture import Alternative, Mixture
from mage.scenes.recipe import Recipe, as_recipe, assign
from mage.scenes.setting_apart import set_apart
from mage.scenes.settings import CityPart, LightPart, TilesPart

Content = dict[str, Any]
Rng = np.random.Generator

ASSIGNING, EVENT, PLACE = 0, 1, 2  # streams of a mixture
SEEDS = 2**48  # a seed that every reader of JSON keeps whole


@dataclass(frozen=True, slots=True)
class Drawn:
    """An event: its name (None of a recipe alone, see :class:`mage.scenes.campaign.Event`), split and recipe."""

    name: str | None
    split: str
    recipe: Recipe


@dataclass(frozen=True, slots=True)
class _Slot:
    """An event before its values are drawn: one alternative of every axis, and how many samples."""

    split: str
    city: str
    hazard: str
    varied: tuple[Alternative, ...]
    samples: int


@dataclass(frozen=True, slots=True)
class _Source:
    """A mixture with what is worked out of it once."""

    mixture: Mixture
    hash: int
    places: Mapping[str, Alternative]

    def rng(self, *stream: int) -> Rng:
        return np.random.default_rng([self.hash, self.mixture.seed, *stream])


def draw_events(mixture: Mixture) -> list[Drawn]:
    """All events of a mixture, those of a city together; a pure function of it.

    In every split, the number of events of each city, hazard and further alternative is within 1 of what the weights
    ask for, and the events' numbers of samples are within 1 of each other.

    Raises:
        RecipeError: a distribution that is none, values that no recipe takes, a city too small to be shared by splits,
            or events that differ in what is the same in all of a dataset.
    """
    source = _Source(mixture, mixture.hash, mixture.places)
    order = {name: k for k, name in enumerate(source.places)}
    slots = sorted(_slots(source), key=lambda slot: order[slot.city])
    cities = {slot.city: _city(source, slot.city) for slot in slots}
    numbers: Counter[str] = Counter()
    events = []
    for k, slot in enumerate(slots):
        stem = f"{slot.city}-{slot.hazard}"
        name = f"{stem}-{numbers[stem]}"
        numbers[stem] += 1
        events.append(Drawn(name, slot.split, _recipe(source, slot, k, cities[slot.city], name)))
    agree(mixture.name, events)
    return [
        replace(event, recipe=event.recipe.model_copy(update={"tiles": tiles}))
        for event, tiles in zip(events, _tiles(mixture, events), strict=True)
    ]


def _slots(source: _Source) -> list[_Slot]:
    rng = source.rng(ASSIGNING)
    mixture, places = source.mixture, source.places
    splits = mixture.splits
    shares = [split.share for split in splits.values()]
    samples = apportion(source.mixture.count, shares, least=1)
    wanted = min(source.mixture.events or len(places) * len(source.mixture.hazards), source.mixture.count)
    events = np.minimum(apportion(max(wanted, min(len(splits), source.mixture.count)), shares, least=1), samples)
    homes = _homes(source, rng)
    slots: list[_Slot] = []
    for split, count, number in zip(splits, samples, events, strict=True):
        if number:
            mine = _hosts(source, split, homes, slots, rng, int(number))
            slots += _slots_of(source, split, mine, int(count), int(number), rng)
    return slots


def _hosts(
    source: _Source, split: str, homes: Mapping[str, Sequence[str]], slots: Sequence[_Slot], rng: Rng, number: int
) -> list[str]:
    """The cities of a split. One within another takes as many as it has events: those that are shared by fewest, and
    the largest of them first, since they are divided.
    """
    host = source.mixture.splits[split].within
    if host is None:
        return list(homes[split])
    shared = Counter(city for city, _ in {(s.city, s.split) for s in slots if s.split != host})
    extent = {name: _extent(source.places[name]) for name in homes[host]}
    return sorted((str(c) for c in rng.permutation(homes[host])), key=lambda name: (shared[name], -extent[name]))[
        :number
    ]


def _slots_of(source: _Source, split: str, mine: Sequence[str], samples: int, number: int, rng: Rng) -> list[_Slot]:
    part, places = source.mixture.splits[split], source.places
    held = {hazard for other in source.mixture.splits.values() for hazard in other.hazards or ()}
    hazards = part.hazards or [name for name in source.mixture.hazards if name not in held]
    cities = np.repeat(mine, apportion(number, [places[c].weight for c in mine], rng=rng))
    struck = spread_out(list(apportion(number, [source.mixture.hazards[h].weight for h in hazards], rng=rng)), rng)
    varied = [_dealt(axis, number, rng) for axis in source.mixture.vary.values()]
    each = apportion(samples, [1.0] * number, rng=rng)
    return [
        _Slot(split, str(cities[k]), hazards[struck[k]], tuple(axis[k] for axis in varied), int(each[k]))
        for k in range(number)
    ]


def _dealt(axis: Mapping[str, Alternative], number: int, rng: Rng) -> list[Alternative]:
    """The alternatives of an axis in the order of the events that have them."""
    alternatives = list(axis.values())
    counts = apportion(number, [a.weight for a in alternatives], rng=rng)
    return [alternatives[k] for k in rng.permutation(np.repeat(np.arange(len(counts)), counts))]


def _homes(source: _Source, rng: Rng) -> dict[str, list[str]]:
    """The cities of each split that has its own, by names, numbers, and what is left by share."""
    own = {name: split for name, split in source.mixture.splits.items() if split.within is None}
    homes = {name: list(split.cities) for name, split in own.items() if isinstance(split.cities, tuple)}
    taken = {city for cities in homes.values() for city in cities}
    left = [str(city) for city in rng.permutation([city for city in source.places if city not in taken])]
    for name, split in own.items():
        if isinstance(split.cities, int):
            homes[name], left = left[: split.cities], left[split.cities :]
    rest = [name for name in own if name not in homes]
    if rest:
        ends = np.cumsum(apportion(len(left), [own[name].share for name in rest], least=1))
        homes |= {name: left[end - n : end] for name, end, n in zip(rest, ends, np.diff(ends, prepend=0), strict=True)}
    if poor := [name for name in own if not homes[name]]:
        raise RecipeError(
            f"splits.{poor[0]}: there is no city left for it",
            file=source.mixture.name,
            expected="more cities, or a split `within` another",
            found=f"{len(source.places)} cities",
        )
    return homes


def _extent(place: Alternative) -> float:
    """Side of a made-up city as far as it is known, m; a city of a file is taken for large."""
    city = place.content.get("city")
    if not isinstance(city, Mapping):
        return float(CityPart().extent)
    extent = city.get("extent", CityPart().extent)
    return float("inf") if city.get("file") else float(extent) if isinstance(extent, int | float) else 0.0


def _city(source: _Source, name: str) -> Content:
    """The recipe's part ``city`` of a place: one draw for all its events."""
    digest = int(hashlib.sha256(name.encode()).hexdigest()[:16], 16)
    rng = source.rng(PLACE, digest)
    where = f"{source.mixture.name}: cities.{name}"
    layers = (layer.get("city", {}) for layer in (source.mixture.recipe, source.places[name].content))
    content = _laid({}, *(_keys(layer, "city", where) for layer in layers))
    for key, value in source.mixture.overrides.items():
        if key.startswith("city."):
            assign(content, key.removeprefix("city."), value)
    drawn: Content = drawn_from(content, rng, where)
    return {"name": name, "seed": int(rng.integers(SEEDS))} | drawn


def _recipe(source: _Source, slot: _Slot, number: int, city: Content, name: str) -> Recipe:
    """The recipe of one event."""
    rng = source.rng(EVENT, number)
    layers = [source.mixture.recipe, *(alternative.content for alternative in slot.varied)]
    layers += [source.mixture.hazards[slot.hazard].content, source.places[slot.city].content]
    where = f"{source.mixture.name}: event {name}"
    layers = [_keys(layer, "recipe", where) for layer in layers]
    content = _laid({}, *({k: v for k, v in layer.items() if k != "city"} for layer in layers))
    for key, value in source.mixture.overrides.items():
        if not key.startswith("city."):
            assign(content, key, value)
    content = drawn_from(content, rng, where)
    own = {"name": source.mixture.name, "count": slot.samples, "seed": int(rng.integers(SEEDS)), "city": city}
    return as_recipe(content | own, where)


def _keys(content: Any, path: str, where: str) -> Content:
    """The content, if it is a mapping of keys."""
    if not isinstance(content, Mapping) or distribution_in(content) is not None:
        raise RecipeError(f"{path}: expected a mapping of keys", file=where, found=f"{content!r:.80}")
    return dict(content)


def _laid(below: Content, *layers: Mapping[str, Any]) -> Content:
    """Mappings laid over each other; a hazard, and what is a distribution, takes the place of what was there whole."""
    result = dict(below)
    for layer in layers:
        for key, value in layer.items():
            old = result.get(key)
            merge = isinstance(old, Mapping) and isinstance(value, Mapping) and key != "hazard"
            merge = merge and distribution_in(old) is None and distribution_in(value) is None
            result[key] = _laid(dict(old or {}), value) if merge else value
    return result


def drawn_from(content: Any, rng: Rng, where: str, path: str = "") -> Any:
    """A content with a value drawn for every distribution in it, in the order of the keys' names.

    Raises:
        RecipeError: a distribution that is none; ``where`` is the name that the error bears.
    """
    try:
        if isinstance(content, Mapping) and distribution_in(content) not in (None, AFTER):
            return reader_of(content)(rng)
        if isinstance(content, list):
            return [drawn_from(item, rng, where, f"{path}.{k}") for k, item in enumerate(content)]
        if not isinstance(content, Mapping):
            return content
        late = {key for key, value in content.items() if distribution_in(value) == AFTER}
        drawn = {
            k: drawn_from(content[k], rng, where, f"{path}.{k}") for k in sorted(content, key=str) if k not in late
        }
        for key in sorted(late):
            if path.rpartition(".")[2] != "light" or key != "post":
                raise ValueError(f"{AFTER} is of `light.post` alone")
            drawn[key] = days_of(content[key])(rng, drawn.get("pre", LightPart().pre))
        return drawn
    except (ValueError, OverflowError) as error:
        raise RecipeError(f"{path.lstrip('.')}: {error}", file=where) from None


def agree(name: str, events: Sequence[Drawn]) -> None:
    """That what is the same in all samples of the dataset ``name`` is so in all its events.

    Raises:
        RecipeError: two events differ in it.
    """
    for event in events[1:]:
        first, other = _fixed(events[0].recipe), _fixed(event.recipe)
        for key, value in first.items():
            if other[key] != value:
                raise RecipeError(
                    f"{key}: is the same in all of a dataset",
                    file=name,
                    expected=f"{value} as in the event {events[0].name}",
                    found=f"{other[key]} in {event.name}",
                )


def _fixed(recipe: Recipe) -> Content:
    return {
        "output.size": recipe.output.size,
        "output.shard_size": recipe.output.shard_size,
        "sensors": recipe.sensors,
        "label_style": recipe.label_style,
        "render": recipe.render,
    }


def _tiles(mixture: Mixture, events: Sequence[Drawn]) -> list[TilesPart]:
    """Which tiles each event takes: of its split's part of the city, and as many with damage as its split needs."""
    parts = set_apart(mixture, [(event.split, event.recipe) for event in events])
    if mixture.balance is None:
        return parts
    samples, able = Counter[str](), Counter[str]()
    for event in events:
        samples[event.split] += event.recipe.count
        able[event.split] += event.recipe.count * _damages(event.recipe)
    result = []
    for event, tiles in zip(events, parts, strict=True):
        if _damages(event.recipe):
            share = min(1.0, mixture.balance.share * samples[event.split] / able[event.split])
            tiles = tiles.model_copy(update={"damaged": mixture.balance.model_copy(update={"share": share})})
        result.append(tiles)
    return result


def _damages(recipe: Recipe) -> bool:
    """Whether anything in a recipe damages buildings."""
    return any(part.kind != "camp" for part in recipe.hazards)
