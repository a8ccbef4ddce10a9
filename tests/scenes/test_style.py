"""Styles: the bundled ones load, and mistakes are told."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from mage.scenes.details import Details
from mage.scenes.errors import RecipeError
from mage.scenes.layouts import Layout
from mage.scenes.style import GROUND, Houses, Planting, River, Streets, bundled_styles, load_style


@pytest.mark.parametrize("name", bundled_styles())
def test_every_bundled_style_loads_and_bears_its_name(name: str) -> None:
    style = load_style(name)
    assert name in bundled_styles()
    assert style.name == name
    assert set(style.look.ground) == set(GROUND)
    assert style.houses.gabled + style.houses.hipped + style.houses.flat == pytest.approx(1)


def test_an_unknown_name_is_refused_and_the_known_ones_are_listed() -> None:
    with pytest.raises(RecipeError, match="european, european-old-town"):
        load_style("atlantis")


def test_a_file_of_ones_own_is_read_and_all_its_mistakes_are_told_at_once(tmp_path: Path) -> None:
    content = load_style("suburb").model_dump(mode="json")
    content["name"] = "mine"
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_style(file).name == "mine"
    content["pavement"] = -1
    content["look"]["ground"].pop("bare")
    content["moat"] = 3
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(RecipeError, match="3 mistake") as caught:
        load_style(file)
    for word in ("pavement", "look.ground", "moat"):
        assert word in str(caught.value)


@pytest.mark.parametrize("name", bundled_styles())
def test_every_bundled_style_can_be_copied_to_a_file_and_edited(name: str, tmp_path: Path) -> None:
    style = load_style(name)
    content = style.model_dump(mode="json")
    file = tmp_path / "copy.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_style(file) == style
    content["streets"]["bend"] = 1.5
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert load_style(file).streets.bend == 1.5


def test_a_layout_that_is_unknown_or_has_a_key_of_another_is_refused(tmp_path: Path) -> None:
    content = load_style("village").model_dump(mode="json")
    file = tmp_path / "mine.yaml"
    for layout, word in (({"kind": "spiral"}, "layout"), ({**content["layout"], "towers": 0.2}, "towers")):
        file.write_text(yaml.safe_dump({**content, "layout": layout}), encoding="utf-8")
        with pytest.raises(RecipeError, match=word):
            load_style(file)


@pytest.mark.parametrize("part", [*get_args(get_args(Layout)[0]), River, Streets, Houses, Planting, Details])
def test_every_key_of_a_style_is_told_in_the_docstring_of_its_class(part: type[BaseModel]) -> None:
    told = part.__doc__ or ""
    assert [k for k in part.model_fields if k != "kind" and k not in told] == []


def test_a_file_that_is_missing_or_no_mapping_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        load_style(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="a mapping"):
        load_style(tmp_path / "list.yaml")
