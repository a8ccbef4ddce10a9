"""Places to map of which somebody knows what became of them: real pairs with labels, and simulated ones with all truth.

Real labels are what they are. xBD Harvey and Ida-BD were graded by people (Ida has three grades, the last of them major
or destroyed). Joplin's grades and Türkiye's boxes are the output of other models: weak, how far ours agrees with them,
not how right it is. A simulated pair is one tile of `mage generate`, laid somewhere on Earth.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes

from mage.generator.build import build_place
from mage.generator.generate import generate
from mage.generator.plan import make_plan, open_plan
from mage.learning.mapping.findings import Kind
from mage.learning.mapping.vectors import Features, write_parquet
from mage.scenes.dataset.fields import LandClass
from mage.scenes.grid import Grid
from mage.scenes.recipe import read_recipe

DAMAGE = Path(__file__).resolve().parents[3] / "shared" / "data" / "damage"
GSD = 0.5  # of the pictures that do not say it, as their sources do
CRS, EAST, NORTH = "EPSG:32631", 500_000.0, 5_700_000.0  # where simulated places are laid
LEAST = 8.0  # pixels of a building: slivers between outlines are none
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Roads:
    """Streets that are known to be open to cars or not, metres of the map."""

    lines: NDArray[np.object_]
    closed: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Case:
    """A place.

    Attributes:
        name, kind: of the event.
        pre, post: images.
        gsd: metres of their pixels; None where they say it themselves.
        outline, grade: (n,) buildings before, in the map's frame, and their grades from 0.
        grades: how many the labels tell apart.
        truth: of what sort it is: "people", "a model" or "simulated".
        files: further files for the map, by role.
        flood, depth: (rows, columns) of the map's grid, whether water can be seen and how deep it stands, metres.
        roads: None where nobody knows.
    """

    name: str
    kind: Kind
    pre: Path
    post: Path
    gsd: float | None
    outline: NDArray[np.object_]
    grade: NDArray[np.int64]
    grades: int
    truth: str
    files: dict[str, Path]
    crs: str | None = None
    flood: NDArray[np.bool_] | None = None
    depth: Floats | None = None
    roads: Roads | None = None

    def footprints(self, folder: Path) -> Path:
        """The buildings before as a file."""
        path = folder / f"{self.name}.parquet"
        write_parquet(path, Features(self.outline, {"id": np.arange(len(self.outline)).astype(str)}), self.crs)
        return path


def real_cases() -> Iterator[Case]:
    """Those of `shared/data/damage`; none where it is not there."""
    if not DAMAGE.is_dir():
        return
    for number in "012":
        yield _chip(f"harvey-{number}", Kind.FLOOD, DAMAGE / "xbd_harvey", f"0000000{number}", 4)
    for tile in ("1-3", "1-4"):
        yield _chip(f"ida-{tile}", Kind.WIND, DAMAGE / "idabd", tile, 3)
    yield _joplin(DAMAGE / "joplin")
    for post in sorted((DAMAGE / "turkey_eq_2023").glob("*_post.jpg")):
        yield _boxed(post)


def _chip(name: str, kind: Kind, folder: Path, stem: str, grades: int) -> Case:
    mask = cv2.imread(str(folder / f"{stem}_post_mask.png"), cv2.IMREAD_UNCHANGED)
    labels = np.asarray(mask if mask.ndim == 2 else mask[..., 0], np.uint8)
    outline, grade = outlined(labels, Grid(*labels.shape, 0.0, labels.shape[0] * GSD, GSD))
    images = folder / f"{stem}_pre.png", folder / f"{stem}_post.png"
    return Case(name, kind, *images, GSD, outline, grade, grades, "people", {})


def _joplin(folder: Path) -> Case:
    with rasterio.open(folder / "joplin_model_pseudolabel.tif") as file:
        labels, (a, _, west, _, _, north), crs = file.read(1), tuple(file.transform)[:6], file.crs.to_string()
    outline, grade = outlined(labels, Grid(*labels.shape, west, north, a, crs))
    images = (folder / f"joplin_tornado_{date}_0.6m.tif" for date in ("pre", "post"))
    return Case("joplin", Kind.WIND, *images, None, outline, grade, 4, "a model", {}, crs)


def _boxed(post: Path) -> Case:
    """Boxes that a model drew on the image before, gone after or not: grades 0 and 1."""
    stem = post.name.removesuffix("_post.jpg")
    told = json.loads((post.parent / f"{stem}_ai_boxes.json").read_text(encoding="utf-8"))["changes"]
    rows = cv2.imread(str(post)).shape[0]
    boxes, gone = [], []
    for found in (change["objects"] for change in told if change["classname"] == "Building"):
        for word in ("common_A", "only_A"):
            for thing in found.get(word, []):
                at = thing["coordinates"]
                low, high = rows - at["ymax"], rows - at["ymin"]
                boxes.append(shapely.box(*(GSD * side for side in (at["xmin"], low, at["xmax"], high))))
                gone.append(word == "only_A")
    grade, pre = np.array(gone, np.int64), post.with_name(f"{stem}_pre.jpg")
    return Case(stem, Kind.EARTHQUAKE, pre, post, GSD, np.array(boxes, object), grade, 2, "a model", {})


def outlined(labels: NDArray[np.uint8], grid: Grid) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Buildings of a mask of 1 + grade, each patch of one value, and their grades."""
    transform = rasterio.Affine(*grid.transform)
    found = [
        (shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:]), int(value) - 1)
        for shape, value in shapes(labels, (labels > 0) & (labels < 255), transform=transform)
    ]
    kept = [(polygon, grade) for polygon, grade in found if polygon.area >= LEAST * grid.gsd**2]
    return np.array([polygon for polygon, _ in kept], object), np.array([grade for _, grade in kept], np.int64)


