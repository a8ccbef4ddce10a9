"""Messages of errors."""

from __future__ import annotations

import pytest

from mage.scenes import errors
from mage.scenes.errors import CityError, MageError, MissingExtraError


def test_a_message_says_which_file_what_was_expected_and_what_was_found():
    error = CityError("not a city", file="a.gml", expected="buildings", found="a poem")
    assert str(error) == "a.gml: not a city; expected buildings; found a poem"
    assert (error.file, error.expected, error.found) == ("a.gml", "buildings", "a poem")


def test_what_is_not_known_is_left_out_of_the_message():
    assert str(MageError("no")) == "no"
    assert str(MageError("no", found="x")) == "no; found x"


def test_a_missing_extra_names_the_command_that_installs_it():
    assert "pip install 'mage-eo[learning]'" in str(MissingExtraError("torch", "learning"))


@pytest.mark.parametrize("name", [n for n in vars(errors) if n.endswith("Error")])
def test_every_error_can_be_caught_as_a_mage_error(name):
    assert issubclass(getattr(errors, name), MageError)
