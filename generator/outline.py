"""A plan in a few lines: how its samples share out over splits, cities, hazards and styles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from mage.generator.build import STYLE
from mage.generator.plan import Plan
from mage.generator.sensors.table import DEFAULT
from mage.scenes.campaign import Event

SHOWN = 12  # rows of a table; the rest is summed up


def headline(plan: Plan) -> str:
    """Name, number and size of the samples, and of how many events they are."""
    campaign, size = plan.campaign, plan.recipe.output.size
    gsds = sorted({event.recipe.output.gsd for event in campaign.events})
    gsd = " to ".join(f"{gsd:g}" for gsd in dict.fromkeys((gsds[0], gsds[-1])))
    events = f" in {len(campaign.events):,} events" if len(campaign.events) > 1 else ""
    return f"{campaign.name}: {campaign.count:,} pairs of {size} px at {gsd} m{events}"


def outline(plan: Plan) -> Iterator[str]:
    """What a plan would be, line by line."""
    yield headline(plan)
    splits = _splits(plan)
    yield _row("", [*splits, "all"])
    yield from _sums(plan, splits)
    for name, key in (("hazard", _hazard), ("style", _style), ("city", _city)):
        yield ""
        yield from _table(plan, name, splits, key)
    sensors = ", ".join([DEFAULT, *plan.recipe.sensors])
    yield ""
    shards = f"{len(plan.jobs):,} shard{'' if len(plan.jobs) == 1 else 's'}"
    yield f"sensors {sensors}; labels {plan.recipe.label_style}; {shards}; hash {plan.recipe_hash}"


def _splits(plan: Plan) -> list[str]:
    """The splits that have events, in the order of the mixture, whatever a file says that this is."""
    order = (plan.campaign.mixture or {}).get("splits")
    known = list(order) if isinstance(order, dict) else []
    found = list(dict.fromkeys(event.split for event in plan.campaign.events))
    return sorted(found, key=lambda split: known.index(split) if split in known else len(known))


def _hazard(event: Event) -> str:
    return event.recipe.disaster


def _style(event: Event) -> str:
    city = event.recipe.city
    return city.style or ("by where the city is" if city.file else STYLE)


def _city(event: Event) -> str:
    city = event.recipe.city
    return city.name or city.file or "made up"


def _sums(plan: Plan, splits: Sequence[str]) -> Iterator[str]:
    """Pairs, events and cities of each split, and of all."""
    events = plan.campaign.events
    groups = [*([e for e in events if e.split == split] for split in splits), events]
    yield _row("pairs", [sum(e.recipe.count for e in group) for group in groups])
    yield _row("events", [len(group) for group in groups])
    yield _row("cities", [len({_city(e) for e in group}) for group in groups])


def _table(plan: Plan, name: str, splits: Sequence[str], key: Callable[[Event], str]) -> Iterator[str]:
    """A row of pairs per split for each of what ``key`` tells apart, and their sum."""
    counts: dict[str, Counter[str]] = {}
    for event in plan.campaign.events:
        counts.setdefault(key(event), Counter())[event.split] += event.recipe.count
    rows = sorted(counts.items(), key=lambda row: -row[1].total())
    for label, row in rows[:SHOWN]:
        yield _row(f"{name} {label}".strip(), [*(row[split] for split in splits), row.total()])
    if rest := rows[SHOWN:]:
        more = [sum(row[split] for _, row in rest) for split in splits]
        yield _row(f"{name}: {len(rest):,} more", [*more, sum(more)])


def _row(label: str, cells: Sequence[str | int]) -> str:
    shown = [f"{cell:,}" if isinstance(cell, int) else cell for cell in cells]
    return f"{label:<30.30}" + "".join(f" {cell:>11}" for cell in shown)
