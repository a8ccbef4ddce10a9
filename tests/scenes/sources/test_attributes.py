"""What buildings say of themselves, in the spellings and codes of their sources."""

from __future__ import annotations

import pytest

from mage.scenes.sources.buildings.attributes import height_of, roof_kind_of, roof_shape_of


class TestHeight:
    @pytest.mark.parametrize(
        ("attributes", "height"),
        [
            ({"measuredHeight": 9.19}, 9.19),
            ({"measuredHeight": "9.19"}, 9.19),
            ({"measuredHeight": "9,19 m"}, 9.19),
            ({"con:height": [{"value": {"value": 3}}, {"value": 12.5}]}, 12.5),
            ({"height": "7"}, 7.0),
            ({"b3_h_dak_max": 4.981, "b3_h_dak_50p": 2.24, "b3_h_maaiveld": -1.306}, 6.287),
            ({"h_dak_max": 4.981, "h_maaiveld": -1.306}, 6.287),
            ({"b3_h_dak_max": 4.981}, None),
            ({"measuredHeight": -9999, "height": 8}, 8.0),
            ({"measuredHeight": 0}, None),
            ({"measuredHeight": "1e9"}, None),
            ({"measuredHeight": "tall"}, None),
            ({"measuredHeight": None}, None),
            ({"measuredHeight": float("nan")}, None),
            ({}, None),
        ],
    )
    def test_it_is_read_from_whatever_name_holds_it(self, attributes: dict[str, object], height: float | None) -> None:
        found = height_of([attributes])
        assert found is None if height is None else found == pytest.approx(height)

    def test_a_part_goes_before_its_building(self) -> None:
        assert height_of([{"measuredHeight": 5}, {"measuredHeight": 20}]) == 5
        assert height_of([{}, {"measuredHeight": 20}]) == 20


class TestRoof:
    @pytest.mark.parametrize(
        ("code", "shape", "kind"),
        [
            ("1000", "flat", "flat"),
            (1000, "flat", "flat"),
            ("1030", "gabled", "pitched"),
            ("3100", "gabled", "pitched"),
            ("3200", "hipped", "pitched"),
            ("2100", "skillion", "pitched"),
            ("1130", "", "unknown"),
            ("5000", "", "unknown"),
            ("a roof", "", "unknown"),
        ],
    )
    def test_codes_of_citygml_and_of_the_german_cadastre(self, code: object, shape: str, kind: str) -> None:
        assert roof_shape_of([{"roofType": code}]) == shape
        assert roof_kind_of([{"roofType": code}]) == kind

    @pytest.mark.parametrize(
        ("word", "kind"),
        [
            ("slanted", "pitched"),
            ("single horizontal", "flat"),
            ("multiple horizontal", "flat"),
            ("no points", "unknown"),
        ],
    )
    def test_words_of_3dbag(self, word: str, kind: str) -> None:
        assert roof_kind_of([{}, {"b3_dak_type": word}]) == kind
