"""The map sheet: what is on it, that it is the same each time, and that no name or lack of things breaks it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from found import found, nothing_found
from pyproj import Transformer

from mage.learning.mapping.findings import Product
from mage.learning.mapping.product.locator import graticule
from mage.learning.mapping.product.paper import legible, text_width
from mage.learning.mapping.product.sheet import FRAME, draw_sheet, view, write_sheet

pytest.importorskip("matplotlib", reason="needs the Python package matplotlib")


def words(figure):
    """All text of a figure."""
    return " ".join(text.get_text() for axes in figure.axes for text in [*axes.texts, *inner(axes)])


def inner(axes):
    return [text for child in axes.child_axes for text in child.texts]


@pytest.fixture(scope="module")
def findings(tmp_path_factory):
    return found(tmp_path_factory.mktemp("found"))


@pytest.fixture(scope="module")
def written(findings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sheet")
    return folder, write_sheet(findings, folder)


def test_the_sheet_is_an_a3_pdf_and_a_png_of_200_pixels_to_the_inch(written):
    folder, paths = written
    assert paths == [folder / "map.pdf", folder / "map.png"]
    assert sorted(path.name for path in folder.iterdir()) == ["map.pdf", "map.png"]
    content = paths[0].read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/MediaBox [ 0 0 1190.551181" in content  # points: 420 mm
    assert b"CreationDate" not in content
    image = cv2.imread(str(paths[1]))
    assert image.shape == (2338, 3307, 3)


def test_its_map_shows_the_image_and_destroyed_buildings_where_they_lie(findings, written):
    _, (_, png) = written
    image = cv2.imread(str(png))[..., ::-1].astype(int)
    (west, south, _, _), scale = view(findings)

    def at(x, y):
        right, up = (1000 * (value - low) / scale for value, low in ((x, west), (y, south)))
        column, row = (FRAME[0] + right) / 25.4 * 200, image.shape[0] - (FRAME[1] + up) / 25.4 * 200
        return image[int(row), int(column)]

    destroyed = shapely.centroid(findings.buildings.outline[2])
    red = at(destroyed.x, destroyed.y)
    assert red[0] > 140
    assert max(red[1:]) < 40
    lawn = at(500_026, 5_300_045)
    assert lawn[1] > max(lawn[0], lawn[2])


def test_a_round_scale_holds_the_whole_area(findings):
    for west, south, east, north in [(0, 0, 64, 48), (0, 0, 9000, 200), (-5e4, 0, 10, 7e5)]:
        extent, scale = view(replace(findings, area=shapely.box(west, south, east, north)))
        assert extent[0] < west
        assert extent[1] < south
        assert extent[2] > east
        assert extent[3] > north
        assert (extent[2] - extent[0]) * 1000 / FRAME[2] == pytest.approx(scale, rel=1e-6)
        assert len(str(scale).rstrip("0")) <= 3


def test_products_differ_in_what_they_say_of_buildings(findings):
    told = {
        product: words(draw_sheet(replace(findings, event=replace(findings.event, product=product))))
        for product in (Product.DELINEATION, Product.FIRST_ESTIMATE)
    }
    assert "not graded in this product (12)" in told[Product.DELINEATION]
    # of the four cells, which are filled; the districts hold more, and are lines
    assert re.search(r"area with 4 damaged\s+buildings\s+expected", told[Product.FIRST_ESTIMATE])
    assert all("Destroyed (3)" not in text for text in told.values())


def test_a_place_with_nothing_in_it_and_nowhere_on_earth_still_makes_a_sheet(tmp_path):
    told = words(draw_sheet(nothing_found(tmp_path, None)))
    assert "Flooded area: none observed" in told
    assert "no roads were given" in told
    assert "of the grid" in told
    assert "frame of their own" in told.replace("\n", " ")
    assert "do not say where on Earth" in told


def test_hostile_names_are_words_and_letters_that_no_font_has_are_marked(findings):
    r"""``$`` begins a formula elsewhere; ``\N`` and control characters break lines."""
    name = "$\\frac{1$ <b>\u202e\n\x00水害 " + "x" * 300
    event = replace(findings.event, name=name)
    areas = tuple(replace(area, name=name) for area in findings.areas)
    told = words(draw_sheet(replace(findings, event=event, areas=areas, unlike=0.5)))
    assert "$\\frac{1$" in told
    assert "Caution: 50 %" in told
    assert "水" not in told
    assert legible("水 a") == "\ufffd a"


def test_cells_are_lettered_above_the_map_and_numbered_beside_it(findings):
    """A place of 900 m x 700 m, whose cells of 250 m begin at multiples of it."""
    area = shapely.box(500_100, 5_300_100, 501_000, 5_300_800)
    wide = replace(findings, area=area, buildings=replace(findings.buildings, outline=moved(findings, area)))
    axes = draw_sheet(wide).axes[1]
    south, north = view(wide)[0][1::2]
    told = {text.get_text(): text.get_position() for text in axes.texts}
    for word, middle in (("A", 500_125), ("B", 500_375), ("C", 500_625), ("D", 500_875)):
        assert told[word][0] == middle
        assert told[word][1] > 1
    assert "E" not in told
    for word, middle in (("1", 5_300_875), ("2", 5_300_625), ("3", 5_300_375), ("4", 5_300_125)):
        if south < middle < north:
            assert told[word][1] == middle


def moved(findings, area):
    by = np.array([area.bounds[0] - 500_000, area.bounds[1] - 5_300_000])
    return shapely.transform(findings.buildings.outline, lambda xy: xy + by)


def test_cells_too_small_to_letter_are_lettered_now_and_then(findings):
    large = replace(findings, area=shapely.box(500_000, 5_300_000, 550_000, 5_330_000))
    axes = draw_sheet(large).axes[1]
    _, scale = view(large)
    at = sorted(text.get_position()[0] for text in axes.texts if 1 < text.get_position()[1] < 2)
    assert len(at) > 10
    assert min(np.diff(at)) * 1000 / scale >= 5


def test_the_overview_shows_the_area_within_the_images_and_where_on_earth_that_is(findings):
    west, south, east, north = findings.area.bounds
    whole = shapely.box(west - 400, south - 300, east + 200, north + 100)
    figure = draw_sheet(replace(findings, footprints={"post": whole}))
    overview = figure.axes[-1]
    outlines = [shapely.Polygon(patch.get_xy()) for patch in overview.patches]
    assert [outline.equals(shape) for outline, shape in zip(outlines, (whole, findings.area), strict=True)] == [
        True
    ] * 2
    frame = shapely.box(*(side for pair in zip(overview.get_xlim(), overview.get_ylim(), strict=True) for side in pair))
    assert frame.contains(whole)
    labels = {text.get_text() for text in overview.texts}
    assert "47°51′N" in labels
    assert any(label.startswith("15°") and label.endswith("E") for label in labels)


@pytest.mark.parametrize("place", [(-179.999, -16.5), (0.0, 0.0), (25.0, 78.0), (100.0, -65.0)])
def test_lines_of_the_overview_are_meridians_and_parallels_at_round_seconds(place):
    crs = f"EPSG:{(32600 if place[1] >= 0 else 32700) + int((place[0] + 180) // 6) + 1}"
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*place)
    back = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lines = list(graticule((x - 2000, y - 2000, x + 2000, y + 2000), crs))
    assert sum(upright for *_, upright in lines) >= 2
    assert sum(not upright for *_, upright in lines) >= 2
    for places, words, upright in lines:
        degrees, minutes, seconds, side = re.fullmatch(r"(\d+)°(?:(\d+)′)?(?:(\d+)″)?([EWNS]?)", words).groups(
            default="0"
        )
        value = (int(degrees) + int(minutes) / 60 + int(seconds) / 3600) * (-1 if side in "WS" else 1)
        along = np.array(back.transform(*places.T))[0 if upright else 1]
        assert np.abs((along - value + 180) % 360 - 180).max() < 1e-6


def test_widths_of_words_add_up():
    assert text_width("nn", 7) == pytest.approx(2 * text_width("n", 7), rel=0.02)
    assert text_width("", 7) == 0
    assert text_width("n", 14) == pytest.approx(2 * text_width("n", 7), rel=0.1)


AGAIN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from found import found
from mage.learning.mapping.product.report import write_report
from mage.learning.mapping.product.sheet import write_sheet
folder = Path(sys.argv[2])
findings = found(folder)
write_sheet(findings, folder)
write_report(findings, folder)
"""


