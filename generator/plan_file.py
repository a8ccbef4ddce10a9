"""The frozen list of jobs as a file: every event's recipe, and the content of every file that they name.

The file states its own SHA-256, and every recipe its hash: what was changed by hand or by accident is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from mage.generator.plan import Plan, check_sensors, digests_of, plan_of
from mage.scenes.campaign import SPLIT, Campaign, Event, apart, whole
from mage.scenes.dataset.codec import first_mistake
from mage.scenes.dataset.schema import Content, Record
from mage.scenes.dataset.store import LocalStore, publish_text, read_text
from mage.scenes.errors import RecipeError
from mage.scenes.recipe import as_recipe
from mage.scenes.resolve import Drawn, agree

FORMAT = "mage-plan/1"
LARGEST = 1 << 28  # bytes

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _EventRecord(Record):
    name: str | None = Field(max_length=200, pattern=r"^[a-z0-9][a-z0-9-]*$")
    split: str = Field(max_length=30, pattern=rf"^{SPLIT}$")
    recipe_hash: str = Field(pattern=r"^[0-9a-f]{16}$")
    recipe: Content


class _PlanRecord(Record):
    """``shared`` is what all recipes have in common, ``recipe`` of an event the rest of its own."""

    format: str
    name: str
    seed: int = Field(ge=0, le=2**63 - 1)
    mixture: Content | None
    digests: dict[str, Sha256]
    shared: Content
    events: list[_EventRecord] = Field(min_length=1, max_length=1_000_000)
    sha256: Sha256


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan; equal plans give equal bytes.

    Raises:
        DatasetError: the file cannot be written.
    """
    campaign = plan.campaign
    shared = campaign.shared()
    content = {
        "format": FORMAT,
        "name": campaign.name,
        "seed": campaign.seed,
        "mixture": campaign.mixture,
        "digests": dict(sorted(plan.digests.items())),
        "shared": shared,
        "events": [
            {"name": e.name, "split": e.split, "recipe_hash": e.recipe_hash, "recipe": apart(e.recipe, shared)}
            for e in campaign.events
        ],
    }
    publish_text(
        LocalStore(path.parent), path.name, json.dumps(content | {"sha256": _digest(content)}, indent=1) + "\n"
    )


def read_plan(path: Path, *, allow_plugins: bool = False) -> Plan:
    """The plan in a file, exactly as it was frozen.

    Args:
        path: of the file.
        allow_plugins: let code run that the plan's recipes name; no plan can grant that.

    Raises:
        RecipeError: not a plan, one that was changed, or of recipes that this MAGE does not take.
        CityError: a file that it names is not there.
        DatasetError: it cannot be read.
    """
    record = _read(path)
    recipes = [as_recipe(whole(record.shared, e.recipe), f"{path}: event {e.name or k}") for k, e in _numbered(record)]
    agree(str(path), [Drawn(e.name, e.split, recipe) for recipe, e in zip(recipes, record.events, strict=True)])
    check_sensors(recipes)
    digests = digests_of(recipes, allow_plugins=allow_plugins)
    for name, found in digests.items():
        if record.digests.get(name) != found:
            raise RecipeError(
                f"{name} has changed since the plan was made", file=path, expected=record.digests.get(name), found=found
            )
    for recipe, (k, event) in zip(recipes, _numbered(record), strict=True):
        if (found := recipe.hash(digests)) != event.recipe_hash:
            which = f"event {event.name or k}: its recipe gives another hash: was the plan made by another MAGE?"
            raise RecipeError(which, file=path, expected=event.recipe_hash, found=found)
    names = [event.name for event in record.events]
    if (
        len(set(names)) < len(names)
        or (record.mixture is None and names != [None])
        or (record.mixture and None in names)
    ):
        raise RecipeError("events without a name of their own", file=path)
    events = tuple(
        Event(recipe, e.recipe_hash, e.split, e.name) for recipe, e in zip(recipes, record.events, strict=True)
    )
    return plan_of(Campaign(record.name, record.seed, events, record.mixture), digests, allow_plugins=allow_plugins)


def _numbered(record: _PlanRecord) -> list[tuple[int, _EventRecord]]:
    return list(enumerate(record.events))


def _read(path: Path) -> _PlanRecord:
    text = read_text(LocalStore(path.parent), path.name, LARGEST)
    try:
        content = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise RecipeError("not a plan: not JSON, or a key stands twice", file=path) from None
    stated = content.get("format") if isinstance(content, dict) else None
    if stated != FORMAT:
        newer = re.fullmatch(r"mage-plan/\d+", str(stated)) is not None
        reason = "a plan in a format that this MAGE cannot read: update it" if newer else "not a plan"
        raise RecipeError(reason, file=path, expected=FORMAT, found=f"{stated!r:.80}")
    try:
        record = _PlanRecord.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"not a plan: {first_mistake(error)}", file=path) from None
    del content["sha256"]
    if (found := _digest(content)) != record.sha256:
        raise RecipeError("was changed since it was written", file=path, expected=record.sha256, found=found)
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice")
    return content


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
