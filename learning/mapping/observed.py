"""The event as images show it: flood and its depth, burnt ground, rubble, as rasters of the map and as outlines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import geometry_mask, rasterize, shapes, sieve
from tqdm import tqdm

from mage.learning.mapping.bands import RGB
from mage.learning.mapping.burnt import severity
from mage.learning.mapping.debris import rubble
from mage.learning.mapping.findings import Buildings, Event, Extent, Kind, Observed
from mage.learning.mapping.flooding import DARK, by_infrared, flooded
from mage.learning.mapping.likeness import strips
from mage.learning.mapping.maps import UNKNOWN, Chance, from_bytes, read_map, rectangle, to_bytes, write_cog
from mage.learning.mapping.picture import Picture, Window
from mage.learning.mapping.water_depth import coarse_grid, depth_of, ground_of, water_surface
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

# what is looked for after which disaster; a storm's debris, an earthquake's
LOOKED_FOR = {Kind.FLOOD: "flood", Kind.FIRE: "burn", Kind.EARTHQUAKE: "debris", Kind.WIND: "debris"}
LIKELY = {"flood": 0.5, "burn": 0.25, "debris": 0.3}  # from where a place belongs to an outline
LEAST = {"flood": 100.0, "burn": 100.0, "debris": 4.0}  # square metres of an outline: ours
FEWEST = 4  # pixels of an outline, whatever their size


def observe(
    event: Event,
    pre: Picture | None,
    post: Picture,
    probabilities: Path | None,
    grid: Grid,
    folder: Path,
    *,
    terrain: Path | None = None,
    buildings: Buildings | None = None,
    bands: Sequence[str] = RGB,
    water: Mapping[str, Path] | None = None,
    progress: bool = False,
) -> Observed:
    """What the images show of an event: rasters ``flood.tif``, ``depth.tif``, ``burn.tif`` or ``debris.tif`` in
    ``folder``, and outlines of it.

    After a flood, water that was not there before, and its depth if there is a terrain: metres and, as a second band,
    their standard error; NaN where not known. After a fire, the severity of burning. After earthquakes and storms, the
    probability of rubble: from a model that has a map of that name, else from the grades of the buildings; without
    both it is not looked for.

    Outlines hold places of at least :data:`LIKELY`, of at least :data:`LEAST` m² and 4 pixels, holes of less filled,
    their corners cut by half a pixel.

    Args:
        event: tells what is looked for.
        pre: the image before, of red, green and blue, or of ``bands``; None where there is none.
        post: that after, on the same grid.
        probabilities: a model's maps, see :func:`~mage.learning.mapping.maps.write_probabilities`; bands that are named
            ``flood``, ``burn`` or ``debris`` go before what the images tell.
        grid: of the map.
        folder: is there.
        terrain: elevation, a GeoTIFF or an SRTM tile.
        buildings: with grades.
        bands: of both images: ``red``, ``green``, ``blue``, ``nir`` (near infrared), ``swir`` (short-wave infrared).
            With ``nir`` or ``swir`` all must be on one scale, since ratios of them are taken.
        water: for a flood in images without infrared, a map of water in the image ``before``, if there is one, and in
            that ``after``, see :func:`~mage.learning.mapping.water.write_water`.
        progress: whether to show bars.

    Raises:
        MageError: an image, the maps or the terrain cannot be read, do not fit, or nothing tells where water is.
    """
    what, wet = LOOKED_FOR[event.kind], water or {}
    chance = None if probabilities is None else read_map(probabilities, what, grid)
    chance = chance or _of_images(what, pre, post, buildings, bands, wet)
    if chance is None:
        return Observed(())
    path = folder / f"{what}.tif"
    _write(path, grid, chance, progress)
    mask = _mask(path, grid, what)
    rasters = {what: path}
    if what == "flood" and terrain is not None:
        none = np.zeros(grid.shape, bool)
        standing = none if pre is None else _standing(_water("before", pre, bands, wet), grid)
        rasters["depth"] = _write_depth(folder / "depth.tif", grid, mask, terrain, standing, buildings)
    return Observed((_extent(what, rasters, grid, mask, buildings),), rasters)


def _of_images(
    what: str,
    pre: Picture | None,
    post: Picture,
    buildings: Buildings | None,
    bands: Sequence[str],
    water: Mapping[str, Path],
) -> Chance | None:
    if what == "flood":
        before = None if pre is None else _water("before", pre, bands, water)
        return flooded(before, _water("after", post, bands, water))
    if what == "burn":
        return lambda window: severity(pre, post, window, bands)
    if buildings is None:
        return None
    grid = post.grid

    def chance(window: Window) -> Floats:
        return np.where(post.read(window)[1], rubble(buildings, grid.part(window)), np.nan)

    return chance


def _water(date: str, picture: Picture, bands: Sequence[str], water: Mapping[str, Path]) -> Chance:
    """Water at a date, by infrared if the image has some, else by a map of it."""
    if set(DARK) & set(bands):
        return by_infrared(picture, bands)
    found = read_map(water[date], "water", picture.grid) if date in water else None
    if found is None:
        expected = "near or short-wave infrared, or a map of water by write_water"
        raise DatasetError(f"nothing tells where water is in the image {date} the event", expected=expected)
    return found


def _write(path: Path, grid: Grid, chance: Chance, progress: bool) -> None:
    def fill(file: rasterio.io.DatasetWriter) -> None:
        file.set_band_description(1, path.stem)
        for window in tqdm(list(strips(grid)), unit="strip", desc=path.stem, disable=not progress):
            file.write(to_bytes(chance(window)), 1, window=rectangle(window))

    write_cog(path, grid, 1, "uint8", UNKNOWN, fill)


def _mask(path: Path, grid: Grid, what: str) -> NDArray[np.uint8]:
    """Where the event is: 1, without specks and small holes; 0 elsewhere, and 255 where that is not known."""
    mask = np.zeros(grid.shape, np.uint8)
    known = np.zeros(grid.shape, bool)
    with rasterio.open(path, driver="GTiff") as file:
        for window in strips(grid):
            likely = from_bytes(file.read(1, window=rectangle(window)))
            known[window] = np.isfinite(likely)
            mask[window] = np.nan_to_num(likely) >= LIKELY[what]
    fewest = max(FEWEST, int(np.ceil(LEAST[what] / grid.gsd**2)))
    cleaned = np.asarray(sieve(mask, min(fewest, mask.size), connectivity=4), np.uint8)
    cleaned[~known] = UNKNOWN
    return cleaned


def _standing(before: Chance, grid: Grid) -> Flags:
    """Where water was before."""
    return np.concatenate([before(window) >= LIKELY["flood"] for window in strips(grid)])


def _write_depth(
    path: Path, grid: Grid, mask: NDArray[np.uint8], terrain: Path, standing: Flags, buildings: Buildings | None
) -> Path:
    """Levels are found in a pixel amid each cell of a coarser grid, depths for all pixels."""
    ground = ground_of(terrain, grid)
    coarse, factor = coarse_grid(grid)
    middle = np.ix_(*(np.minimum(np.arange(0, side, factor) + factor // 2, side - 1) for side in grid.shape))
    cells, before = mask[middle], standing[middle]
    wet, dry = (cells == 1) | before, (cells == 0) & ~before
    if buildings is not None and len(buildings):  # roofs stand in water and are no shore
        dry &= ~geometry_mask(buildings.outline, coarse.shape, rasterio.Affine(*coarse.transform), invert=True)
    surface = water_surface(wet, dry, ground.sample(coarse), coarse)

    def fill(file: rasterio.io.DatasetWriter) -> None:
        for number, name in enumerate(("depth", "standard error"), 1):
            file.set_band_description(number, name)
        for window in strips(grid):
            part = mask[window]
            depth = np.stack(depth_of(surface, ground, grid.part(window), part == 1))
            file.write(np.where(part == UNKNOWN, np.nan, depth).astype(np.float32), window=rectangle(window))

    write_cog(path, grid, 2, "float32", float("nan"), fill)
    return path


def _extent(
    what: str, rasters: dict[str, Path], grid: Grid, mask: NDArray[np.uint8], buildings: Buildings | None
) -> Extent:
    transform = rasterio.Affine(*grid.transform)
    outlines = []
    for shape, _ in shapes(mask, mask=mask == 1, transform=transform):
        polygon = shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:])
        outlines.append(shapely.make_valid(polygon.simplify(grid.gsd / 2)))
    outline = np.array(outlines, dtype=object)
    value = (
        _means(outline, grid, rasters.get("depth", rasters[what])) if what != "flood" or "depth" in rasters else None
    )
    built = np.zeros(len(outline), bool)
    if buildings is not None and len(buildings) and len(outline):
        built[shapely.STRtree(outline).query(buildings.outline, predicate="intersects")[1]] = True
    words = {
        "flood": np.full(len(outline), "Riverine flood"),
        "burn": np.where(built, "Urban fires", "Forest fire"),
        "debris": np.full(len(outline), "Debris"),
    }
    return Extent(what, outline, np.full(len(outline), np.nan) if value is None else value, words[what].astype(np.str_))


def _means(outline: NDArray[np.object_], grid: Grid, path: Path) -> NDArray[np.float64]:
    """The mean of a raster's first band in each polygon; NaN where nothing is known."""
    count = len(outline)
    sums, known = np.zeros(count), np.zeros(count)
    tree = shapely.STRtree(outline)
    with ExitStack() as stack:
        file = stack.enter_context(rasterio.open(path, driver="GTiff"))
        for window in strips(grid):
            part = grid.part(window)
            near = np.sort(tree.query(shapely.box(*part.bounds)))
            if not len(near):
                continue
            numbered = [(outline[k], int(k) + 1) for k in near]
            owner = rasterize(numbered, part.shape, transform=rasterio.Affine(*part.transform), dtype="int32")
            values = file.read(1, window=rectangle(window))
            values = from_bytes(values) if values.dtype == np.uint8 else values
            inside = (owner > 0) & np.isfinite(values)
            sums += np.bincount(owner[inside] - 1, values[inside], count)
            known += np.bincount(owner[inside] - 1, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums / known