@pytest.mark.long
def test_two_processes_write_the_same_bytes(tmp_path):
    contents = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        command = [sys.executable, "-c", AGAIN, str(Path(__file__).parent), str(folder)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        contents.append([(folder / name).read_bytes() for name in ("map.pdf", "map.png", "report.html")])
    assert contents[0] == contents[1]


@pytest.mark.long
def test_twenty_thousand_buildings_are_marks_on_one_sheet(findings, tmp_path):
    rng = np.random.default_rng(0)
    corner = rng.uniform((0, 0), (9000, 7000), (20_000, 2)) + np.array([500_000, 5_300_000])
    outline = shapely.box(*corner.T, *(corner + 12).T)
    pick = rng.integers(0, 12, 20_000)
    one = findings.buildings
    columns = {
        name: getattr(one, name)[pick]
        for name in ("kind", "name", "located", "grades", "entropy", "valid", "verdict", "method")
    }
    buildings = replace(
        one,
        identity=np.arange(20_000).astype(str),
        outline=outline,
        hot=None,
        reached=None,
        seconds=None,
        **columns,
    )
    crowded = replace(findings, buildings=buildings, area=shapely.box(500_000, 5_300_000, 509_100, 5_307_100))
    pdf, png = write_sheet(crowded, tmp_path)
    assert pdf.stat().st_size < 20e6
    image = cv2.imread(str(png))[200:1700, 300:2200, ::-1].astype(int)
    red = (image[..., 0] > 130) & (image[..., 1:].max(axis=-1) < 60)
    assert 0.01 < red.mean() < 0.4
