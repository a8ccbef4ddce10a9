"""YAML without surprises."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mage.scenes.errors import RecipeError
from mage.scenes.yamlio import LARGEST, parse_yaml, read_yaml


def test_plain_yaml_is_read_as_any_yaml():
    assert parse_yaml("a: [1, 2.5]\nb: {c: null, d: yes}", "f") == {"a": [1, 2.5], "b": {"c": None, "d": True}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x 1\nb: *x", "line 2, column 4: aliases are not allowed"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "line 4, column 3: the key 'c' stands twice"),
        ("1: a\n1: b", "the key '1' stands twice"),
        ("? [a]\n: b", "a key must be plain text"),
        ("a: [1", "line 1"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: 2023-13-45", "not valid YAML"),
        ("a: !!bool perhaps", "not valid YAML"),
        ("a: !!timestamp soon", "not valid YAML"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
        ("x" * (LARGEST + 1), "too large"),
    ],
)
def test_what_is_not_allowed_is_named_with_its_place(text, reason):
    with pytest.raises(RecipeError) as caught:
        parse_yaml(text, "r.yaml")
    assert str(caught.value).startswith("r.yaml: ")
    assert reason in str(caught.value)


@given(st.text(max_size=60) | st.text("&*!:-[]{}?|>'\"#%@ \n01ab.,=<", max_size=40))
@example("!!int ''")
@example("!!binary 1")
@example("<<: 1")
@example("? !!set {a}\n: 1")
def test_no_text_ends_in_anything_but_a_value_or_a_recipe_error(text):
    try:
        parse_yaml(text, "f")
    except RecipeError as error:
        message = str(error)
    else:
        return
    assert message.startswith("f: ")


def test_a_billion_laughs_are_refused_at_the_first_alias():
    bomb = "a: &a [x]\n" + "\n".join(f"{b}: &{b} [*{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(RecipeError, match="aliases are not allowed"):
        parse_yaml(bomb, "f")


def test_a_file_is_read_as_utf_8(tmp_path):
    (tmp_path / "r.yaml").write_text("name: Zürich", encoding="utf-8")
    assert read_yaml(tmp_path / "r.yaml") == {"name": "Zürich"}


def test_files_that_cannot_be_read_are_named(tmp_path):
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    big = tmp_path / "big.yaml"
    big.write_text("#" * (LARGEST + 1))
    for path, reason in (
        (tmp_path / "no.yaml", "no such file"),
        (tmp_path, "directory"),
        (binary, "as text"),
        (big, "too large"),
    ):
        with pytest.raises(RecipeError, match=reason) as caught:
            read_yaml(path)
        assert str(path) in str(caught.value)
