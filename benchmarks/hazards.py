"""What hazards cost: CPU seconds of the impact on cities of growing size, and of drawing the aftermath.

Run: ``OMP_NUM_THREADS=1 python benchmarks/hazards.py [--after] [SIZE ...]`` (buildings at least; 1000, 3000 and 10000
by default). A city is one procedural suburb repeated by translation on a rectangle: buildings, streets, land, water,
trees, barriers and the terrain (2 m between vertices) grow together, at 610 buildings a square kilometre. The streets
are one graph of parts that do not meet. Where two copies of the ground meet there may be a step: that costs no less.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from math import ceil, sqrt

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.scenes.city import City, RoadGraph
from mage.scenes.hazards import camp, flood, sample_earthquake, sample_fire, sample_wind
from mage.scenes.hazards.chain import combined
from mage.scenes.hazards.flood import arrival_levels
from mage.scenes.hazards.hand import hand, hand_levels
from mage.scenes.modifiers import aftermath
from mage.scenes.modifiers.after import touched
from mage.scenes.parts import EarthquakePart, FirePart, WindPart
from mage.scenes.sources.procedural.build import build_city
from mage.scenes.strike import Strike
from mage.scenes.style import load_style
from mage.scenes.terrain import Terrain

SIZES = (1_000, 3_000, 10_000)
EXTENT = 700.0  # metres of the suburb that is repeated, without its margins
TILE = 512 * 0.3  # metres: half a side of the surroundings that a picture of 512 px at 0.3 m needs at most
STAGE, TENTS = 2.0, 300
Job = Callable[[City, np.random.Generator], object]


def repeated(seed: int, count: int) -> City:
    """A city of at least ``count`` buildings: a suburb side by side with itself."""
    one = build_city(load_style("suburb"), EXTENT, np.random.default_rng(seed))
    west, south, east, north = one.ground.bounds
    copies_wanted = ceil(count / len(one.buildings))
    rows = int(sqrt(copies_wanted))
    columns = ceil(copies_wanted / rows)
    offsets = [(i * (east - west), j * (north - south)) for j in range(rows) for i in range(columns)]
    heights = np.pad(np.tile(one.ground.heights[:-1, :-1], (rows, columns)), ((0, 1), (0, 1)), mode="edge")
    ground = Terrain(heights, west, south + rows * (north - south), one.ground.step)
    margin = (east - west - EXTENT) / 2
    bounds = (west + margin, south + margin, ground.bounds[2] - margin, ground.bounds[3] - margin)
    copies = [_moved(one, *offset) for offset in offsets]
    nodes = np.concatenate([c.roads.nodes for c in copies])
    edges = [
        replace(e, u=e.u + k * len(one.roads.nodes), v=e.v + k * len(one.roads.nodes))
        for k, c in enumerate(copies)
        for e in c.roads.edges
    ]
    trees = replace(
        one.trees,
        **{
            name: np.concatenate([getattr(c.trees, name) for c in copies])
            for name in ("xy", "height", "radius", "species")
        },
    )
    return replace(
        one,
        bounds=bounds,
        terrain=ground,
        trees=trees,
        roads=RoadGraph(nodes, tuple(edges)),
        buildings=tuple(b for c in copies for b in c.buildings),
        water=tuple(w for c in copies for w in c.water),
        land=tuple(p for c in copies for p in c.land),
        barriers=tuple(b for c in copies for b in c.barriers),
    )


def _moved(city: City, east: float, north: float) -> City:
    way = np.array([east, north])

    def shifted(shape: shapely.Geometry) -> shapely.Geometry:
        return shapely.transform(shape, lambda xy: xy + way)

    return replace(
        city,
        buildings=tuple(
            replace(
                b, footprint=shifted(b.footprint), mesh=replace(b.mesh, vertices=b.mesh.vertices + np.append(way, 0.0))
            )
            for b in city.buildings
        ),
        roads=RoadGraph(city.roads.nodes + way, tuple(replace(e, line=shifted(e.line)) for e in city.roads.edges)),
        trees=replace(city.trees, xy=city.trees.xy + way),
        water=tuple(replace(w, outline=shifted(w.outline)) for w in city.water),
        land=tuple(replace(p, outline=shifted(p.outline)) for p in city.land),
        barriers=tuple(replace(b, line=shifted(b.line)) for b in city.barriers),
    )


def _filled(city: City, _: np.random.Generator) -> object:
    arrival = arrival_levels(city)
    return flood(city, level=float(arrival.min()) + STAGE, arrival=arrival)


JOBS: dict[str, Job] = {
    "earthquake": lambda city, rng: sample_earthquake(rng, city, EarthquakePart()),
    "hurricane": lambda city, rng: sample_wind(rng, city, WindPart(storm="hurricane")),
    "tornado": lambda city, rng: sample_wind(rng, city, WindPart(storm="tornado")),
    "fire": lambda city, rng: sample_fire(rng, city, FirePart()),
    "flood, filled": _filled,
    "flood, hand": lambda city, _: hand_levels(city, STAGE, heights=hand(city)),
    "camp": lambda city, rng: camp(city, TENTS, rng),
}


def seconds(job: Callable[[], object]) -> tuple[float, object]:
    """CPU seconds of a call, and what it gives."""
    start = time.process_time()
    result = job()
    return time.process_time() - start, result


def exponent(sizes: list[int], spent: list[float]) -> float:
    """Slope of the straight line through the logarithms of both."""
    return float(np.polyfit(np.log(sizes), np.log(spent), 1)[0])


def after(city: City, strike: Strike, which: NDArray[np.int64] | None) -> tuple[float, int]:
    """CPU seconds of the aftermath with its visible grades and blocked streets, and how many buildings were struck."""
    spent, left = seconds(lambda: aftermath(city, strike, 1, which))
    more, _ = seconds(lambda: combined(city, [strike], strike, left))  # type: ignore[arg-type]
    struck = touched(strike)
    return spent + more, int(struck.sum() if which is None else struck[which].sum())


def around_middle(city: City) -> NDArray[np.int64]:
    """Indices of the buildings that a picture of the middle of a city needs."""
    west, south, east, north = city.bounds
    x, y = (west + east) / 2, (south + north) / 2
    tile = shapely.box(x - TILE / 2, y - TILE / 2, x + TILE / 2, y + TILE / 2).buffer(TILE / 4)
    return np.flatnonzero(shapely.intersects(np.array([b.footprint for b in city.buildings], dtype=object), tile))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--after", action="store_true", help="the aftermath of each too")
    parser.add_argument("--only", choices=[*JOBS], action="append", help="hazards to run, all by default")
    arguments = parser.parse_args()
    sizes, names = arguments.sizes or list(SIZES), arguments.only or [*JOBS]
    spent: dict[str, list[float]] = {name: [] for name in names}
    built: list[int] = []
    for size in sizes:
        city = repeated(1, size)
        vertices = city.ground.heights.size / 1e6
        count = len(city.buildings)
        built.append(count)
        print(f"\n{count} buildings, {len(city.trees)} trees, {len(city.roads.edges)} edges, {vertices:.2f} M vertices")
        for name in names:
            cost, result = seconds(lambda name=name, city=city: JOBS[name](city, np.random.default_rng(2)))  # type: ignore[misc]
            spent[name].append(cost)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(f"  {name:14} {cost:9.2f} s {1000 * cost / count:8.3f} s a thousand, peak {peak:.1f} GiB", flush=True)
            if arguments.after and isinstance(result, Strike):
                for label, which in (("of all", None), ("of a tile", around_middle(city))):
                    took, struck = after(city, result, which)
                    print(f"    aftermath {label}: {took:.2f} s for {struck} buildings struck", flush=True)
    if len(sizes) > 1:
        print("\nexponents")
        for name in names:
            print(f"  {name:14} {exponent(built, spent[name]):.2f}")


if __name__ == "__main__":
    main()
