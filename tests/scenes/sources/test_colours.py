"""Colours are read from hex codes, names and materials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.scenes.sources.buildings.colours import colour_of, material_colour


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#c84", (204, 136, 68)),
        ("#CC8844", (204, 136, 68)),
        ("cc8844", (204, 136, 68)),
        ("#cc8844ff", (204, 136, 68)),
        ("beige", (245, 245, 220)),
        ("Light Grey", (186, 186, 182)),
    ],
)
def test_a_colour_is_a_hex_code_or_a_name(text: str, colour: tuple[int, int, int]) -> None:
    assert colour_of(text) == colour


def test_a_red_roof_is_not_as_red_as_a_screen() -> None:
    red, green, blue = colour_of("red") or (0, 0, 0)
    assert 120 < red < 200
    assert min(green, blue) > 30


def test_a_material_looks_different_on_roofs_and_walls() -> None:
    assert material_colour("roof_tiles", "roofs") == (150, 94, 74)
    assert material_colour("concrete", "roofs") != material_colour("concrete", "walls")
    assert material_colour("cheese", "walls") is None


@given(st.text(max_size=50))
def test_any_text_is_a_colour_or_none(text: str) -> None:
    found = colour_of(text)
    assert found is None or all(0 <= channel <= 255 for channel in found)
