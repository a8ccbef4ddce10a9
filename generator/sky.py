"""Sun and sky by date, time and latitude, as irradiances and a baked sky dome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.float64]
WAVELENGTHS = np.array([0.65, 0.55, 0.46])  # µm, middles of a visible sensor's red, green and blue bands


@dataclass(frozen=True, slots=True)
class Sun:
    """Where the sun is: radians above the horizon and clockwise from north."""

    elevation: float
    azimuth: float

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vector towards the sun, (east, north, up)."""
        horizontal = np.cos(self.elevation)
        return np.array([horizontal * np.sin(self.azimuth), horizontal * np.cos(self.azimuth), np.sin(self.elevation)])


@dataclass(frozen=True, slots=True)
class Light:
    """Irradiances relative to the top of the atmosphere, per band (R, G, B).

    Attributes:
        sun: its position.
        direct: on a plane facing the sun.
        diffuse: from the sky on a horizontal plane.
        aerosol: optical depth at 0.55 µm that both were computed for.
    """

    sun: Sun
    direct: RGB
    diffuse: RGB
    aerosol: float = 0.15

    @property
    def horizontal(self) -> RGB:
        """All light on a horizontal plane."""
        return self.direct * np.sin(self.sun.elevation) + self.diffuse


def sun_position(day: date, hour: float, latitude: float) -> Sun:
    """The sun at local solar time ``hour`` and ``latitude`` (degrees).

    Declination by Spencer (1971), "Fourier series representation of the position of the sun"; error below 0.04 degrees.
    """
    angle = 2 * np.pi * (day.timetuple().tm_yday - 1 + (hour - 12) / 24) / 365
    declination = (
        0.006918
        - 0.399912 * np.cos(angle)
        + 0.070257 * np.sin(angle)
        - 0.006758 * np.cos(2 * angle)
        + 0.000907 * np.sin(2 * angle)
        - 0.002697 * np.cos(3 * angle)
        + 0.00148 * np.sin(3 * angle)
    )
    lat, hour_angle = np.radians(latitude), np.radians(15 * (hour - 12))
    east = -np.cos(declination) * np.sin(hour_angle)
    north = np.cos(lat) * np.sin(declination) - np.sin(lat) * np.cos(declination) * np.cos(hour_angle)
    up = np.sin(lat) * np.sin(declination) + np.cos(lat) * np.cos(declination) * np.cos(hour_angle)
    return Sun(float(np.arcsin(np.clip(up, -1, 1))), float(np.arctan2(east, north) % (2 * np.pi)))


def clear_light(sun: Sun, aerosol: float = 0.15, wavelengths: RGB = WAVELENGTHS) -> Light:
    """Direct and diffuse irradiance under a clear sky of aerosol optical depth ``aerosol`` at 0.55 µm, at
    ``wavelengths`` (n,) in µm; absorption by gases is left out, since sensors' bands lie where there is little.

    Rayleigh optical depth 0.008735 λ^-4.08 (Leckner 1978), aerosol by Ångström's law with exponent 1.3,
    air mass by Kasten & Young (1989). Half of what Rayleigh scattering takes comes down as skylight, since it scatters
    forward and back alike, and 0.85 of what aerosol takes, since large particles scatter forward.
    """
    elevation = max(sun.elevation, np.radians(2.0))
    degrees = np.degrees(elevation)
    mass = 1 / (np.sin(elevation) + 0.50572 * (degrees + 6.07995) ** -1.6364)
    rayleigh = np.exp(-mass * 0.008735 * wavelengths**-4.08)
    haze = np.exp(-mass * aerosol * (wavelengths / 0.55) ** -1.3)
    down = np.sin(elevation) * (0.5 * (1 - rayleigh) + 0.85 * rayleigh * (1 - haze))
    return Light(sun, rayleigh * haze, down, aerosol)


def sky_dome(light: Light, rows: int = 64) -> NDArray[np.float32]:
    """Radiance of the sky without the sun's disc, float32 (rows, 2 * rows, 3), an equirectangular map.

    Row 0 is the nadir and the last row the zenith, the middle column looks along +x and columns run clockwise seen
    from above,
    as Blender lays out environment images. Luminance by the CIE clear sky (CIE S 011, type 12: gradation -1 and -0.32,
    indicatrix 10, -3, 0.45), scaled so that a horizontal plane receives ``light.diffuse``; below the horizon
    the mean ground reflects 15 %.
    """
    columns = 2 * rows
    elevation = (np.arange(rows) + 0.5) / rows * np.pi - np.pi / 2
    longitude = np.pi - (np.arange(columns) + 0.5) / columns * 2 * np.pi
    up = np.sin(elevation)[:, None] * np.ones(columns)
    flat = np.cos(elevation)[:, None]
    ray = np.stack([flat * np.cos(longitude), flat * np.sin(longitude), up], axis=-1)
    to_sun = np.arccos(np.clip(ray @ light.sun.direction, -1, 1))
    gradation = 1 - np.exp(-0.32 / np.maximum(up, 0.01))
    indicatrix = 1 + 10 * (np.exp(-3 * to_sun) - np.exp(-3 * np.pi / 2)) + 0.45 * np.cos(to_sun) ** 2
    luminance = np.where(up > 0, gradation * indicatrix, 0.0)
    solid = np.cos(elevation)[:, None] * (np.pi / rows) ** 2
    luminance /= (luminance * np.maximum(up, 0) * solid).sum()
    radiance = luminance[..., None] * light.diffuse
    radiance[up <= 0] = 0.15 * light.horizontal / np.pi
    return radiance.astype(np.float32)
