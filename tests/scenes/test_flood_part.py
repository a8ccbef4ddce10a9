"""What a recipe may say of a flood."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mage.scenes.errors import RecipeError
from mage.scenes.parts import FloodPart
from mage.scenes.recipe import Recipe, read_recipe

GOOD = {
    "fill": {"share": (0.1, 0.2)},
    "hand": {"stage": (1, 2)},
    "shallow": {"rain": (40, 80)},
    "raster": {"file": "depths.tif"},
}


@pytest.mark.parametrize("model", GOOD)
def test_a_model_is_written_out_whole_and_read_back(model):
    part = FloodPart(model=model, **GOOD[model])
    assert FloodPart.model_validate(part.model_dump(mode="json")) == part


def test_a_recipe_from_before_there_were_models_fills_as_it_did():
    part = read_recipe("flood").hazard
    assert (part.model, part.recession) == ("fill", (0.0, 0.0))


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        ("hand", {"share": (0.1, 0.2)}),
        ("fill", {"rain": (10, 20)}),
        ("raster", {"stage": (1, 2), "minutes": (30, 40)}),
        ("shallow", {"holds": "level"}),
    ],
)
def test_what_belongs_to_another_model_is_one_clear_mistake(model, wrong):
    with pytest.raises(ValidationError, match=f"the model `{model}` has no `{'`, `'.join(sorted(wrong))}`") as caught:
        FloodPart(model=model, **(GOOD[model] | wrong))
    assert caught.value.error_count() == 1


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"model": "hand"}, "needs a `stage`"),
        ({"model": "raster"}, "needs a `file`"),
        ({"model": "shallow"}, "needs `rain`, `inflow` or a `breach`"),
        ({"model": "shallow", "rain": (1, 2), "at": (0, 0)}, "`at` says where"),
        ({"model": "shallow", "inflow": (1, 2), "at": (0, float("nan"))}, "finite"),
        ({"recession": (0.6, 0.2)}, "must not exceed"),
    ],
)
def test_a_model_without_what_it_needs_is_refused(part, message):
    with pytest.raises(ValidationError, match=message):
        FloodPart(**part)


def test_a_mistake_in_a_chain_says_where_it_is():
    hazard = [{"kind": "earthquake"}, {"kind": "flood", "model": "hand"}]
    with pytest.raises(RecipeError, match=r"hazard\.1: .*needs a `stage`"):
        read_recipe("flood", {"hazard": hazard})


@pytest.mark.parametrize("chain", [False, True])
def test_a_rasters_content_and_not_its_name_counts_in_the_hash(chain):
    def of(name: str) -> Recipe:
        part = FloodPart(model="raster", file=name)
        return Recipe(name="x", hazard=(part,) if chain else part)

    first, moved = of("a.tif"), of("b/c.tif")
    assert first.files == ("a.tif",)
    assert first.hash({"a.tif": "1"}) == moved.hash({"b/c.tif": "1"})
    assert first.hash({"a.tif": "1"}) != first.hash({"a.tif": "2"})
