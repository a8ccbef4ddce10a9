"""Pictures to look at: one sample with all its layers, or a whole city from above."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mage.generator.generate import generate
from mage.generator.plan import Plan, make_plan
from mage.generator.runners.local import run_portrait
from mage.scenes.dataset.codec import decode_sample
from mage.scenes.dataset.fields import CLASS_COLOURS, DAMAGE_COLOURS, LandClass
from mage.scenes.dataset.index import open_dataset
from mage.scenes.dataset.png import encode_png
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.store import SHARDS, LocalStore, Store, open_store
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import DatasetError
from mage.scenes.recipe import Recipe

Picture = NDArray[np.uint8]
COLUMNS = 5


def preview_recipe(recipe: Recipe | Plan, out: Path) -> None:
    """Render the first sample of a recipe or a plan and draw all its layers into one PNG."""
    with tempfile.TemporaryDirectory(prefix="mage-") as folder:
        generate(recipe, Path(folder) / "dataset", progress=True)
        preview_dataset(Path(folder) / "dataset", out)


def preview_city(recipe: Recipe, out: Path) -> None:
    """Render the recipe's whole city before any disaster into a PNG, the recipe's size along its
    longer side.
    """
    with tqdm(total=2, desc="building the city", unit="step", leave=False) as bar:

        def _hear(event: dict[str, Any]) -> None:
            bar.set_description("rendering" if event["event"] == "ready" else "done")
            bar.update()

        run_portrait(make_plan(recipe), out, _hear)


def preview_dataset(root: Store | str | Path, out: Path) -> None:
    """Draw all layers of a dataset's first sample into one PNG."""
    _publish(out, contact_sheet(first_sample(root)))


def first_sample(root: Store | str | Path) -> Sample:
    """The first sample of a dataset."""
    store = open_store(root)
    record = open_dataset(store)
    if not record.shards:
        raise DatasetError("holds no shard", file=store.place)
    with store.fetch(f"{SHARDS}/{record.shards[0].name}") as path, TarIndex(path) as tar:
        key = tar.keys[0]
        return decode_sample(lambda field: tar.read(key, field))


def contact_sheet(sample: Sample) -> Picture:
    """Both images and every label raster side by side with their names, uint8 RGB."""
    tiles = [(f"{date} image", image) for date, image in sample.images.items()]
    tiles += _false_colours(sample)
    tiles += [(name.replace("_", " "), _coloured(name, raster)) for name, raster in sorted(sample.labels.items())]
    tiles.sort(key=lambda tile: not tile[0].startswith("pre"))  # each date together, its image first
    tiles.append(("legend", _legend(*tiles[0][1].shape[:2])))
    captioned = [_captioned(picture, name) for name, picture in tiles]
    blank = np.full_like(captioned[0], 255)
    captioned += [blank] * (-len(captioned) % COLUMNS)
    rows = [np.concatenate(captioned[i : i + COLUMNS], axis=1) for i in range(0, len(captioned), COLUMNS)]
    return np.concatenate(rows)


def _false_colours(sample: Sample) -> list[tuple[str, Picture]]:
    """One picture for each further sensor and date: the first three bands of a display product; of others the last, the
    middle and the first, each from black to its 99th percentile.
    """
    shape = sample.images["pre"].shape[:2]
    groups: dict[str, list[NDArray[Any]]] = {}
    for image in sample.record.images:
        date, sensor, _ = image.member.split("_")
        groups.setdefault(f"{date} {sensor}", []).append(sample.bands[image.member])
    pictures = []
    for name, planes in groups.items():
        display = planes[0].dtype == np.uint8
        chosen = planes[:3] if display else [planes[-1], planes[len(planes) // 2], planes[0]]
        tops = [255.0 if display else max(float(np.percentile(plane, 99)), 1.0) for plane in chosen]
        shown = [np.clip(plane * (255.0 / top), 0, 255) for plane, top in zip(chosen, tops, strict=True)]
        enlarged = [cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_NEAREST) for plane in shown]
        pictures.append((name, np.stack(enlarged, axis=-1).astype(np.uint8)))
    return pictures


def _coloured(name: str, raster: NDArray[Any]) -> Picture:
    field = name.split("_", 1)[1]
    if field == "class":
        return np.array([CLASS_COLOURS[LandClass(i)] for i in range(len(LandClass))], np.uint8)[raster]
    if field == "damage" or name == "post_annotated":
        return np.array(DAMAGE_COLOURS, np.uint8)[raster]
    if field in ("building", "road", "tent", "annotated"):
        colours = np.random.default_rng(3).integers(60, 256, (int(raster.max()) + 1, 3)).astype(np.uint8)
        colours[0] = 0
        return colours[raster]
    largest = {"height": 2000, "depth": 300, "ems98": 6, "visible": 6, "burn": 100, "cloud": 100}.get(field, 1)
    scaled = np.clip(raster.astype(float) / largest * 255, 0, 255).astype(np.uint8)
    ramp = cv2.COLORMAP_VIRIDIS if field in ("height", "depth", "ems98", "visible", "burn") else cv2.COLORMAP_BONE
    return np.asarray(cv2.applyColorMap(scaled, ramp)[..., ::-1])


def _legend(rows: int, columns: int) -> Picture:
    """Colours of land cover on the left, of damage on the right."""
    classes = [(kind.name.lower(), CLASS_COLOURS[kind]) for kind in LandClass]
    damage = list(zip(("no damage", "minor", "major", "destroyed"), DAMAGE_COLOURS[1:], strict=True))
    picture = np.full((rows, columns, 3), 255, np.uint8)
    step = rows / (len(classes) + 1)
    for left, entries in ((0.04, classes), (0.54, damage)):
        for k, (name, colour) in enumerate(entries):
            x, y = int(left * columns), int((k + 0.5) * step)
            cv2.rectangle(picture, (x, y), (x + int(step), y + int(0.75 * step)), colour, cv2.FILLED)
            place, size = (x + int(1.4 * step), y + int(0.7 * step)), step / 36
            cv2.putText(picture, name, place, cv2.FONT_HERSHEY_SIMPLEX, size, (30, 30, 30), 1, cv2.LINE_AA)
    return picture


def _captioned(picture: Picture, name: str) -> Picture:
    name += ": nothing" if (picture == picture[0, 0]).all() else ""
    framed = cv2.copyMakeBorder(np.ascontiguousarray(picture), 24, 6, 3, 3, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    cv2.putText(framed, name, (5, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.48, (30, 30, 30), 1, cv2.LINE_AA)
    return np.asarray(framed, np.uint8)


def _publish(out: Path, picture: Picture) -> None:
    data = encode_png(picture)
    LocalStore(out.parent).publish(out.name, lambda path: path.write_bytes(data))
