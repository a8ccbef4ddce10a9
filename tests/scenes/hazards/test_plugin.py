"""Hazards of the user's own: run only where that was allowed, and believed only when what they return can be."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from flood_cities import box_building, city_of, terrain_of
from pydantic import ValidationError

from mage.generator.plan import make_plan
from mage.scenes.errors import HazardError, RecipeError
from mage.scenes.hazards.chain import chained, sample_strike
from mage.scenes.hazards.plugin import checked, load_plugin, sample_plugin
from mage.scenes.parts import EarthquakePart, PluginPart
from mage.scenes.recipe import Recipe, read_recipe
from mage.scenes.strike import untouched

CITY = city_of(
    terrain_of(np.zeros((31, 31)), 4.0), buildings=[box_building(20, 20, 40, 40), box_building(60, 20, 75, 40)]
)
PATH = "my_hazards:slide"
SOURCE = """
from dataclasses import replace
import numpy as np
from mage.scenes.strike import untouched

def slide(rng, city, parameters):
    grade = rng.integers(0, 6, len(city.buildings)).astype(np.uint8)
    return replace(untouched(city, "x", {"steep": parameters["steep"]}), ems98=grade, p_grade=np.eye(6)[grade])

def broken(rng, city, parameters):
    return {}[7]

def leaving(rng, city, parameters):
    raise SystemExit(3)

