"""Recipes: what is accepted, what is refused, what decides their hash."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mage.scenes.errors import RecipeError
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import Recipe, bundled_recipes, parse_assignment, read_recipe
from mage.scenes.settings import LightPart


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
        city = {"city.file": "city.gml"} if key in ("city.terrain", "city.surface") else {}
        recipe = read_recipe("flood", {**city, key: [name] if key == "city.terrain" else name})
        assert set(recipe.files) == {name, *city.values()}
        return recipe.hash({"city.gml": "f00d", name: content})

    assert hashed("a.yaml", "c0ffee") == hashed("elsewhere/b.yaml", "c0ffee") != hashed("a.yaml", "decaf")


def test_a_shakemap_counts_by_its_content_too_alone_and_in_a_chain():
    def hashed(name, content, chain):
        part = {"kind": "earthquake", "shakemap": name}
        recipe = read_recipe("flood", {"hazard": [part, {"kind": "fire"}] if chain else part})
        assert recipe.files == (name,)
        return recipe.hash({name: content})

    for chain in (False, True):
        assert hashed("a.xml", "c0ffee", chain) == hashed("b.xml", "c0ffee", chain) != hashed("a.xml", "decaf", chain)


@pytest.mark.parametrize("name", bundled_recipes())
def test_a_bundled_recipe_says_which_disasters_strike_in_which_order(name):
    recipe = read_recipe(name)
    assert recipe.disaster == recipe.name == name
    assert [part.kind for part in recipe.hazards] == name.split("-")
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_a_bundled_recipes_style_is_not_put_on_a_real_city_unless_asked_for():
    assert read_recipe("earthquake").city.style == "mediterranean"
    assert read_recipe("earthquake", {"city.file": "a.gml"}).city.style is None
    assert read_recipe("earthquake", {"city.file": "a.gml", "city.style": "village"}).city.style == "village"


def test_a_hazard_that_does_not_say_what_it_is_is_a_flood():
    assert read_recipe("flood", {"hazard": [{"kind": "fire"}, {"share": [0.2, 0.3]}]}).disaster == "fire-flood"


@pytest.mark.parametrize(
    ("hazard", "words"),
    [
        ({"kind": "meteor"}, ["1 mistake", "hazard: no such kind of hazard"]),
        (7, ["hazard: no such kind of hazard"]),
        ([], ["hazard: ", "1 to 8 hazards, found 0"]),
        ([{"kind": "flood"}, {}], ["one flood at most"]),
        ([{"kind": "fire"}] * 9, ["1 to 8 hazards, found 9"]),
        ({"kind": "fire", "wind": [9, 1]}, ["1 mistake", "hazard.wind: ", "found [9"]),
        ([{"kind": "fire"}, {"kind": "wind", "spead": 3}], ["1 mistake", "hazard.1.spead: no such key"]),
        ({"kind": "earthquake", "mode": "random"}, ["`shares` go with the mode"]),
    ],
)
def test_mistakes_in_hazards_are_told_by_their_path(hazard, words):
    with pytest.raises(RecipeError) as caught:
        read_recipe("flood", {"hazard": hazard})
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize("key", ["city.bounds", "city.terrain", "city.surface"])
def test_what_belongs_to_a_city_file_is_refused_without_one(key):
    value = {"city.bounds": [1, 2, 3, 4], "city.terrain": ["a.tif"], "city.surface": "a.tif"}[key]
    with pytest.raises(RecipeError, match="need a city file"):
        read_recipe("flood", {key: value})


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


def test_quality_chooses_the_samples_and_an_explicit_number_goes_before_it():
    def samples(recipe="flood", **render):
        return read_recipe(recipe, {f"render.{k}": v for k, v in render.items()}).samples(1.0)

    asked = [samples(quality=quality) for quality in ("draft", "standard", "high")]
    assert asked == sorted(set(asked))
    assert samples() == asked[1]
    assert samples(denoise=False) > samples("earthquake") > samples()
    assert samples(quality="high", spp=3) == 3
    assert read_recipe("flood").samples(0.2) > samples()
    assert read_recipe("flood").samples(1.0, hard=0.02) < samples()
    assert read_recipe("earthquake").samples(1.0, after=False) == samples()  # nothing is broken yet
    with pytest.raises(RecipeError, match=r"render\.quality"):
        samples(quality="best")
