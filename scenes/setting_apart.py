"""Parts of a city for the splits that share it: strips, with a buffer between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mage.scenes.errors import RecipeError
from mage.scenes.mixture import Mixture
from mage.scenes.recipe import Recipe
from mage.scenes.settings import TilesPart

Strip = tuple[float, float]


def set_apart(mixture: Mixture, events: Sequence[tuple[str, Recipe]]) -> list[TilesPart]:
    """Which tiles each event (its split and recipe) takes, so that those of two splits are a buffer apart.

    A city that is one split's is all its own. One that several share is cut into strips, from west to east or from
    south to north, each as wide as its split's share, and no narrower than a tile.

    Raises:
        RecipeError: a made-up city too small for that.
    """
    sharing: dict[str, list[str]] = {}
    for split, recipe in events:
        splits = sharing.setdefault(str(recipe.city.name), [])
        if split not in splits:
            splits.append(split)
    cut = {city: _cut(mixture, city, splits, events) for city, splits in sharing.items() if len(splits) > 1}
    return [
        _part(mixture, recipe, cut[str(recipe.city.name)][split]) if str(recipe.city.name) in cut else recipe.tiles
        for split, recipe in events
    ]


def _part(mixture: Mixture, recipe: Recipe, box: tuple[float, float, float, float]) -> TilesPart:
    return recipe.tiles.model_copy(update={"within": box, "margin": _margin(mixture, recipe)})


def _margin(mixture: Mixture, recipe: Recipe) -> float:
    """Metres from a strip's edge: half the buffer, what the image after may be displaced by, and what a tile moves by
    onto the map's lattice.
    """
    return round(mixture.buffer / 2 + (recipe.view.shift[1] + 1) * recipe.output.gsd, 6)


def _cut(
    mixture: Mixture, city: str, splits: list[str], events: Sequence[tuple[str, Recipe]]
) -> dict[str, tuple[float, float, float, float]]:
    """The part of a city of each of the splits that share it."""
    order = sorted(splits, key=list(mixture.splits).index)
    mine = [(split, recipe) for split, recipe in events if recipe.city.name == city]
    if any(recipe.tiles.within != (0.0, 0.0, 1.0, 1.0) for _, recipe in mine):
        raise RecipeError(f"tiles.within: the city {city} is divided between splits already", file=mixture.name)
    shares = np.array([mixture.splits[split].share for split in order])
    width = shares / shares.sum()
    part = mine[0][1].city
    if part.file is None:
        inside = [int(k > 0) + int(k < len(order) - 1) for k in range(len(order))]  # edges within the city
        least = np.array([_least(mixture, s, mine, n) for s, n in zip(order, inside, strict=True)]) / part.extent
        if least.sum() > 1:
            raise RecipeError(
                f"cities.{city}: too small to be shared by {', '.join(order)} with a buffer of {mixture.buffer:g} m",
                file=mixture.name,
                expected=f"city.extent of {least.sum() * part.extent:.0f} m or more",
                found=f"{part.extent:g} m",
            )
        width = least + (1 - least.sum()) * width
    edges = [0.0, *(round(float(edge), 9) for edge in np.cumsum(width)[:-1]), 1.0]
    across = int(part.seed or 0) % 2 == 0
    boxes = {}
    for split, low, high in zip(order, edges[:-1], edges[1:], strict=True):
        boxes[split] = (low, 0.0, high, 1.0) if across else (0.0, low, 1.0, high)
    return boxes


def _least(mixture: Mixture, split: str, events: Sequence[tuple[str, Recipe]], edges: int) -> float:
    """Metres that a split's strip needs for the largest of its tiles."""
    return max(
        recipe.output.size * recipe.output.gsd + edges * _margin(mixture, recipe) + 2 * recipe.output.gsd
        for other, recipe in events
        if other == split
    )
