"""A small place before and after it was struck, as files, and a network that reads its truth from the pixels."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import rasterio
import torch
from pyproj import Transformer
from torch import nn

from mage.learning import Prediction
from mage.learning.mapping.findings import Event, Findings, Kind
from mage.learning.mapping.folder import open_product
from mage.learning.mapping.grader import Grader
from mage.learning.mapping.inputs import Files, Request
from mage.learning.mapping.run import find, prepare
from mage.scenes.grid import Grid

GRID = Grid(96, 128, 500_000, 5_300_048, 0.5, "EPSG:32633")
CORNERS = [(row, column) for row in (8, 40, 72) for column in (8, 40, 72, 104)]  # of houses, 16 px a side
STRUCK = (2, 3, 6, 7)  # those that are destroyed
ROOF, GROUND, INTACT, RUINED = 220, 60, 60, 230  # red of roofs and of ground before, green of houses after


class Reader(nn.Module):
    """Says what pixels say: red before above 128 is a building, green after above 128 is destroyed; sure to 1e-3."""

    dates, bands, classes, grades, heads, temperatures = 2, 3, 5, 4, (), None

    def __init__(self, heads=()):
        super().__init__()
        self.encoder = SimpleNamespace(strides=(1,))  # looks at each pixel alone
        self.nothing = nn.Parameter(torch.zeros(1))
        self.heads = heads

    def forward(self, image):
        before, after = image[:, 0], image[:, 1]
        sure = torch.where(before[:, :1] > 0.5, 7.0, -7.0)
        bad = torch.where(after[:, 1:2] > 0.5, 7.0, -7.0)
        further = {"flood": torch.where(after[:, 2:] > 0.5, 7.0, -7.0)} if "flood" in self.heads else {}
        return Prediction(sure, torch.cat([-bad, -torch.ones_like(bad), -torch.ones_like(bad), bad], 1), **further)


def reader(**about):
    return Grader(Reader(**about), facts={"name": "reader"})


def images():
    """Before and after, uint8 (3, rows, columns)."""
    pre = np.random.default_rng(0).integers(0, 40, (3, *GRID.shape)).astype(np.uint8) + np.uint8(40)
    for row, column in CORNERS:
        pre[0, row : row + 16, column : column + 16] = ROOF
    post = pre.copy()
    post[1] = INTACT
    for k in STRUCK:
        row, column = CORNERS[k]
        post[:, row : row + 16, column : column + 16] = np.reshape((90, RUINED, 90), (3, 1, 1))
    return pre, post


def write_tif(path, values, grid=GRID, **options):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=values.shape[1],
        width=values.shape[2],
        count=len(values),
        dtype=values.dtype,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
        **options,
    ) as file:
        file.write(values)
    return path


def pair(folder, grid=GRID, **options):
    """Files of both images."""
    pre, post = images()
    return (
        write_tif(folder / "pre.tif", pre, grid, **options),
        write_tif(folder / "post.tif", post, grid, **options),
    )


def ring(row, column, rows=16, columns=16):
    """Corners of some pixels as longitudes and latitudes, closed."""
    right, down = column + columns, row + rows
    pixels = np.array([(column, row), (right, row), (right, down), (column, down), (column, row)], float)
    to_degrees = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True)
    return np.column_stack(to_degrees.transform(*GRID.to_map(pixels).T)).tolist()


def write_geojson(path, geometries, properties=None):
    told = properties or [{} for _ in geometries]
    features = [
        {"type": "Feature", "geometry": geometry, "properties": about}
        for geometry, about in zip(geometries, told, strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def footprints(path):
    rings = [{"type": "Polygon", "coordinates": [ring(*corner)]} for corner in CORNERS]
    return write_geojson(path, rings, [{"id": f"house {k}", "name": f"No. {k}"} for k in range(len(CORNERS))])


def streets(path):
    """Between the rows of houses, from the west of the place to its east, and one across them."""
    lines = [[(-40, 32), (64, 32), (168, 32)], [(64, 32), (64, 64)], [(-40, 64), (64, 64), (168, 64)]]
    to_degrees = Transformer.from_crs(GRID.crs, "EPSG:4326", always_xy=True)
    degrees = [np.column_stack(to_degrees.transform(*GRID.to_map(np.array(line, float)).T)).tolist() for line in lines]
    shapes = [{"type": "LineString", "coordinates": line} for line in degrees]
    return write_geojson(path, shapes, [{"highway": "residential"}] * len(lines))


def request(post: Path, pre: Path | None = None, *, register=False, kind=Kind.WIND, **given):
    """What tests ask for: small windows, so that there are many."""
    roles = {name: given.pop(name) for name in list(given) if name in Files.__dataclass_fields__}
    options = {"window": 64, "register": register} | given
    return Request(Files(post, pre, **roles), Event(kind, name="A storm"), **options)


def found(asked: Request, out: Path, grader: Grader | None, **how) -> Findings:
    """What is found, without the files that show it."""
    return find(prepare(asked, grader, **how), open_product(out))


def contents(folder):
    """Bytes of all files of a folder by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