def simulated(folder: Path, recipe: str, size: int) -> Case:
    """A tile of 0.5 m, rendered into a folder where it is not there yet."""
    changes = {"count": 1, "output.size": size, "output.gsd": 0.5, "render.quality": "draft", "seed": 5}
    plan = make_plan(read_recipe(recipe, changes))
    root = folder / f"{recipe}-{plan.recipe_hash}"
    if not (root / "dataset.json").is_file():
        generate(plan, root, say=print, progress=True)
    sample, record = _sample(root)
    told = record["grid"]
    grid = Grid(told["rows"], told["columns"], told["west"] + EAST, told["north"] + NORTH, told["gsd"], CRS)
    images = [_geotiff(root / f"{date}.tif", sample[date].transpose(2, 0, 1)[:3], grid) for date in ("pre", "post")]
    ground = build_place(open_plan(str(root / "recipe.yaml")).jobs[0]).city.ground
    around = Grid.covering(shapely.box(*grid.bounds).buffer(8).bounds, 1.0, CRS)
    local = Grid(*around.shape, around.west - EAST, around.north - NORTH, around.gsd)
    terrain = _geotiff(root / "ground.tif", ground.sample(local)[None].astype(np.float32), around)
    buildings = [b for b in record["buildings"] if not b["new"]]
    roads, file = _roads(record["roads"], grid, root / "roads.parquet")
    standing = sample["post_depth"] / 100
    return Case(
        f"simulated-{recipe}",
        Kind(recipe),
        *images,
        None,
        _moved([shapely.union_all([_polygon(rings) for rings in b["polygons_map"]]) for b in buildings]),
        np.array([b["jds"] for b in buildings], np.int64),
        4,
        "simulated",
        {"roads": file, "terrain": terrain},
        CRS,
        sample["post_class"] == LandClass.FLOOD if recipe == "flood" else None,
        standing if recipe == "flood" else None,
        roads,
    )


def _sample(root: Path) -> tuple[dict[str, NDArray[Any]], Any]:
    """Rasters of a dataset's only sample, and its record."""
    rasters, record = {}, None
    with tarfile.open(next(iter(sorted((root / "shards").glob("*.tar"))))) as file:
        for member in file.getmembers():
            content = file.extractfile(member)
            assert content is not None
            field = member.name.split(".", 1)[1]
            if field == "json":
                record = json.loads(content.read())
            elif field.endswith(".png"):
                data = np.frombuffer(content.read(), np.uint8)
                image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
                rasters[field[:-4]] = image[..., ::-1] if image.ndim == 3 else image
    return rasters, record


def _geotiff(path: Path, values: NDArray[Any], grid: Grid) -> Path:
    content = io.BytesIO()
    shape = {"count": len(values), "height": grid.rows, "width": grid.columns, "dtype": values.dtype}
    with rasterio.open(
        content, "w", driver="GTiff", crs=grid.crs, transform=rasterio.Affine(*grid.transform), **shape
    ) as file:
        file.write(values)
    path.write_bytes(content.getvalue())
    return path


def _roads(records: list[dict[str, Any]], grid: Grid, path: Path) -> tuple[Roads, Path]:
    """Streets as a file, and which of them are closed: those that are open, or closed within the tile, since what
    closes the others may lie off it.
    """
    lines = [(shapely.LineString(line), r) for r in records for line in r["lines_map"] if len(line) > 1]
    moved = _moved([line for line, _ in lines])
    about = {
        "id": np.array([str(k) for k in range(len(lines))]),
        "highway": np.array([r["kind"] for _, r in lines]),
        "width": np.array([str(r["width"]) for _, r in lines]),
    }
    write_parquet(path, Features(moved, about), CRS)
    inner = shapely.box(*grid.bounds).buffer(-1.0)
    known = np.array([r["car"] or shapely.within(line, inner) for line, (_, r) in zip(moved, lines, strict=True)], bool)
    closed = np.array([not r["car"] for _, r in lines], bool)
    return Roads(moved[known], closed[known]), path


def _polygon(rings: list[Any]) -> shapely.Geometry:
    return shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))


def _moved(geometries: list[shapely.Geometry]) -> NDArray[np.object_]:
    found = np.array(geometries, dtype=object)
    return np.asarray(shapely.transform(found, lambda xy: xy + np.array([EAST, NORTH])))
