"""What is learned from, by name: `mixture.yaml` as it is, four times as much of it for the long form, and smaller
corpora of the same places and events that differ in one thing: what grades follow, or how many samples a pixel has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from mage.generator.generate import generate
from mage.generator.plan import Plan, make_plan, open_plan, plan_of
from mage.scenes.dataset.codec import decode_record
from mage.scenes.dataset.store import SHARDS
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.mixture import parse_mixture
from mage.scenes.recipe import Recipe, read_recipe
from mage.scenes.yamlio import read_yaml

MIXTURE = Path(__file__).with_name("mixture.yaml")
SMALL = {"count": 4, "output.size": 128, "render.quality": "draft", "label_style": "annotator", "city.extent": 320}
GRADED = ("storm", "earthquake", "tornado")  # hazards whose grades may be drawn otherwise than by physics
STRUCK = 44  # pairs
TIMES = 4  # pairs and events of the long form
Part = TypeVar("Part", bound=BaseModel)
NAMES = ("short", "main", "long", "struck", "struck at random", "struck apart from neighbours", "struck, 16 samples")


def corpus(folder: Path, name: str) -> str:
    """The name of a corpus's folder, which holds its recipe's hash; rendered where it is not there yet."""
    plan = planned(folder, name)
    called = f"{name.replace(',', '').replace(' ', '-')}-{plan.recipe_hash}"
    if not (folder / called / "dataset.json").is_file():
        generate(plan, folder / called, say=print, progress=True)
    return called


def planned(folder: Path, name: str) -> Plan:
    """The jobs of a corpus of :data:`NAMES`."""
    if name == "short":
        return make_plan(read_recipe("flood", SMALL))
    if name == "main":
        return open_plan(str(MIXTURE))
    content: dict[str, Any] = read_yaml(MIXTURE)
    if name == "long":
        return make_plan(parse_mixture(content | {key: TIMES * content[key] for key in ("count", "events")}, name))
    few = {"count": STRUCK, "hazards": {hazard: content["hazards"][hazard] for hazard in GRADED}}
    struck = make_plan(parse_mixture(content | few, name))
    if name == "struck":
        return struck
    if name == "struck at random":
        shares = grade_shares(folder / corpus(folder, "struck"))
        return _changed(struck, lambda recipe: _graded(recipe, mode="random", shares=shares))
    if name == "struck apart from neighbours":
        return _changed(struck, lambda recipe: _graded(recipe, mode="decorrelated"))
    return _changed(struck, lambda recipe: _with(recipe, render=_with(recipe.render, spp=16)))


def _changed(plan: Plan, change: Callable[[Recipe], Recipe]) -> Plan:
    """The same events in the same places, each with a recipe that is changed."""
    events = []
    for event in plan.campaign.events:
        recipe = change(event.recipe)
        events.append(replace(event, recipe=recipe, recipe_hash=recipe.hash(plan.digests)))
    return plan_of(replace(plan.campaign, events=tuple(events), mixture=None), plan.digests)


def _graded(recipe: Recipe, **changes: Any) -> Recipe:
    return _with(recipe, hazard=_with(recipe.hazard, **changes))


def _with(part: Part, **changes: Any) -> Part:
    """A recipe, or a part of it, with other values, checked anew."""
    return type(part).model_validate(part.model_dump() | changes)


def grade_shares(root: Path) -> tuple[float, ...]:
    """Shares of the EMS-98 grades 0 to 5 among all buildings that a corpus shows."""
    counts: Counter[int] = Counter()
    for path in sorted((root / SHARDS).glob("*.tar")):
        with TarIndex(path) as shard:
            for key in shard.keys:
                record = decode_record(shard.read(key, "json"), file=f"{path}: {key}.json")
                counts.update(building.ems98 for building in record.buildings)
    return tuple(counts[grade] / counts.total() for grade in range(6))
