"""How rasters of a product are drawn: grades in their colours, background not at all."""

from xml.etree import ElementTree as Xml

import numpy as np
import pytest

from mage.learning.mapping.maps import to_bytes, write_classes, write_cog
from mage.learning.mapping.product.raster_styles import raster_style, write_raster_styles
from mage.scenes.grid import Grid

GRID = Grid(16, 16, 500_000, 5_800_000, 1.0, "EPSG:32631")


@pytest.fixture
def rasters(tmp_path):
    likely = np.full((5, 16, 16), 0.2, np.float32)
    made = [tmp_path / f"{name}.tif" for name in ("probabilities", "classes", "flood_corrected", "depth", "other")]
    write_cog(made[0], GRID, 5, "uint8", 255, lambda file: file.write(to_bytes(likely)))
    write_classes(made[1], made[0], GRID, 4)
    write_cog(made[2], GRID, 1, "uint8", 255, lambda file: file.write(to_bytes(likely[:1])))
    write_cog(made[3], GRID, 2, "float32", float("nan"), lambda file: file.write(likely[:2]))
    write_cog(made[4], GRID, 1, "uint8", 255, lambda file: file.write(to_bytes(likely[:1])))
    return made


def drawn(path):
    renderer = Xml.fromstring(path.read_text().split("\n", 1)[1]).find("pipe/rasterrenderer")
    entries = renderer.findall(".//paletteEntry") + renderer.findall(".//item")
    return renderer.get("type"), {float(e.get("value")): (e.get("color"), int(e.get("alpha"))) for e in entries}


def test_a_style_lies_beside_each_raster_that_qgis_would_not_draw_well(rasters):
    written = write_raster_styles(rasters)
    assert [path.name for path in written] == ["probabilities.qml", "classes.qml", "flood_corrected.qml", "depth.qml"]
    assert all(path.with_suffix(".tif") in rasters for path in written)
    assert raster_style(rasters[4]) is None


def test_grades_have_the_files_colours_and_background_is_clear(rasters):
    kind, entries = drawn(write_raster_styles(rasters)[1])
    assert kind == "paletted"
    assert [alpha for _, alpha in entries.values()] == [0, 255, 255, 255, 255]
    assert entries[4][0] == "#ff0000"
    assert list(entries) == [0, 1, 2, 3, 4]


def test_what_is_unlikely_is_clear_and_what_is_likely_is_not(rasters):
    built, flood, depth = (drawn(path)[1] for path in np.array(write_raster_styles(rasters))[[0, 2, 3]])
    assert (built[0][1], built[250][1]) == (255, 0), "the first band is of no building"
    assert (flood[0][1], flood[250][1]) == (0, 255)
    assert min(depth) == 0
    assert len({colour for colour, _ in depth.values()}) == len(depth)
