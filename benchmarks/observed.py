"""The observed event against truth: fits the colour models of flood and fire, and scores them on what they did not see.

    mage generate flood --out F --count 3 --size 384 --gsd 1 --quality draft --seed 5
    mage generate fire --out B --count 2 --size 320 --gsd 1 --quality draft --seed 5
    mage generate earthquake --out Q --count 2 --size 320 --gsd 1 --quality draft --seed 5
    python benchmarks/observed.py F B Q SHARED/flood

Every figure is of images left out of the fit, one simulated pair or a third of the photographs at a time; the weights
that are printed last are fitted on all.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import sieve
from scipy.ndimage import distance_transform_edt

from mage.generator.build import build_place
from mage.generator.plan import open_plan
from mage.learning.mapping.flooding import FLOOD, water
from mage.learning.mapping.likeness import COMPARED, Likeness, features, terms
from mage.learning.mapping.water_depth import depth_of, water_surface
from mage.learning.rasters import Raster
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid

Bytes = NDArray[np.uint8]
Case = tuple[Bytes, Bytes | None, NDArray[np.float64], NDArray[np.bool_]]  # after, before, truth, where it counts
SIDE, DRAWN = 448, 6000  # pixels of a photograph's longer side; pixels drawn from each case


def main() -> None:
    """Fits and scores of four folders."""
    flood, fire, quake, real = (Path(name) for name in sys.argv[1:5])
    photographs = [photograph(path) for path in sorted((real / "flood_area").glob("*.jpg"))]
    wet, burnt = [tile(t) for _, t in tiles(flood)], [tile(t) for _, t in tiles(fire)]
    single = [case for post, pre, truth in wet for case in alone(post, pre, truth)]
    folds = [photographs[k::3] for k in range(3)]
    weights = {
        "WATER": judge("water, photographs", folds, [*single], 0.5),
        "FLOOD": judge("flood, simulated pairs", [[pair(*t), same(t[1])] for t in wet], [], 0.5),
        "CHARRED": judge("burn of 0.25, one image", [alone_burnt(*t) for t in burnt], [], 0.25),
        "BURN": judge("burn of 0.25, pairs", [[pair_burnt(*t), same(t[1])] for t in burnt], [], 0.25),
    }
    judge("water, simulated images", [alone(*t) for t in wet], photographs, 0.5)
    sentinel(real)
    depths(flood)
    beside(quake)
    for name, values in weights.items():
        print(name, ", ".join(f"{value:g}" for value in np.round(values, 2)))


def tiles(root: Path) -> list[tuple[str, dict[str, Bytes]]]:
    """Label rasters and images of a dataset's samples by name."""
    found: dict[str, dict[str, Bytes]] = {}
    for path in sorted((root / "shards").glob("*.tar")):
        with tarfile.open(path) as file:
            for member in file.getmembers():
                key, field = member.name.split(".", 1)
                content = file.extractfile(member)
                if field.endswith(".png") and content is not None:
                    found.setdefault(key, {})[field[:-4]] = np.array(Image.open(io.BytesIO(content.read())))
    return list(found.items())


def tile(sample: dict[str, Bytes]) -> tuple[Bytes, Bytes, dict[str, Bytes]]:
    """Images after and before, bands first, and all of a sample."""
    post, pre = (np.ascontiguousarray(sample[date].transpose(2, 0, 1)[:3]) for date in ("post", "pre"))
    return post, pre, sample


