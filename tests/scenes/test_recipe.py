"""Recipes: what is accepted, what is refused, what decides their hash."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mage.scenes.errors import RecipeError
from mage.scenes.recipe import FloodPart, LightPart, Recipe, bundled_recipes, parse_assignment, read_recipe


@pytest.fixture
def recipe_file(tmp_path):
    def write(text):
        path = tmp_path / "r.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize("name", bundled_recipes())
def test_every_bundled_recipe_is_valid_and_bears_its_name(name):
    assert read_recipe(name).name == name


def test_a_name_is_all_that_a_recipe_needs(recipe_file):
    assert read_recipe(recipe_file("name: mine")) == Recipe(name="mine")


def test_all_mistakes_are_reported_at_once_with_their_paths(recipe_file):
    text = (
        "name: Mine\nsize: 3\noutput: {gsd: -1, sise: 2}\nhazard: {share: [0.9, 0.1], region: mars}\nlight: {pre: May}"
    )
    with pytest.raises(RecipeError) as caught:
        read_recipe(recipe_file(text))
    message = str(caught.value)
    assert "7 mistake(s)" in message
    for part in (
        "name: ", "size: no such key", "output.gsd: ", "output.sise: no such key", "hazard.share: ", "found [0.9, 0.1]",
        "hazard.region: ", "light.pre: ", "found 'May'",
    ):  # fmt: skip
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        "hazard: {share: [15, 65]}",  # per cent
        "hazard: {share: [.nan, .nan]}",
        "hazard: {share: [0.1]}",
        "hazard: {stage: [-1, 2]}",
        "hazard: {highest: .inf}",
        "light: {hours: [10, 26]}",
        "light: {pre: 2023-02-30}",
        "light: {post: '2023-2-3'}",
        "light: {post: 2023-02-03 10:00:00}",
        "output: {gsd: .nan}",
        "output: {size: 16}",
        "count: 0",
        "seed: -1",
        "seed: 9223372036854775808",
        "render: {device: abacus}",
        "city: 5",
    ],
)
def test_values_that_cannot_be_meant_are_refused(recipe_file, text):
    with pytest.raises(RecipeError):
        read_recipe(recipe_file(f"name: x\n{text}"))


def test_a_date_may_be_written_with_or_without_quotes(recipe_file):
    bare, quoted = (read_recipe(recipe_file(f"name: x\nlight: {{pre: {d}}}")) for d in ("2024-02-29", "'2024-02-29'"))
    assert bare == quoted
    assert bare.light.pre == "2024-02-29"


def test_the_default_parts_are_valid_themselves():
    assert FloodPart.model_validate(FloodPart().model_dump()) == FloodPart()
    assert LightPart.model_validate(LightPart().model_dump()) == LightPart()


def test_a_recipe_written_out_is_read_back_equal(recipe_file):
    recipe = read_recipe(
        "flood", {"hazard.stage": [1, 2], "city.file": "a b.json", "light.pre": "2024-01-01", "seed": 2**62}
    )
    assert read_recipe(recipe_file(recipe.to_yaml())) == recipe


def test_assignments_of_the_command_line_set_any_key():
    options = dict(map(parse_assignment, ["output.size=64", "hazard.share=[0.2, 0.3]", "city.file=a=b.gml"]))
    recipe = read_recipe("flood", options)
    assert (recipe.output.size, recipe.hazard.share, recipe.city.file) == (64, (0.2, 0.3), "a=b.gml")


@pytest.mark.parametrize("text", ["output.size", "=4", ""])
def test_an_assignment_without_key_or_value_is_explained(text):
    with pytest.raises(RecipeError, match="key=value"):
        parse_assignment(text)


@pytest.mark.parametrize(
    ("key", "reason"), [("output.sise", "no such key"), ("seed.x", "plain value"), ("outptu.size", "no such key")]
)
def test_an_assignment_to_what_is_not_there_is_refused(key, reason):
    with pytest.raises(RecipeError, match=reason):
        read_recipe("flood", {key: 1})


@pytest.mark.parametrize(("text", "found"), [("- a\n- b", "list"), ("", "NoneType"), ("just words", "str")])
def test_a_document_that_is_no_mapping_is_no_recipe(recipe_file, text, found):
    with pytest.raises(RecipeError, match=found):
        read_recipe(recipe_file(text))


def test_a_name_that_is_no_recipe_is_answered_with_those_that_are():
    with pytest.raises(RecipeError, match=r"fload: no such recipe; .*flood"):
        read_recipe("fload")
    with pytest.raises(RecipeError, match="no such file"):
        read_recipe("missing.yaml")


def changed(**overrides):
    recipe = read_recipe("flood", {k.replace("__", "."): v for k, v in overrides.items()})
    return recipe.hash(dict.fromkeys(recipe.files, "c0ffee"))


def test_the_hash_counts_what_decides_the_pictures():
    changes = [
        {},
        {"output__size": 64},
        {"hazard__highest": 2},
        {"render__spp": 3},
        {"light__pre": "2020-01-01"},
        {"city__style": "other"},
        {"city__file": "a.gml"},
        {"city__file": "a.gml", "city__bounds": [4.0, 51.0, 4.1, 51.1]},
        {"city__file": "a.gml", "city__terrain": ["dtm.tif"]},
        {"city__file": "a.gml", "city__surface": "dsm.tif"},
        {"city__drives": "left"},
    ]
    hashes = {changed(**change) for change in changes}
    assert len(hashes) == len(changes)
    assert all(len(h) == 16 and int(h, 16) >= 0 for h in hashes)


@pytest.mark.parametrize("key", ["city.file", "city.surface", "city.style", "city.terrain"])
def test_a_file_counts_by_its_content_and_not_by_its_name(key):
    def hashed(name, content):
        recipe = read_recipe("flood", {key: [name] if key == "city.terrain" else name})
        assert recipe.files == (name,)
        return recipe.hash({name: content})

    assert hashed("a.yaml", "c0ffee") == hashed("elsewhere/b.yaml", "c0ffee") != hashed("a.yaml", "decaf")


@pytest.mark.parametrize("box", [[5, 51, 4, 52], [4, 52, 5, 51], [4, 51, 4, 52], [4, 51, 5]])
def test_bounds_have_an_inside(box):
    with pytest.raises(RecipeError, match=r"city\.bounds"):
        read_recipe("flood", {"city.bounds": box})


def test_the_hash_does_not_count_packing_place_or_seed():
    changes = [
        {},
        {"seed": 9},
        {"count": 99},
        {"render__device": "cpu"},
        {"output__shard_size": 2},
    ]
    same = {changed(**change) for change in changes}
    assert len(same) == 1


def test_the_hash_is_the_same_in_every_process():
    code = "from mage.scenes.recipe import read_recipe; print(read_recipe('flood').hash({}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": "7"})
    assert other.stdout.strip() == changed()
