"""Steps of rapid mapping beside what is usual: hot spots, routes, zones and scenes in windows; and a scene of any size.

Run: ``OMP_NUM_THREADS=1 python benchmarks/mapping.py [PART ...]``, parts being gi, routes, zones and windows; all by
default. ``--model PATH`` takes a run or a saved model for the windows in place of an untrained U-Net on
EfficientNet-Lite 0. ``--large ROWS COLUMNS`` maps a made-up scene of that size instead, with a model that costs next to
nothing, and says how much memory that took beyond what Python and its libraries take (20000 20000 is the claim; about
ten minutes and 5 GB of disk).

CPU seconds. Both ways of a row are checked to give the same before they are compared.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import networkx
import numpy as np
import rasterio
import shapely
import torch
from beside.measure import Rows, Ways, either, markdown, row, timed
from numpy.typing import NDArray
from rasterio.features import geometry_mask
from rasterio.windows import Window as Rectangle
from torch import nn

from mage.learning import EfficientNetLite, SiameseDamageNet, load_model
from mage.learning.mapping.access import reach, reachability, route
from mage.learning.mapping.accessibility import find_access
from mage.learning.mapping.buildings import grade_footprints, outlines
from mage.learning.mapping.findings import Buildings, Observed
from mage.learning.mapping.hotspots import gi_star, hot_spots
from mage.learning.mapping.maps import STEPS, from_bytes, write_probabilities
from mage.learning.mapping.picture import ArrayPicture, RasterPicture
from mage.learning.mapping.roads import Roads, straight_roads
from mage.learning.mapping.stream import Maps, stream
from mage.learning.predict import predict_maps
from mage.learning.rasters import Raster
from mage.scenes.grid import Grid

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Result = TypeVar("Result")

NAMES = ("none", "no-damage", "minor-damage", "major-damage", "destroyed")
GSD = 0.5


def seconds(job: Callable[[], Result]) -> tuple[float, Result]:
    """CPU seconds of a call, and what it gives."""
    start = time.process_time()
    result = job()
    return time.process_time() - start, result


def gi() -> Ways:
    """Gi* of 4,000 places with about 60 neighbours each, by esda and libpysal, without permutations."""
    import esda
    import libpysal

    rng = np.random.default_rng(0)
    points, values = rng.uniform(0, 5000, (4000, 2)), rng.random(4000)

    def theirs() -> Floats:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own, about islands and numba
            near = libpysal.weights.DistanceBand(points, 350, binary=True, silence_warnings=True)
            return np.asarray(esda.G_Local(values, near, transform="B", star=True, permutations=0).Zs)

    def ours() -> Floats:
        return gi_star(points, values, 350)

    assert np.abs(ours() - theirs()).max() < 1e-12
    return theirs, ours


def lattice(side: int, step: float, rng: np.random.Generator) -> Roads:
    """Crossing streets, some of which are missing, of times of their own."""
    nodes = [(step * c, step * r) for r in range(side) for c in range(side)]
    along = [(r * side + c, r * side + c + 1) for r in range(side) for c in range(side - 1)]
    up = [(k, k + side) for k in range(side * (side - 1))]
    plain = straight_roads(nodes, np.array(along + up)[rng.random(len(along + up)) < 0.9])
    times = plain.seconds * rng.uniform(0.5, 2, len(plain))
    return Roads(plain.nodes, plain.ends, plain.lines, plain.width, times, plain.oneway, plain.lifted)


def graph_of(roads: Roads, cost: Floats, closed: NDArray[np.bool_]) -> networkx.Graph:
    """The network as networkx has it."""
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(roads.nodes)))
    open_ones = np.flatnonzero(~closed)
    graph.add_weighted_edges_from(
        (u, v, w) for (u, v), w in zip(roads.ends[open_ones].tolist(), cost[open_ones].tolist(), strict=True)
    )
    return graph


def town() -> tuple[Roads, Floats, list[int]]:
    """10,000 crossings, P(blocked) of their streets, and five places to start from."""
    rng = np.random.default_rng(0)
    roads = lattice(100, 100.0, rng)
    return roads, np.where(rng.random(len(roads)) < 0.3, rng.random(len(roads)) * 0.9, 0), [0, 99, 5050, 9900, 9999]


def nearest() -> Ways:
    """Seconds from the nearest of five places to each of 10,000 nodes."""
    roads, _, starts = town()
    open_all = np.zeros(len(roads), bool)

    def theirs() -> dict[int, float]:
        graph = graph_of(roads, roads.seconds, open_all)
        return dict(networkx.multi_source_dijkstra_path_length(graph, set(starts)))

    def ours() -> Floats:
        return reach(roads, starts).seconds

    far = theirs()
    assert np.allclose(ours(), [far.get(k, np.inf) for k in range(len(roads.nodes))])
    return theirs, ours


def across() -> Ways:
    """The best way across them, where closed streets cost more."""
    roads, p, _ = town()
    open_all, cost = np.zeros(len(roads), bool), roads.seconds - 600 * np.log1p(-p)
    last = int(np.flatnonzero(np.isfinite(reach(roads, [0]).seconds))[-1])

    def theirs() -> list[int]:
        return list(networkx.dijkstra_path(graph_of(roads, cost, open_all), 0, last))

    def ours() -> list[int]:
        best = route(roads, 0, last, p)
        assert best is not None
        return list(best.nodes.tolist())

    assert ours() == theirs()
    return theirs, ours


def reached() -> Ways:
    """P(reached) of the nodes by 20 draws of which streets are closed."""
    roads, p, starts = town()

    def theirs() -> Floats:
        draws, count = np.random.default_rng(1), np.zeros(len(roads.nodes))
        for _ in range(20):
            graph = graph_of(roads, roads.seconds, draws.random(len(roads)) < p)
            graph.add_edges_from((-1, start) for start in starts)
            count[[k for k in networkx.node_connected_component(graph, -1) if k >= 0]] += 1
        return count / 20

    def ours() -> Floats:
        return reachability(roads, starts, p, np.random.default_rng(1), 20)[0]

    assert np.array_equal(theirs(), ours())
    return theirs, ours


@dataclass(frozen=True)
class Place:
    """Probabilities on disk, and footprints whose means are asked for."""

    path: Path
    grid: Grid
    footprints: NDArray[np.object_]

    def ours(self) -> Floats:
        """P(building) of each."""
        return grade_footprints(self.path, self.grid, self.footprints).located


def place(folder: Path) -> Place:
    """1,000 buildings on 1,024² px."""
    rng = np.random.default_rng(0)
    grid = Grid(1024, 1024, 0, 512, GSD)
    corners = (np.stack(np.meshgrid(np.arange(32), np.arange(32)), -1).reshape(-1, 2) * 16 + 2.0)[:1000]
    footprints = shapely.box(*corners.T, *(corners + rng.uniform(4, 12, (1000, 2))).T)
    picture = ArrayPicture(rng.integers(0, 256, (3, *grid.shape)).astype(np.uint8), grid)
    path = write_probabilities(folder / "p.tif", made_up, [picture, picture], NAMES, {})
    return Place(path, grid, footprints)


def masks(where: Place) -> Ways:
    """Mean probabilities of buildings: a mask of each one's surroundings, or one raster of all."""

    def theirs() -> Floats:
        found = []
        with rasterio.open(where.path) as file:
            for shape in where.footprints:
                part = Rectangle.from_slices(*where.grid.window(shape.bounds))
                values = from_bytes(file.read(window=part))
                outside = geometry_mask([shape], values.shape[1:], file.window_transform(part))
                found.append(values[:, ~outside].mean(axis=1))
        return np.array(found)

    assert np.allclose(1 - theirs()[:, 0], where.ours(), atol=1e-3)
    return theirs, where.ours