def photograph(path: Path) -> Case:
    """A photograph of a flood, smaller, and its mask."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    mask = cv2.imread(str(path.with_name(f"{path.stem}_mask.png")), cv2.IMREAD_GRAYSCALE)
    scale = SIDE / max(image.shape[:2])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return image.transpose(2, 0, 1), None, (mask > 127).astype(float), np.ones(mask.shape, bool)


def alone(post: Bytes, pre: Bytes, t: dict[str, Bytes]) -> list[Case]:
    """Water that can be seen, after and before."""
    every = np.ones(post.shape[1:], bool)
    later = np.isin(t["post_class"], (LandClass.WATER, LandClass.FLOOD)).astype(float)
    return [(post, None, later, every), (pre, None, (t["pre_class"] == LandClass.WATER).astype(float), every)]


def pair(post: Bytes, pre: Bytes, t: dict[str, Bytes]) -> Case:
    """The flood that can be seen; what crowns hide does not count."""
    seen = t["post_class"] == LandClass.FLOOD
    return post, pre, seen.astype(float), (t["post_flood"] > 0) == seen


def same(pre: Bytes) -> Case:
    """Nothing happened."""
    return pre, pre, np.zeros(pre.shape[1:]), np.ones(pre.shape[1:], bool)


def pair_burnt(post: Bytes, pre: Bytes, t: dict[str, Bytes]) -> Case:
    """Severity, by both images."""
    return post, pre, t["post_burn"] / 100, np.ones(post.shape[1:], bool)


def alone_burnt(post: Bytes, pre: Bytes, t: dict[str, Bytes]) -> list[Case]:
    """Severity by the later image, and none in the earlier one."""
    every = np.ones(post.shape[1:], bool)
    return [(post, None, t["post_burn"] / 100, every), (pre, None, np.zeros(every.shape), every)]


def judge(name: str, folds: Sequence[list[Case]], also: Sequence[Case], threshold: float) -> NDArray[np.float64]:
    """Prints how well a fold is told by a model of the others; the weights of a fit of all."""
    counts = np.zeros(3)
    for k, fold in enumerate(folds):
        model = Likeness(tuple(fit([case for j, f in enumerate(folds) if j != k for case in f] + [*also])))
        for after, before, truth, counted in fold:
            found, there = model.of(after, before) >= threshold, truth >= threshold
            counts += [(a & counted).sum() for a in (found & there, found & ~there, ~found & there)]
    print(f"{name}: {scores(counts)}")
    return fit([case for fold in folds for case in fold] + [*also])


def scores(counts: NDArray[np.float64]) -> str:
    """F1 and intersection over union of hits, false alarms and misses."""
    hit, wrong, missed = counts
    return f"F1 {2 * hit / (2 * hit + wrong + missed):.3f}, IoU {hit / (hit + wrong + missed):.3f}"


def fit(cases: Sequence[Case]) -> NDArray[np.float64]:
    """Logistic regression (iterated weighted least squares, a ridge of 3 on 4000 draws in all)."""
    rng = np.random.default_rng(0)
    rows, targets = [], []
    for after, before, truth, counted in cases:
        values = features(after)
        if before is not None:
            values = np.concatenate([values, values[:COMPARED] - features(before)[:COMPARED]])
        drawn = rng.choice(np.flatnonzero(counted.ravel()), DRAWN)
        rows.append(np.stack([term.ravel()[drawn] for term in terms(values)], axis=1))
        targets.append(truth.ravel()[drawn])
    x, y = np.concatenate(rows).astype(float), np.concatenate(targets)
    weights, share = np.zeros(x.shape[1]), 4000 / len(x)
    for _ in range(12):
        chance = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = share * x.T @ (y - chance) - 3 * weights
        weights += np.linalg.solve(
            (x * (share * chance * (1 - chance))[:, None]).T @ x + 3 * np.eye(len(weights)), slope
        )
    return weights


def sentinel(real: Path) -> None:
    """Water in Sentinel-2's reflectances by infrared and by colours."""
    image, label = (Raster(real / f"sen1floods11_spain_{kind}.tif") for kind in ("s2", "label"))
    window = tuple(slice(0, side) for side in image.layout.shape)
    values, _ = image.read(window, (4, 3, 2, 8, 12))
    truth, _ = label.read(window, (1,))
    names, scaled = ("red", "green", "blue", "nir", "swir"), np.clip(values / 3000 * 255, 0, 255).astype(np.uint8)
    bands = dict(zip(names, scaled, strict=True))
    known, there = truth[0] >= 0, truth[0] == 1
    for told in (names[:3], names[:4], names[:3] + names[4:]):
        found = water({name: bands[name] for name in told}) >= 0.5
        counts = np.array([(a & known).sum() for a in (found & there, found & ~there, ~found & there)], float)
        print(f"Sentinel-2, Spain, {', '.join(told)}: {scores(counts)} (water {there[known].mean():.1%})")


