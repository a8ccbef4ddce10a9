"""What surfaces reflect beyond the visible is what remote sensing has measured of their kind."""

from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.colour import reflectance
from mage.generator.spectra import BANDS, Kind, beyond_visible, centres, fabric_kinds, table
from mage.scenes.mesh import Surface
from mage.scenes.yamlio import parse_yaml

RED_EDGE, NIR, SWIR1, SWIR2 = range(4)


def ndvi(srgb, kind, withered=None) -> float:
    rgb = reflectance(srgb)
    nir = float(beyond_visible(rgb, kind, withered)[NIR])
    return (nir - rgb[0]) / (nir + rgb[0])


def nbr(srgb, kind, withered=None) -> float:
    bands = beyond_visible(reflectance(srgb), kind, withered)
    return float((bands[NIR] - bands[SWIR2]) / (bands[NIR] + bands[SWIR2]))


def test_every_row_has_a_source_and_a_kind() -> None:
    content = parse_yaml(files("mage.assets").joinpath("materials.yaml").read_text(encoding="utf-8"), "materials.yaml")
    assert sorted(content["surfaces"]) == sorted(kind.name.lower().replace("_", "-") for kind in Kind)
    assert all(len(row["source"]) > 20 for row in content["surfaces"].values())
    assert len(BANDS) == table()[0].shape[1] == len(centres()) == 7


@pytest.mark.parametrize("srgb", [(94, 113, 71), (86, 104, 66), (75, 94, 63), (102, 132, 87)])
def test_green_grass_is_bright_in_the_nir(srgb) -> None:
    """Lawns of Harvey, Santa Rosa and Zürich as facts/calibration.md measured them."""
    assert ndvi(srgb, Kind.GRASS, Kind.DRY_GRASS) > 0.5


@pytest.mark.parametrize("srgb", [(56, 79, 49), (60, 88, 63), (42, 48, 32), (84, 106, 81)])
def test_crowns_are_bright_in_the_nir(srgb) -> None:
    assert ndvi(srgb, Kind.LEAVES, Kind.DRY_LEAVES) > 0.5


@pytest.mark.parametrize(
    ("srgb", "kind", "withered"),
    [
        ((178, 160, 116), Kind.GRASS, Kind.DRY_GRASS),  # straw
        ((159, 116, 86), Kind.GRASS, Kind.SOIL),  # Adıyaman
        ((208, 165, 130), Kind.GRASS, Kind.SOIL),  # Kampala
        ((95, 102, 84), Kind.ASPHALT, None),
        ((185, 180, 159), Kind.CONCRETE, None),
        ((138, 108, 80), Kind.CLAY_TILE, None),
        ((83, 78, 66), Kind.SHINGLE, None),
        ((228, 231, 226), Kind.MEMBRANE, None),
        ((143, 137, 104), Kind.WATER, None),
        ((59, 68, 57), Kind.CHAR, None),
    ],
)
def test_what_is_not_green_has_a_low_vegetation_index(srgb, kind, withered) -> None:
    assert ndvi(srgb, kind, withered) < 0.3


@pytest.mark.parametrize("srgb", [(132, 126, 89), (143, 137, 104), (56, 75, 81)])
def test_water_is_dark_beyond_the_red_and_black_in_the_swir(srgb) -> None:
    rgb = reflectance(srgb)
    bands = beyond_visible(rgb, Kind.WATER)
    assert bands[NIR] < 0.6 * rgb[1]
    assert bands[SWIR1] < 0.03
    assert bands[SWIR2] < 0.02


def test_a_hard_burn_lowers_the_burn_ratio_by_more_than_the_threshold_of_moderate_high() -> None:
    """Key & Benson: dNBR above 0.44; nearly all of a lawn hidden by char."""
    lawn = beyond_visible(reflectance((94, 113, 71)), Kind.GRASS, Kind.DRY_GRASS)
    char = beyond_visible(reflectance((59, 56, 47)), Kind.CHAR)
    burnt = 0.05 * lawn + 0.95 * char
    before, after = ((b[NIR] - b[SWIR2]) / (b[NIR] + b[SWIR2]) for b in (lawn, burnt))
    assert before - after > 0.44
    assert nbr((94, 113, 71), Kind.GRASS, Kind.DRY_GRASS) - nbr((178, 160, 116), Kind.GRASS, Kind.DRY_GRASS) < 0.6


def test_mud_is_bright_in_the_nir_beside_water_and_darker_than_dry_soil_in_the_swir() -> None:
    rgb = reflectance((151, 139, 108))
    mud, soil, water = (beyond_visible(rgb, kind) for kind in (Kind.MUD, Kind.SOIL, Kind.WATER))
    assert mud[NIR] > 1.8 * water[NIR]
    assert mud[SWIR2] < 0.7 * soil[SWIR2]


@given(st.sampled_from(list(Kind)), st.floats(0.02, 0.6), st.floats(1.05, 1.6))
def test_a_brighter_surface_of_one_kind_is_brighter_in_every_band(kind: Kind, tone: float, factor: float) -> None:
    rgb = table()[0][kind, :3] * tone
    darker, brighter = beyond_visible(rgb, kind), beyond_visible(rgb * factor, kind)
    assert (brighter >= darker).all()
    assert ((darker > 0) & (brighter <= 1)).all()


@given(st.sampled_from(list(Kind)))
def test_a_surface_of_its_rows_own_colour_reflects_what_the_row_says(kind: Kind) -> None:
    row = table()[0][kind]
    if kind != Kind.TURBID_WATER:
        assert beyond_visible(row[:3], kind) == pytest.approx(np.maximum(row[3:], 0.001), rel=1e-3)


def test_roofs_are_told_by_ribs_and_colour() -> None:
    colours = reflectance(
        [(154, 98, 70), (222, 224, 218), (150, 150, 142), (70, 68, 62), (170, 172, 172), (34, 42, 66)]
    )
    surface = np.array([Surface.ROOF] * 5 + [Surface.CLUTTER], np.uint8)
    pattern = np.zeros((6, 3))
    pattern[4, 1] = 1.0
    expected = [Kind.CLAY_TILE, Kind.MEMBRANE, Kind.CONCRETE, Kind.SHINGLE, Kind.METAL, Kind.SOLAR_PANEL]
    assert fabric_kinds(surface, colours, pattern).tolist() == expected
