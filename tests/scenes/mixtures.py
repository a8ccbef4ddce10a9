"""Mixtures for tests, and strategies that draw them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from mage.scenes.mixture import Mixture, parse_mixture

SMALL: dict[str, Any] = {
    "name": "small",
    "count": 240,
    "events": 24,
    "recipe": {
        "output": {"size": 64, "gsd": {"choice": [0.5, 0.75, 1.0]}, "shard_size": 8},
        "light": {"pre": {"dates": ["2021-01-01", "2021-12-31"]}, "post": {"days_after": [1, 30]}},
        "view": {"shift": [0, 4]},
    },
    "cities": {
        "harbour": {"weight": 2, "city": {"style": "suburb", "extent": 400}},
        "hill": {"city": {"style": "mediterranean", "extent": {"uniform": [300, 500]}}},
        "more": {"copies": 4, "weight": 4, "city": {"style": "village", "extent": 420}},
    },
    "hazards": {
        "flood": {"weight": 2, "hazard": {"kind": "flood"}},
        "quake": {"weight": 2, "hazard": {"kind": "earthquake", "magnitude": {"uniform": [6.5, 7.5]}}},
        "camp": {"hazard": {"kind": "camp"}},
        "storm": {"hazard": {"kind": "wind"}},
    },
    "vary": {"view": {"nadir": {"weight": 3}, "oblique": {"view": {"off_nadir": [10, 25]}}}},
    "splits": {
        "train": 0.6,
        "val": 0.1,
        "test-city": {"share": 0.1, "cities": ["hill"]},
        "test-event": {"share": 0.1, "within": "train"},
        "test-hazard": {"share": 0.1, "within": "train", "hazards": ["storm"]},
    },
    "buffer": 40,
    "balance": {"share": 0.3, "grade": 2},
}


def small(**changes: Any) -> Mixture:
    """The mixture above with some keys changed; ``__`` in a name is a dot, and None takes a key away."""
    content = deepcopy(SMALL)
    for name, value in changes.items():
        *parents, last = name.split("__")
        part = content
        for parent in parents:
            part = part.setdefault(parent, {})
        part[last] = value
    return parse_mixture({k: v for k, v in content.items() if v is not None}, "small.yaml")


@st.composite
def mixtures(draw: Any) -> Mixture:
    """Mixtures of any number of samples, events and cities, any weights, and a buffer that the cities have room for."""
    weight = st.floats(0.2, 5).map(lambda x: round(x, 2))
    cities = {
        f"c{k}": {
            "weight": draw(weight),
            "copies": draw(st.integers(1, 3)),
            "city": {"extent": draw(st.integers(600, 900))},
        }
        for k in range(draw(st.integers(2, 5)))
    }
    hazards = {name: {"weight": draw(weight), "hazard": {"kind": name}} for name in ("flood", "earthquake", "camp")}
    splits = {"train": draw(weight), "val": draw(weight), "other": {"share": draw(weight), "within": "train"}}
    return small(
        seed=draw(st.integers(0, 2**40)),
        count=draw(st.integers(1, 300)),
        events=draw(st.none() | st.integers(1, 40)),
        cities=cities,
        hazards=hazards,
        splits=splits,
        buffer=draw(st.integers(0, 120)),
    )