def depths(root: Path) -> None:
    """Depth by the true outline and by what the images show, over the simulator's own ground and a noisy one."""
    ground = build_place(open_plan(str(root / "recipe.yaml")).jobs[0]).city.ground
    rng = np.random.default_rng(0)
    rough = replace(ground, heights=ground.heights + rng.normal(0, 0.15, ground.heights.shape))
    for name, terrain in (("exact ground", ground), ("ground with 0.15 m of noise", rough)):
        errors: dict[str, list[NDArray[np.float64]]] = {"true outline": [], "outline from the images": []}
        for key, sample in tiles(root):
            record = json.loads(member(root, f"{key}.json"))["grid"]
            grid = Grid(record["rows"], record["columns"], record["west"], record["north"], record["gsd"])
            post, pre, _ = tile(sample)
            before = sample["pre_water"] > 0
            truth, here = sample["post_depth"] / 100, sample["post_flood"] > 0
            seen = sieve((FLOOD.of(post, pre) >= 0.5).astype(np.uint8), 100) > 0
            for kind, flood in zip(errors, (here, seen), strict=True):
                wet = flood | before
                surface = water_surface(wet, ~wet & (sample["pre_building"] == 0), terrain.sample(grid), grid)
                depth, error = depth_of(surface, terrain, grid, flood)
                both = flood & here & np.isfinite(depth)
                errors[kind].append(np.stack([depth[both] - truth[both], error[both]]))
        for kind, parts in errors.items():
            off, error = np.concatenate(parts, axis=1)
            within = np.mean(np.abs(off) <= 2 * error)
            rmse, mean = np.sqrt(np.mean(off**2)), off.mean()
            print(
                f"depth, {kind}, {name}: RMSE {rmse:.2f} m, bias {mean:+.2f} m, within 2 standard errors {within:.0%}"
            )


def beside(root: Path) -> None:
    """Share of the ground under rubble by the distance from the nearest building, and its grade."""
    under, ground = np.zeros((4, 6)), np.zeros((4, 6))
    for _, sample in tiles(root):
        owner, rubble = sample["pre_building"].astype(int), sample["post_debris"] > 0
        metres, nearest = distance_transform_edt(owner == 0, return_indices=True)
        owner = owner[nearest[0], nearest[1]]
        grade = np.array(
            [
                np.bincount(sample["post_damage"][owner == k], minlength=5)[1:].argmax() if k else 0
                for k in range(owner.max() + 1)
            ]
        )[owner]
        for g in range(4):
            here = (metres > 0) & (metres <= 12) & (grade == g)
            step = np.minimum((metres[here] - 0.5) // 2, 5).astype(int)
            ground[g] += np.bincount(step, minlength=6)
            under[g] += np.bincount(step[rubble[here]], minlength=6)
    for g, name in enumerate(("none", "minor", "major", "destroyed")):
        print(f"rubble beside {name}, every 2 m: {np.round(under[g] / np.maximum(ground[g], 1), 2).tolist()}")


def member(root: Path, name: str) -> bytes:
    """A file of a dataset's shards."""
    for path in sorted((root / "shards").glob("*.tar")):
        with tarfile.open(path) as file:
            if name in file.getnames():
                content = file.extractfile(name)
                return b"" if content is None else content.read()
    raise SystemExit(f"{root} holds no {name}")


if __name__ == "__main__":
    main()
