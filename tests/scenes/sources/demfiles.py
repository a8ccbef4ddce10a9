"""Small elevation files that tests write: planes as GeoTIFF and as SRTM tiles."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from mage.scenes.city import City

Floats = NDArray[np.float64]
ORIGIN = 500_000.0, 5_400_000.0  # of the test city in UTM zone 32, 9 degrees east and 48.75 north


def utm_city(half: float = 50.0, **parts: Any) -> City:
    """A city of nothing but bounds, in UTM zone 32."""
    return City("plains", "EPSG:32632", ORIGIN, 48.75, 9.0, (-half, -half, half, half), **parts)


def slope(x: Floats, y: Floats) -> Floats:
    """A plane over local coordinates."""
    return 100.0 + 0.05 * x - 0.02 * y


def write_tiff(path: Path, heights: Floats, transform: Affine, crs: str | None = "EPSG:32632", **more: Any) -> Path:
    """Heights as a GeoTIFF of one band."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "height": heights.shape[0], "width": heights.shape[1]}
    units = more.pop("units", None)
    with rasterio.open(path, "w", crs=crs, transform=transform, **(profile | more)) as file:
        file.write(heights.astype(file.dtypes[0]), 1)
        if units:
            file.units = (units,)
    return path


def plane_tiff(
    path: Path,
    *,
    pixel: float = 1.0,
    west: float = -150.0,
    north: float = 150.0,
    shape: tuple[int, int] = (300, 300),
    height: Callable[[Floats, Floats], Floats] = slope,
    holes: Callable[[Floats, Floats], NDArray[np.bool_]] | None = None,
    **more: Any,
) -> Path:
    """A north-up GeoTIFF in the CRS of the test city; ``west`` and ``north`` are local."""
    x = west + (np.arange(shape[1]) + 0.5) * pixel
    y = north - (np.arange(shape[0]) + 0.5) * pixel
    z = height(*np.meshgrid(x, y))
    if holes is not None:
        z = np.where(holes(*np.meshgrid(x, y)), more.get("nodata", np.nan), z)
    return write_tiff(path, z, Affine(pixel, 0, west + ORIGIN[0], 0, -pixel, north + ORIGIN[1]), **more)


def write_hgt(
    folder: Path, name: str, height: Callable[[Floats, Floats], Floats], *, side: int = 1201, zipped: bool = False
) -> Path:
    """An SRTM tile of heights over degrees (east, north)."""
    south, west = int(name[1:3]), int(name[4:7])
    steps = np.linspace(0, 1, side)
    data = np.round(height(*np.meshgrid(west + steps, south + 1 - steps))).astype(">i2").tobytes()
    if not zipped:
        (folder / f"{name}.hgt").write_bytes(data)
        return folder / f"{name}.hgt"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.hgt", data)
    (folder / f"{name}.hgt.zip").write_bytes(buffer.getvalue())
    return folder / f"{name}.hgt.zip"
