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

from mage.learning.mapping.findings import Product
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