number = 7
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write ``my_hazards``, importable for the length of a test."""
    from mage.scenes.hazards import plugin

    path = tmp_path / "my_hazards.py"
    path.write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("my_hazards", None)
    plugin._imported.cache_clear()


def recipe_of(function=PATH, **parameters):
    hazard = {"kind": "plugin", "function": function, "parameters": parameters}
    return read_recipe("flood", {"hazard": hazard, "count": 1})


def test_a_function_of_ones_own_strikes_as_a_hazard_of_its_name(module):
    part = PluginPart(function=PATH, parameters={"steep": 0.5})
    first, again = (sample_plugin(np.random.default_rng(3), CITY, part, allowed=True) for _ in range(2))
    assert first.hazard == "slide"
    assert first.parameters == {"steep": 0.5}
    assert (first.ems98 == again.ems98).all()


def test_nothing_is_imported_without_permission(tmp_path, monkeypatch):
    (tmp_path / "my_trap.py").write_text("import pathlib\npathlib.Path(__file__).with_suffix('.sprung').touch()\n")
    monkeypatch.syspath_prepend(tmp_path)
    part = PluginPart(function="my_trap:slide")
    for attempt in (
        lambda: sample_plugin(np.random.default_rng(0), CITY, part),
        lambda: sample_strike(np.random.default_rng(0), CITY, part),
        lambda: load_plugin(part.function, allowed=False),
        lambda: make_plan(recipe_of(part.function)),
    ):
        with pytest.raises(RecipeError, match=r"my_trap:slide is code of its own.*--allow-plugins"):
            attempt()
    make_plan(recipe_of(part.function), allow_plugins=True)  # reads its source, to count it
    assert not (tmp_path / "my_trap.sprung").exists()


def test_a_recipe_cannot_grant_itself_the_permission():
    with pytest.raises(RecipeError, match="no such key"):
        read_recipe("flood", {"hazard": {"kind": "plugin", "function": PATH, "allowed": True}})
    with pytest.raises(RecipeError, match="no such key"):
        read_recipe("flood", {"allow_plugins": True})
    assert not make_plan(read_recipe("flood")).jobs[0].allow_plugins


def test_the_recipes_hash_counts_the_source_and_not_where_it_lies(module):
    first = make_plan(recipe_of(steep=1), allow_plugins=True).recipe_hash
    assert make_plan(recipe_of(steep=1), allow_plugins=True).recipe_hash == first
    assert make_plan(recipe_of(steep=2), allow_plugins=True).recipe_hash != first
    assert make_plan(recipe_of("my_hazards:broken", steep=1), allow_plugins=True).recipe_hash != first
    module.write_text(SOURCE + "# another\n")
    assert make_plan(recipe_of(steep=1), allow_plugins=True).recipe_hash != first


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("my_nowhere:slide", "my_nowhere:slide cannot be used"),
        ("my_hazards.deeper:slide", "my_hazards.deeper:slide cannot be used"),
        ("my_hazards:absent", "expected a function `absent` in my_hazards"),
        ("my_hazards:number", "expected a function `number` in my_hazards"),
        ("my_hazards:broken", "my_hazards:broken failed: KeyError: 7"),
        ("my_hazards:leaving", "my_hazards:leaving failed: SystemExit: 3"),
        ("my_hazards:slide", "my_hazards:slide failed: KeyError: 'steep'"),
    ],
)
def test_what_cannot_be_used_is_one_error_that_names_the_function(module, function, words):
    with pytest.raises((RecipeError, HazardError), match=words):
        sample_plugin(np.random.default_rng(0), CITY, PluginPart(function=function), allowed=True)


def test_a_module_that_breaks_when_imported_is_one_error(tmp_path, monkeypatch):
    (tmp_path / "my_wreck.py").write_text("raise SystemExit('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RecipeError, match="my_wreck:slide cannot be used: SystemExit: no"):
        load_plugin("my_wreck:slide", allowed=True)


@pytest.mark.parametrize(
    "function", ["slide", "a:b:c", "a.b", "../x:slide", "a-b:slide", "a:Slide", "os:system('x')", ":f", "a:", ""]
)
def test_an_import_path_is_one(function):
    with pytest.raises(ValidationError):
        PluginPart(function=function)


def test_names_and_parameters_that_would_mislead_are_refused():
    for name in ("flood", "earthquake", "wind", "fire", "camp"):
        with pytest.raises(ValidationError, match="taken for the hazard that MAGE has"):
            PluginPart(function=f"mine:{name}")
    for value in (float("nan"), float("inf"), [float("nan")], {"deep": float("inf")}):
        with pytest.raises(ValidationError, match="finite"):
            PluginPart(function=PATH, parameters={"steep": value})


HALF = np.full((2, 6), 0.5)
BAD = {
    "no strike": (lambda s: {"ems98": s.ems98}, "no strike; expected a mage.scenes.strike.Strike; found dict"),
    "none": (lambda s: None, "found NoneType"),
    "too few": (lambda s: replace(s, ems98=s.ems98[:1]), r"ems98; expected uint8 \(2,\); found uint8 \(1,\)"),
    "a list": (lambda s: replace(s, loss=[0.0, 0.0]), r"loss; expected float64 \(2,\); found list"),
    "another dtype": (lambda s: replace(s, ems98=s.ems98.astype(np.int64)), "ems98; expected uint8"),
    "objects": (lambda s: replace(s, loss=np.array([None, None])), "loss; expected float64"),
    "not a number": (lambda s: replace(s, loss=np.array([0.0, np.nan])), "loss; expected numbers; found NaN"),
    "too bad": (lambda s: replace(s, ems98=np.array([0, 6], np.uint8)), "ems98; expected 0 to 5; found 0 to 6"),
    "too dear": (lambda s: replace(s, loss=np.array([0.0, 1.5])), "loss; expected 0 to 1"),
    "no such collapse": (lambda s: replace(s, collapse=np.array([0, 99], np.uint8)), "collapse; expected 0 to 17"),
    "sums": (lambda s: replace(s, p_grade=HALF), "p_grade; expected rows that sum to 1; found a row of 3"),
    "negative": (lambda s: replace(s, p_grade=HALF - 1), "p_grade; expected 0 to 1"),
    "flags as numbers": (lambda s: replace(s, swept=np.zeros(2, np.uint8)), "swept; expected bool"),
    "ground": (lambda s: replace(s, severity=np.zeros((2, 2))), r"severity; expected float64 \(31, 31\)"),
    "parameters": (lambda s: replace(s, parameters={"a": [1]}), "parameters; expected names with finite numbers"),
    "infinite": (lambda s: replace(s, parameters={"a": np.inf}), "parameters; expected names with finite numbers"),
    "no mapping": (lambda s: replace(s, parameters=3), "parameters; expected a mapping"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_strike_that_cannot_be_is_refused_by_name(name):
    change, words = BAD[name]
    good = untouched(CITY, "x")
    assert checked(good, CITY, PATH) is good
    with pytest.raises(HazardError, match=words) as error:
        checked(change(good), CITY, PATH)
    assert str(error.value).startswith(f"the hazard {PATH} returned a strike that cannot be: ")


def test_an_arrival_that_never_comes_is_good():
    strike = replace(untouched(CITY, "x"), intensity=np.array([3.0, np.inf]))
    assert checked(strike, CITY, PATH) is strike


def test_a_plugin_takes_its_place_in_a_chain(module):
    parts = [EarthquakePart(magnitude=(7.8, 8.0), distance=(0, 1)), PluginPart(function=PATH, parameters={"steep": 1})]
    strikes = [sample_strike(np.random.default_rng(k), CITY, p, allow_plugins=True) for k, p in enumerate(parts)]
    both = chained(strikes)
    assert both.hazard == "earthquake-slide"
    assert (both.ems98 == np.maximum(strikes[0].ems98, strikes[1].ems98)).all()
    recipe = Recipe.model_validate({"name": "two", "hazard": [p.model_dump() for p in parts]})
    assert recipe.disaster == "earthquake-slide"
    assert Recipe.model_validate(json.loads(recipe.model_dump_json())) == recipe
