"""What seasons must be, wherever and whenever."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mage.scenes.season import Crop, Season, Stage, crop_of, tree_years

DAYS = st.dates(date(2021, 1, 1), date(2024, 12, 31))
LATITUDES = st.floats(-66, 66)
CLIMATES = st.sampled_from(["temperate", "summer-dry", "summer-humid"])
JANUARY, JULY = date(2023, 1, 15), date(2023, 7, 15)


def leafed(season: Season) -> float:
    """Share of broadleaved trees in leaf."""
    number, offsets = tree_years(2000)
    leafy, _, _ = season.leaves(offsets)
    return float((leafy | (number >= season.deciduous)).mean())


@pytest.mark.parametrize("latitude", [40.0, 48.0, 60.0])
def test_northern_trees_are_bare_in_january_and_leafed_in_july_and_southern_ones_the_reverse(latitude: float) -> None:
    assert leafed(Season.of(JANUARY, latitude)) == 0
    assert leafed(Season.of(JULY, latitude)) == 1
    assert leafed(Season.of(JANUARY, -latitude)) == 1
    assert leafed(Season.of(JULY, -latitude)) == 0


@given(DAYS, st.floats(-23.5, 23.5))
def test_the_tropics_are_always_green(day: date, latitude: float) -> None:
    season = Season.of(day, latitude)
    assert leafed(season) == 1
    assert season.dull == season.dry == 0 or abs(latitude) == 23.5
    assert all(season.stage(crop) == Stage.GREEN for crop in Crop) or abs(latitude) == 23.5


@given(DAYS, LATITUDES, CLIMATES)
def test_every_share_is_a_share_and_half_a_year_swaps_the_hemispheres(day: date, latitude: float, climate: str) -> None:
    assume(latitude != 0)  # which lies in neither
    season = Season.of(day, latitude, climate)  # type: ignore[arg-type]
    leafy, turned, fresh = season.leaves(np.linspace(-25, 25, 11))
    for share in (season.deciduous, season.dull, season.dry, turned, fresh):
        assert np.all((np.asarray(share) >= 0) & (np.asarray(share) <= 1))
    assert not turned[~leafy].any()
    assert not fresh[~leafy].any()
    other = Season.of(day + timedelta(days=183), -latitude, climate)  # type: ignore[arg-type]
    assert abs(other.dull - season.dull) < 0.06
    assert abs(other.dry - season.dry) < 0.06


def test_leaves_come_later_and_fall_earlier_towards_the_pole() -> None:
    april, november = date(2023, 4, 15), date(2023, 10, 28)
    for when in (april, november):
        shares = [leafed(Season.of(when, latitude)) for latitude in (40.0, 46.0, 52.0, 58.0)]
        assert shares == sorted(shares, reverse=True)
        assert shares[0] > shares[-1]


def test_trees_turn_before_they_are_bare_and_are_pale_when_new() -> None:
    _, offsets = tree_years(500)
    _, turned, fresh = Season.of(date(2023, 10, 25), 48.0).leaves(offsets)
    assert turned.mean() > 0.3
    assert fresh.max() == 0
    _, turned, fresh = Season.of(date(2023, 5, 1), 48.0).leaves(offsets)
    assert turned.max() == 0
    assert fresh.mean() > 0.3


def test_dry_summers_leave_straw_and_wet_winters_green_where_others_pale() -> None:
    august, february = date(2023, 8, 10), date(2023, 2, 10)
    hatay = [Season.of(day, 36.2, "summer-dry") for day in (august, february)]
    berlin = [Season.of(day, 52.5) for day in (august, february)]
    assert hatay[0].dry > 0.9 > 0.1 > hatay[1].dry
    assert berlin[0].dry < 0.2
    assert berlin[1].dull > 0.9 > 0.2 > hatay[1].dull


def test_lawns_of_humid_summers_rest_in_winter_the_more_the_farther_from_the_tropics() -> None:
    def humid(latitude: float, day: date) -> Season:
        return Season.of(day, latitude, "summer-humid")

    resting = [humid(latitude, JANUARY).dull for latitude in (23.5, 29.8, 35.7)]
    assert resting[0] == 0
    assert resting == sorted(set(resting))
    assert resting[2] > 0.9
    assert humid(35.7, JULY).dull < 0.05
    assert humid(35.7, JANUARY).dull > Season.of(JANUARY, 35.7).dull


def test_fields_are_ripe_and_bare_when_their_crop_is() -> None:
    def of(month: int, crop: Crop) -> Stage:
        return Season.of(date(2023, month, 10), 50.0).stage(crop)

    assert [of(m, Crop.CEREAL) for m in (1, 5, 7, 8, 10)] == [
        Stage.SEEDLINGS,
        Stage.GREEN,
        Stage.RIPE,
        Stage.STUBBLE,
        Stage.SOIL,
    ]
    assert [of(m, Crop.MAIZE) for m in (1, 4, 8, 9)] == [Stage.SOIL, Stage.SOIL, Stage.GREEN, Stage.RIPE]
    assert of(1, Crop.MEADOW) == of(8, Crop.MEADOW) == Stage.GREEN


def test_trees_and_fields_keep_their_kind_from_date_to_date() -> None:
    assert all((a == b).all() for a, b in zip(tree_years(50), tree_years(50), strict=True))
    assert crop_of(7) == crop_of(7)
    assert {crop_of(i)[0] for i in range(60)} == set(Crop)


def test_leaves_are_green_in_summer_olive_in_autumn_and_always_green_in_the_tropics() -> None:
    august, october, july = (Season.of(date(2023, *day), 29.8) for day in ((8, 31), (10, 15), (7, 1)))
    assert july.olive == 0
    assert august.olive < 0.1
    assert october.olive > 0.9
    assert Season.of(date(2023, 9, 20), 50.0).olive > Season.of(date(2023, 9, 20), 30.0).olive
    assert Season.of(date(2023, 4, 15), -29.8).olive > 0.9
    assert Season.of(date(2023, 10, 15), 0.3).olive == 0
