"""What a mixture may say, and what is said of one that says something else."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixtures import SMALL, small

from mage.scenes.errors import RecipeError
from mage.scenes.mixture import Mixture, bundled_mixtures, parse_mixture, read_target
from mage.scenes.recipe import Recipe, bundled_recipes, read_recipe
from mage.scenes.resolve import draw_events
from mage.scenes.yamlio import parse_yaml

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "uniform", "weight"]), inner),
    max_leaves=5,
)


@pytest.mark.parametrize("name", bundled_recipes())
def test_a_recipe_stays_a_recipe(name):
    assert read_target(name) == read_recipe(name)


@pytest.mark.parametrize("name", bundled_mixtures())
def test_every_bundled_mixture_is_named_as_its_file(name):
    mixture = read_target(name)
    assert isinstance(mixture, Mixture)
    assert mixture.name == name


def test_a_file_with_the_keys_of_a_mixture_is_one(tmp_path):
    (tmp_path / "a.yaml").write_text(
        "name: a\ncount: 2\nrecipe: {light: {pre: 2022-01-01}}\ncities: {x: {}}\nhazards: {flood: {}}\n"
    )
    mixture = read_target(str(tmp_path / "a.yaml"), {"count": 9, "output.size": 64})
    assert isinstance(mixture, Mixture)
    assert (mixture.count, mixture.overrides) == (9, {"output.size": 64})
    assert mixture.recipe["light"]["pre"] == "2022-01-01"
    (tmp_path / "b.yaml").write_text("name: b\n")
    assert read_target(str(tmp_path / "b.yaml")) == Recipe(name="b")


def test_a_number_stands_for_a_range_of_itself():
    recipe = read_recipe("earthquake", {"hazard.magnitude": 7, "light.hours": 10.5})
    assert recipe.hazard.magnitude == (7.0, 7.0)
    assert recipe.light.hours == (10.5, 10.5)
    assert recipe.hash({}) == read_recipe("earthquake", {"hazard.magnitude": [7, 7], "light.hours": [10.5, 10.5]}).hash(
        {}
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"counts": 3}, ["counts: no such key"]),
        ({"count": 0}, ["count: "]),
        ({"cities": {}}, ["cities: "]),
        ({"cities__Harbour": {}}, ["cities.Harbour"]),
        ({"cities__hill__weight": 0}, ["cities.hill.weight"]),
        ({"cities__more-1": {}}, ["cities: a copy of one has the name of another"]),
        ({"cities__more__copies": 100_000, "cities__hill__copies": 100_000}, ["at most 100,000"]),
        ({"hazards__camp__copies": 2}, ["`copies` are of cities alone"]),
        ({"vary__season": {}}, ["vary.season has no alternatives"]),
        ({"splits__Train": 1}, ["splits.Train"]),
        ({"splits__val": -1}, ["splits.val.share"]),
        ({"splits__val": {"share": 1, "within": "test-event"}}, ["must name a split with cities of its own"]),
        ({"splits__val": {"share": 1, "within": "nowhere"}}, ["found `nowhere`"]),
        ({"splits__val": {"share": 1, "within": "train", "cities": 2}}, ["no cities of its own"]),
        ({"splits__val": {"share": 1, "cities": ["atlantis"]}}, ["no such city, found `atlantis`"]),
        ({"splits__val": {"share": 1, "cities": ["hill"]}}, ["what one has alone, no other has"]),
        ({"splits__val": {"share": 1, "hazards": ["meteor"]}}, ["no such hazard, found `meteor`"]),
        ({"splits__val": {"share": 1, "hazards": []}}, ["leaves a split nothing"]),
        ({"splits__val": {"share": 1, "hazards": ["flood", "quake", "camp"]}}, ["others have none"]),
        ({"recipe__seed": 3}, ["recipe.seed: is the mixture's"]),
        ({"vary__view__nadir__count": 3}, ["vary.view.nadir.count: is the mixture's"]),
        ({"overrides": {"city.file": "x.gml"}}, ["city.file is not laid over events"]),
        ({"balance": {"share": 0.2, "grade": 4}}, ["balance.grade"]),
    ],
)
def test_a_mistake_is_told_with_its_place(changes, words):
    with pytest.raises(RecipeError, match=r"^small\.yaml: [0-9]+ mistake") as error:
        small(**changes)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe__output__size": {"uniform": [1]}}, "output.size: uniform needs"),
        ({"recipe__output__sise": 3}, "output.sise: no such key"),
        ({"recipe__output__size": {"integers": [64, 70]}}, "output.size: is the same in all of a dataset"),
        ({"hazards__quake__hazard__magnitude": {"uniform": [9, 9]}}, "hazard.magnitude"),
        ({"recipe__light__pre": {"days_after": [1, 2]}}, "is of `light.post` alone"),
        ({"recipe__light__pre": 7}, "needs a date"),
        ({"recipe__light": 7}, "light: "),
        ({"cities__hill__city": 7}, "cities.hill: city: expected a mapping"),
        ({"cities__hill__city": {"uniform": [1, 2]}}, "cities.hill: city: expected a mapping"),
        ({"recipe": {"uniform": [1, 2]}}, "recipe: expected a mapping"),
        ({"overrides": {"hazard.magnitude": 7}}, "event"),
        ({"overrides": {"output.size.x": 7}}, "output.size.x"),
        ({"buffer": 400}, "too small to be shared by train, test-"),
        ({"splits__val": {"share": 1, "cities": 9}}, "there is no city left"),
        ({"overrides": {"tiles.within": [0, 0, 0.5, 1]}}, "divided between splits already"),
    ],
)
def test_values_that_no_recipe_takes_are_told_when_events_are_drawn(changes, words):
    with pytest.raises(RecipeError) as error:
        draw_events(small(**changes))
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@given(st.sampled_from(["recipe", "cities", "hazards", "vary", "splits", "overrides", "balance", "events"]), json)
def test_any_content_gives_events_or_one_error(key, value):
    with suppress(RecipeError):
        events = draw_events(parse_mixture({**SMALL, "count": 12, "events": 6, key: value}, "x"))
        assert sum(event.recipe.count for event in events) == 12


@pytest.mark.parametrize("content", [None, [], "x", 3])
def test_what_is_no_mapping_is_no_mixture(content):
    with pytest.raises(RecipeError, match="not a mixture"):
        parse_mixture(content, "x")


def test_no_such_recipe_names_those_that_are_there():
    with pytest.raises(RecipeError, match=r"expected a \.yaml file or one of: camp.*mage-bench"):
        read_target("mage-bunch")


def test_the_mixture_of_the_readme_draws_events():
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(name: coast.*?)```", text, re.DOTALL)
    events = draw_events(parse_mixture(parse_yaml(block, "README.md"), "README.md"))
    assert len(events) == 20
    assert {e.split for e in events} == {"train", "val", "test-city", "test-event"}
