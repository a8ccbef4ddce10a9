"""Where the sun stands and how much light comes down."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.sky import clear_light, sky_dome, sun_position


@pytest.mark.parametrize(
    ("day", "latitude", "elevation"),
    [
        (date(2023, 6, 21), 23.44, 90.0),  # the solstice at the tropic
        (date(2023, 12, 21), 23.44, 90 - 2 * 23.44),
        (date(2023, 3, 21), 0.0, 90.0),  # the equinox at the equator
        (date(2023, 6, 21), 52.0, 90 - 52 + 23.44),
        (date(2023, 6, 21), -33.9, 90 - 33.9 - 23.44),
    ],
)
def test_noon_elevation_is_that_of_the_almanac(day: date, latitude: float, elevation: float) -> None:
    assert np.degrees(sun_position(day, 12.0, latitude).elevation) == pytest.approx(elevation, abs=0.5)


def test_the_sun_rises_in_the_east_and_passes_south_of_the_north() -> None:
    morning, noon, evening = (np.degrees(sun_position(date(2023, 9, 22), h, 50).azimuth) for h in (8, 12, 16))
    assert 90 < morning < noon < evening < 270
    assert noon == pytest.approx(180, abs=1)


@given(st.floats(-60, 60), st.floats(8, 16), st.integers(1, 365), st.floats(0.02, 0.6))
def test_light_is_positive_and_never_more_than_came_in(latitude: float, hour: float, day: int, aerosol: float) -> None:
    sun = sun_position(date.fromordinal(date(2023, 1, 1).toordinal() + day - 1), hour, latitude)
    light = clear_light(sun, aerosol)
    assert (light.direct > 0).all()
    assert (light.diffuse > 0).all()
    assert (light.horizontal <= max(np.sin(sun.elevation), np.sin(np.radians(2))) + 1e-9).all()


def test_skylight_is_blue_and_sunlight_is_not() -> None:
    light = clear_light(sun_position(date(2023, 6, 14), 10, 40), 0.1)
    red, _, blue = light.diffuse
    assert blue > 1.5 * red
    assert light.direct[2] < light.direct[0]


def test_the_dome_gives_a_horizontal_plane_the_diffuse_irradiance() -> None:
    light = clear_light(sun_position(date(2023, 6, 14), 9, 40))
    dome = sky_dome(light, rows=96).astype(float)
    elevation = (np.arange(96) + 0.5) / 96 * np.pi - np.pi / 2
    weight = np.cos(elevation) * np.maximum(np.sin(elevation), 0) * (np.pi / 96) ** 2
    received = (dome * weight[:, None, None])[48:].sum(axis=(0, 1))
    assert received == pytest.approx(light.diffuse, rel=1e-3)


def test_the_dome_is_brightest_around_the_sun() -> None:
    sun = sun_position(date(2023, 6, 14), 9, 40)
    dome = sky_dome(clear_light(sun))[..., 1]
    row, column = np.unravel_index(dome.argmax(), dome.shape)
    elevation = (row + 0.5) / 64 * np.pi - np.pi / 2
    angle = np.pi - (column + 0.5) / 128 * 2 * np.pi  # counter-clockwise from +x
    ray = np.array([np.cos(elevation) * np.cos(angle), np.cos(elevation) * np.sin(angle), np.sin(elevation)])
    assert np.degrees(np.arccos(ray @ sun.direction)) < 20
