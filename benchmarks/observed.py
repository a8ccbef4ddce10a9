"""The observed event against truth: the network of water as it ships, and the colour models of fire, which it fits.

    mage generate benchmarks/transfer/mixture.yaml --out HELD --count 24 --seed 77  # places that it was not trained on
    mage generate flood --out F --count 3 --size 384 --gsd 1 --quality draft --seed 5
    mage generate fire --out B --count 2 --size 320 --gsd 1 --quality draft --seed 5
    mage generate earthquake --out Q --count 2 --size 320 --gsd 1 --quality draft --seed 5
    python benchmarks/observed.py HELD F B Q

Real images are those of ``../shared/data``. The network has seen none of them, nor any of HELD and F; the colour models
are scored on a simulated pair left out of their fit at a time, and the weights that are printed last are fitted on all.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import sieve
from scipy import ndimage
from scipy.stats import rankdata
from transfer import chips as real

from mage.generator.build import build_place
from mage.generator.plan import open_plan
from mage.learning.mapping.flooding import water
from mage.learning.mapping.likeness import COMPARED, Likeness, features, terms
from mage.learning.mapping.observed import LEAST, LIKELY
from mage.learning.mapping.water import WaterModel, open_water
from mage.learning.mapping.water_depth import depth_of, water_surface
from mage.learning.rasters import Raster
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Case = tuple[Bytes, Bytes | None, NDArray[np.float64], Flags]  # after, before, truth, where it counts
DRAWN = 6000  # pixels drawn from each case
WET = (LandClass.WATER, LandClass.FLOOD, LandClass.POOL)
PAIRS = {"Harvey 0": "xbd_harvey/00000000", "Harvey 1": "xbd_harvey/00000001", "Ida-BD 1-3": "idabd/1-3"}  # 0.5 m


def main() -> None:
    """Scores, and fits, of four folders."""
    held, flood, fire, quake = (Path(name) for name in sys.argv[1:5])
    model = open_water("cpu")
    photographs(model)
    sentinel(model)
    for name, place in PAIRS.items():
        pair(model, name, place)
    for root in (held, flood):
        simulated(model, root)
    depths(model, flood)
    beside(quake)
    burnt = [tile(t) for _, t in tiles(fire)]
    weights = {
        "CHARRED": judge("burn of 0.25, one image", [alone_burnt(*t) for t in burnt], [], 0.25),
        "BURN": judge("burn of 0.25, pairs", [[pair_burnt(*t), same(t[1])] for t in burnt], [], 0.25),
    }
    for name, values in weights.items():
        print(name, ", ".join(f"{value:g}" for value in np.round(values, 2)))


def photographs(model: WaterModel) -> None:
    """Flood photographs, many oblique, of pixels that nobody knows: looked at as they are, 512 px wide."""
    chips = real.photographs("dev") + real.photographs("final")
    cases = [(model.of(c.image[0], model.gsd[0]) >= LIKELY["flood"], c.mask == 1, c.mask < 255) for c in chips]
    print(f"water, photographs: {scores(counted(cases))}")


def pair(model: WaterModel, name: str, place: str) -> None:
    """Shares of a real pair under water, and whether what is damaged is nearer to the flood than what is sound."""
    images = [real.picture(real.DATA / "damage" / f"{place}_{date}.png").transpose(2, 0, 1) for date in ("pre", "post")]
    before, after = (model.of(np.ascontiguousarray(image), 0.5) for image in images)
    flood = without_specks(after * (1 - before) >= LIKELY["flood"], 0.5)
    metres = np.full(flood.shape, 1e3) if not flood.any() else ndimage.distance_transform_edt(~flood) * 0.5
    mask = real.labels(real.DATA / "damage" / f"{place}_post_mask.png")
    numbers, count = ndimage.label((mask > 0) & (mask < 255))
    sizes = np.bincount(numbers.ravel())[1:]
    kept = np.flatnonzero(sizes >= 60) + 1
    near = ndimage.minimum(metres, numbers, kept)
    grade = np.array([np.bincount(mask[numbers == k]).argmax() - 1 for k in kept])
    shares = ", ".join(
        f"{word} {share:.1%}"
        for word, share in (
            ("before", (before >= 0.5).mean()),
            ("after", (after >= 0.5).mean()),
            ("flood", flood.mean()),
        )
    )
    told = ", ".join(f"grade {least} and more {area_under(-near, grade >= least):.2f}" for least in (1, 2))
    print(f"{name}: water {shares}; {count} buildings, AUC of nearness to the flood: {told}")


def area_under(score: NDArray[np.float64], positive: Flags) -> float:
    """Probability that a positive scores above a negative; NaN without either."""
    yes, no = positive.sum(), (~positive).sum()
    if not yes or not no:
        return float("nan")
    return float((rankdata(score)[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def simulated(model: WaterModel, root: Path) -> None:
    """Water and flood that can be seen; what crowns hide of a flood does not count."""
    water_cases, flood_cases = [], []
    for key, sample in tiles(root):
        gsd = json.loads(member(root, f"{key}.json"))["grid"]["gsd"]
        post, pre, labels = tile(sample)
        after, before = model.of(post, gsd), model.of(pre, gsd)
        every = np.ones(after.shape, bool)
        for found, date in ((before, "pre"), (after, "post")):
            water_cases.append((found >= 0.5, np.isin(labels[f"{date}_class"], WET), every))
        seen = labels["post_class"] == LandClass.FLOOD
        flood_cases.append((after * (1 - before) >= LIKELY["flood"], seen, (labels["post_flood"] > 0) == seen))
    print(f"water that can be seen, simulated, {root.name}, one image: {scores(counted(water_cases))}")
    print(f"flood that can be seen, simulated, {root.name}, pairs: {scores(counted(flood_cases))}")


def without_specks(mask: Flags, gsd: float) -> Flags:
    """What `mage map` keeps of a mask."""
    return np.asarray(sieve(mask.astype(np.uint8), max(4, round(LEAST["flood"] / gsd**2)))) > 0


def counted(cases: Iterable[tuple[Flags, Flags, Flags]]) -> NDArray[np.float64]:
    """Hits, false alarms and misses of found, truth and where it counts."""
    counts = np.zeros(3)
    for found, there, known in cases:
        counts += [(a & known).sum() for a in (found & there, found & ~there, ~found & there)]
    return counts


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
        for after, before, truth, known in fold:
            counts += counted([(model.of(after, before) >= threshold, truth >= threshold, known)])
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
    for after, before, truth, known in cases:
        values = features(after)
        if before is not None:
            values = np.concatenate([values, values[:COMPARED] - features(before)[:COMPARED]])
        drawn = rng.choice(np.flatnonzero(known.ravel()), DRAWN)
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


def sentinel(model: WaterModel) -> None:
    """Water in Sentinel-2's reflectances by infrared and by the network."""
    place = real.DATA / "flood"
    image, label = (Raster(place / f"sen1floods11_spain_{kind}.tif") for kind in ("s2", "label"))
    window = tuple(slice(0, side) for side in image.layout.shape)
    values, _ = image.read(window, (4, 3, 2, 8, 12))
    truth, _ = label.read(window, (1,))
    names, scaled = ("red", "green", "blue", "nir", "swir"), np.clip(values / 3000 * 255, 0, 255).astype(np.uint8)
    bands = dict(zip(names, scaled, strict=True))
    known, there = truth[0] >= 0, truth[0] == 1
    said = {"network": model.of(scaled[:3], 10.0)}
    said |= {dark: water({name: bands[name] for name in ("green", dark)}) for dark in ("nir", "swir")}
    for by, chance in said.items():
        counts = counted([(chance >= 0.5, there, known)])
        print(f"Sentinel-2, Spain, {by}: {scores(counts)} (water {there[known].mean():.1%})")


def depths(model: WaterModel, root: Path) -> None:
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
            chance = model.of(post, grid.gsd) * (1 - model.of(pre, grid.gsd))
            seen = without_specks(chance >= LIKELY["flood"], grid.gsd)
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
        metres, nearest = ndimage.distance_transform_edt(owner == 0, return_indices=True)
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
