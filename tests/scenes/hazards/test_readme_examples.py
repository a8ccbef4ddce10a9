"""The README's examples of hazards run as they stand, and each hazard is a pure function."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

from mage.scenes.hazards.camp import Camp
from mage.scenes.hazards.plugin import checked, sample_plugin
from mage.scenes.impact import Impact
from mage.scenes.recipe import Recipe
from mage.scenes.strike import Strike

README = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|yaml)\n(.*?)```", README, re.DOTALL)
EXAMPLES = {
    name: next(text for _, text in BLOCKS if f"= sample_{name}(" in text)
    for name in ("flood", "earthquake", "wind", "fire", "camp")
}
RESULTS = {"flood": ("water", Impact), "earthquake": ("shaken", Strike), "wind": ("blown", Strike)}
RESULTS |= {"fire": ("burnt", Strike), "camp": ("tents", Camp)}


def run(text, given):
    names = dict(given)
    exec(compile(text, "README.md", "exec"), names)  # our own page
    return names


@pytest.fixture(scope="module")
def start():
    return run(next(text for _, text in BLOCKS if "import sample_camp" in text), {})


def flat(value):
    """All arrays and numbers in a value, as bytes."""
    if is_dataclass(value):
        return b"".join(flat(getattr(value, f.name)) for f in fields(value))
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.tobytes()
    if isinstance(value, list | tuple):
        return b"".join(flat(v) for v in value)
    return repr(value).encode()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_hazard_and_its_twin_run_on_their_own_alike_each_time_and_leave_the_city_alone(name, start):
    before = flat(start["city"])
    result, kind = RESULTS[name]
    plain, twin = EXAMPLES[name].rsplit(f"{result} = ", 1)
    found = []
    for _ in range(2):
        alone = run(plain, start | {"rng": np.random.default_rng(5)})
        drawn = run(f"{result} = {twin}", start | {"rng": np.random.default_rng(5)})
        assert isinstance(alone[result], kind)
        assert isinstance(drawn[result], kind)
        found.append(flat(alone[result]) + flat(drawn[result]))
    assert found[0] == found[1]
    assert flat(start["city"]) == before


def test_the_hazard_of_ones_own_in_the_readme_is_ten_lines_that_work(start, tmp_path, monkeypatch):
    module = next(text for _, text in BLOCKS if "def sinkhole" in text)
    recipe = Recipe.model_validate(yaml.safe_load(next(text for kind, text in BLOCKS if kind == "yaml")))
    assert sum(bool(line) for line in module.splitlines()) <= 10
    assert recipe.plugins == ("my_hazards:sinkhole",)
    assert recipe.disaster == "sinkhole"
    own = run(module, {})
    strike = own["sinkhole"](np.random.default_rng(1), start["city"], recipe.hazards[0].parameters)
    assert checked(strike, start["city"], "my_hazards:sinkhole").ems98.max() == 5
    (tmp_path / "readme_hazards.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    part = recipe.hazards[0].model_copy(update={"function": "readme_hazards:sinkhole"})
    again = sample_plugin(np.random.default_rng(1), start["city"], part, allowed=True)
    assert (again.ems98 == strike.ems98).all()
