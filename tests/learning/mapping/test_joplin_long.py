"""A real pair, georeferenced: Joplin before and after the tornado of 2011, from two images to a product."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.features import shapes
from struck import request

from mage.learning import SiameseDamageNet
from mage.learning.mapping.grader import Grader
from mage.learning.mapping.product.check import check_layers
from mage.learning.mapping.run import make_map

pytestmark = pytest.mark.long


def houses(mask, path):
    """Outlines of the pixels of a mask, in degrees; and how many."""
    with rasterio.open(mask) as file:
        values, transform = file.read(1) > 0, file.transform
        to_degrees = Transformer.from_crs(file.crs, "EPSG:4326", always_xy=True)
    found = [shapely.geometry.shape(shape) for shape, _ in shapes(values.astype("u1"), values, transform=transform)]
    found = [shapely.simplify(shape, 0.5) for shape in found if shape.area > 20]
    degrees = shapely.transform(found, lambda xy: np.column_stack(to_degrees.transform(*xy.T)))
    features = [{"type": "Feature", "geometry": json.loads(g), "properties": {}} for g in shapely.to_geojson(degrees)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return len(found)


def test_a_real_pair_becomes_a_product_whatever_the_model(shared_data, tmp_path):
    place = shared_data / "damage" / "joplin"
    pre, post = (place / f"joplin_tornado_{date}_0.6m.tif" for date in ("pre", "post"))
    count = houses(place / "joplin_footprints_2020_mask.tif", tmp_path / "houses.geojson")
    files = {"pre": pre, "buildings": tmp_path / "houses.geojson"}
    asked = request(post, register=True, window=512, **files)
    found = make_map(asked, tmp_path / "product", Grader(SiameseDamageNet(width=2)))
    assert found.grid.shape == (1594, 1947)
    assert found.grid.crs == "EPSG:26915"
    assert found.registration.confidence > 0.5
    assert np.abs(found.registration.shift).max() < 5
    assert len(found.buildings) == count > 300
    assert np.isfinite(found.buildings.grades).all()
    assert found.seen.area > 0.97 * found.area.area  # few roofs, if any, are wide and white enough for a cloud
    assert check_layers(next((tmp_path / "product").glob("*.gpkg"))) == []
    assert {"map.pdf", "map.png", "report.html"} <= {path.name for path in (tmp_path / "product").iterdir()}