def zonal(where: Place) -> Ways:
    """P(building) alone by rasterstats, of one band; ours has the means of all five, and more."""
    import rasterstats

    def theirs() -> Floats:
        zones = rasterstats.zonal_stats(list(where.footprints), where.path, band=1, stats="mean")
        return 1 - np.array([zone["mean"] for zone in zones], float) / STEPS

    assert np.allclose(theirs(), where.ours(), atol=1e-3)
    return theirs, where.ours


@dataclass(frozen=True)
class Windows:
    """A network over a scene of two dates: at once, in our windows, and in the usual ones that overlap by half."""

    network: nn.Module
    images: Bytes
    grid: Grid
    side: int

    def forward(self, images: Bytes) -> Maps:
        """Maps of a part, at once."""
        found = predict_maps(self.network, torch.from_numpy(images), window=max(images.shape[2:]))
        return np.asarray(found["classes"].cpu().numpy())

    def theirs(self) -> Maps:
        """Windows that overlap by half and count alike."""
        channels, side = len(self.forward(self.images[:, :, :32, :32])), self.side
        total, count = np.zeros((channels, *self.grid.shape), np.float32), np.zeros(self.grid.shape)
        for top in range(0, self.grid.rows - side + 1, side // 2):
            for left in range(0, self.grid.columns - side + 1, side // 2):
                part = slice(top, top + side), slice(left, left + side)
                total[:, *part] += self.forward(self.images[:, :, *part])
                count[part] += 1
        return np.asarray(total / count, np.float32)

    def ours(self) -> Maps:
        """Windows that fade into each other over 64 px."""
        pictures = [ArrayPicture(image, self.grid) for image in self.images]
        strips = stream(self.forward, pictures, window=self.side, overlap=64, stride=self.network.encoder.strides[-1])
        return np.concatenate([strip.maps for strip in strips], axis=1)


def windows(model: Path | None, pixels: int, side: int) -> Windows:
    """A run or a saved model, or an untrained U-Net on EfficientNet-Lite 0, over a made-up scene of pixels a side."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = SiameseDamageNet(encoder=EfficientNetLite(0)) if model is None else load_model(model)
    grid = Grid(pixels, pixels, 0, pixels * GSD, GSD)
    return Windows(network.eval(), scene(grid.shape), grid, side)


def tell_seams(model: Path | None) -> None:
    """Print what windows cost and how far their maps are from those of the whole scene at once."""
    way = windows(model, 1536, 512)
    whole = way.forward(way.images)
    (slow, plain), (quick, ours) = seconds(way.theirs), seconds(way.ours)
    size = way.grid.rows * way.grid.columns / 1e6
    print(f"windows of 512 px over 1,536² px: {size / quick:.3f} Mpx/s a core, {size / slow:.3f} in windows half over")
    for name, found in (("ours", ours), ("half over", plain)):
        off = np.abs(found - whole)
        print(
            f"  {name} from at once: mean {off.mean():.1e}, 99.9 % below {np.quantile(off, 0.999):.1e}, {off.max():.1e}"
        )


def scene(shape: tuple[int, int]) -> Bytes:
    """Two dates of houses on mottled ground, (2, 3, rows, columns); some of them gone at the second."""
    rng = np.random.default_rng(0)
    images = rng.integers(80, 120, (2, 3, shape[0] // 8, shape[1] // 8)).astype(np.uint8).repeat(8, -2).repeat(8, -1)
    for top in range(8, shape[0] - 24, 64):
        for left in range(8, shape[1] - 24, 64):
            height, width = rng.integers(14, 40, 2)
            part = slice(top, top + height), slice(left, left + width)
            images[:1, :, *part] = rng.integers(90, 240, (1, 3, 1, 1))
            if rng.random() < 0.7:
                images[1, :, *part] = images[0, :, *part]
    return images


def made_up(images: Bytes) -> Maps:
    """A model that costs next to nothing: bright is a building, and what became darker is damaged."""
    before, after = images[0, 0].astype(np.float32) / 255, images[1, 0].astype(np.float32) / 255
    built, damaged = np.clip(2 * before - 0.6, 0, 1), np.clip(3 * np.abs(after - before), 0, 1)
    grades = [1 - damaged, damaged / 4, damaged / 4, damaged / 2]
    return np.stack([1 - built, *(built * grade for grade in grades)])


def write_scene(path: Path, grid: Grid, image: Bytes) -> Path:
    """One block of image over and over, block by block."""
    shape = {"width": grid.columns, "height": grid.rows, "count": 3, "dtype": "uint8"}
    options = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate", "zlevel": 1}
    transform = rasterio.Affine(*grid.transform)
    with rasterio.open(path, "w", driver="GTiff", crs=grid.crs, transform=transform, **shape, **options) as file:
        for _, part in file.block_windows(1):
            file.write(image[:, : part.height, : part.width], window=part)
    return path


def large(rows: int, columns: int) -> None:
    """Probabilities, outlines, grades, hot spots and access of a scene of this size; seconds and memory of each."""
    with TemporaryDirectory() as name, rasterio.Env(GDAL_CACHEMAX=256):
        folder, grid = Path(name), Grid(rows, columns, 500_000, 5_000_000, GSD, "EPSG:32633")
        block = scene((512, 512))
        files = [write_scene(folder / f"{k}.tif", grid, image) for k, image in enumerate(block)]
        start = peak()
        print(f"{rows} x {columns} px; Python, its libraries and a block of the scene: {start:.0f} MiB")

        def told(step: str, job: Callable[[], Result]) -> Result:
            spent, result = seconds(job)
            print(f"  {step}: {spent:.1f} CPU s, {peak() - start:.0f} MiB more at most so far", flush=True)
            return result

        pictures = [RasterPicture(Raster(path), grid) for path in files]
        path = told("probabilities", lambda: write_probabilities(folder / "p.tif", made_up, pictures, NAMES, {}))
        shapes = told("outlines", lambda: outlines(path, grid))
        grades = told(f"grades of {len(shapes)}", lambda: grade_footprints(path, grid, shapes))
        middles = shapely.get_coordinates(shapely.point_on_surface(shapes))
        told("hot spots", lambda: hot_spots(middles, np.nan_to_num(1 - grades.grades[:, 0]), 150))
        words, numbers = np.arange(len(shapes)).astype(str), np.zeros(len(shapes))
        buildings = Buildings(
            words, shapes, words, words, grades.located, grades.grades, numbers, grades.valid, words, words
        )
        roads = over(grid)
        # the first band, likely no building, stands in for debris: most streets are closed
        seen = Observed((), {"debris": path})
        rng, area = np.random.default_rng(0), shapely.box(*grid.bounds)
        told(
            f"access over {roads.length.sum() / 1000:.0f} km",
            lambda: find_access(roads, None, seen, buildings, grid, area, rng),
        )


def over(grid: Grid) -> Roads:
    """Streets every 250 m, beyond the grid's borders."""
    west, south, east, north = grid.bounds
    x, y = np.arange(west - 100, east + 350, 250), np.arange(south - 100, north + 350, 250)
    nodes = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    number = np.arange(len(nodes)).reshape(len(y), len(x))
    along = np.stack([number[:, :-1].ravel(), number[:, 1:].ravel()], axis=1)
    up = np.stack([number[:-1].ravel(), number[1:].ravel()], axis=1)
    return straight_roads(nodes, np.concatenate([along, up]))


def peak() -> float:
    """MiB that the process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def beside(folder: Path, repeats: int, which: Iterable[str] = ()) -> Rows:
    """Rows of what is asked for of the parts that have a peer, or of all; each checked to give the same first."""
    asked = set(which) or {"gi", "routes", "zones"}
    if "gi" in asked:
        yield either("Gi* of 4,000 places", "esda", gi, repeats, "esda", "libpysal")
    if "routes" in asked:
        yield row("seconds to 10,000 nodes", "networkx", timed(nearest(), repeats))
        yield row("the way across them", "networkx", timed(across(), repeats))
        yield row("P(reached) by 20 draws", "networkx", timed(reached(), repeats))
    if "zones" in asked:
        where = place(folder)
        yield either(
            "means of 1,000 buildings, one band of five", "rasterstats", lambda: zonal(where), repeats, "rasterstats"
        )
        yield row("means of 1,000 buildings", "a mask of each", timed(masks(where), repeats))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", help="gi, routes, zones, windows; all by default")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--model", type=Path, help="a run or a saved model")
    parser.add_argument("--large", nargs=2, type=int, metavar=("ROWS", "COLUMNS"))
    arguments = parser.parse_args()
    if arguments.large:
        large(*arguments.large)
        return
    kinds = [part for part in arguments.parts if part != "windows"]
    if kinds or not arguments.parts:
        with TemporaryDirectory() as folder:
            print(markdown(beside(Path(folder), arguments.repeats, kinds)))
    if "windows" in arguments.parts or not arguments.parts:
        tell_seams(arguments.model)


if __name__ == "__main__":
    main()
