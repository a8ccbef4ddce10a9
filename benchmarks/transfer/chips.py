"""Real imagery with labels, split once by place: what rounds may see (`dev`), and what is opened at the end (`final`).

The split, and why:

- xBD Harvey: scenes 0 and 1 (suburbs by a river) are dev, scene 2 (a dense district, seen obliquely after) is final.
- Ida-BD: tile 1-3 is dev, its neighbour 1-4 final: one event, other houses.
- Kampala: drone tiles of zoom 21 in two blocks, 380 m apart. The western block and the first five columns of the
  eastern are dev, the last six final; one column between them is left out. Coarser tiles show the same ground again
  and are not used. Joined and averaged 4 x 4 to 0.3 m, since nothing finer comes from orbit.
- Joplin: labels are a model's output (and footprints of 2020): weak, dev alone, never a target.
- LEVIR-CD: of its pictures those of its own train and val parts are dev, of test final; DSIFN's first three are dev.
- Flood photographs: dev and final by turns of the number; the one Sen1Floods11 chip by halves, west dev, east final.

Santa Rosa has no image before, and the Türkiye pairs have boxes of a model instead of outlines: neither can be scored
per pixel, and both are left out. Scenes are cut into chips of 256 px, which intervals are drawn over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.utils.data import Dataset
from transfer.pairs import cropped

from mage.learning.sampling import Draw
from mage.scenes.metrics import IGNORE

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SIDE = 256  # pixels of a chip
Bytes = NDArray[np.uint8]
TILE = re.compile(r"OAM-(\d+)-(\d+)-21\.png")
SHARE = 0.14  # of the pixels of the suburbs of `mixture.yaml` that annotators would call building
STYLE = {"kampala": 0.28, "zurich": 0.13, "dutch": 0.13}  # of informal settlements, European suburbs
GAP, BORDER = 1_238_453, 1_238_440  # Kampala's column that is left out; what is west of the other is the western block


@dataclass(frozen=True, eq=False)
class Chip:
    """Images, uint8 (T, 3, H, W), and mask, uint8 (H, W): 1 + grade, 1 building or 1 water or change, 255 ignored."""

    key: str
    scene: str
    image: Bytes
    mask: Bytes

    @property
    def place(self) -> str:
        """Scenes of one event or city are one place."""
        return self.scene.split("-")[0]

    def sample(self) -> dict[str, Any]:
        """As datasets give it, buildings numbered."""
        numbers = ndimage.label((self.mask > 0) & (self.mask < 255))[0].astype(np.int32)
        image, mask, number = (torch.from_numpy(np.ascontiguousarray(a)) for a in (self.image, self.mask, numbers))
        return {"image": image, "mask": mask, "building": number, "key": self.key, "event": self.scene}


class Chips(Dataset[dict[str, Any]]):
    """Chips as a dataset; drawn indices crop to ``size``, at random."""

    def __init__(self, chips: Sequence[Chip], size: int | None = None) -> None:
        self.chips, self.size = list(chips), size

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The chip, or a crop of it."""
        sample = self.chips[int(index)].sample()
        if self.size is None or not isinstance(index, Draw):
            return sample
        row, column = index.rng().integers(0, np.array(sample["mask"].shape) - self.size, endpoint=True)
        window = (..., slice(row, row + self.size), slice(column, column + self.size))
        return {**sample, "image": sample["image"][window], "mask": sample["mask"][window].clone()}


class Before(Dataset[dict[str, Any]]):
    """Crops of the images before, each shown twice, without labels, with the ``share`` of their pixels that should be
    of buildings, and the number of their ``place``.

    Args:
        chips: their labels are not read.
        size: pixels of a crop.
        zoom: crops cover 1 / zoom to zoom times their size of ground.
        shares: by place; by default those of simulated places of their style.
    """

    def __init__(
        self, chips: Sequence[Chip], size: int, zoom: float = 1.0, shares: Mapping[str, float] | None = None
    ) -> None:
        self.chips, self.size, self.zoom, self.shares = list(chips), size, zoom, STYLE if shares is None else shares
        self.places = [chip.place for chip in self.chips]

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A crop, drawn by the index."""
        chip, rng = (
            self.chips[int(index)],
            index.rng() if isinstance(index, Draw) else np.random.default_rng(int(index)),
        )
        image, _ = cropped(chip.image[:1], chip.mask, self.size, self.zoom, rng)
        place = self.places[int(index)]
        told = {"share": torch.tensor(self.shares.get(place, SHARE)), "place": torch.tensor(self.places.index(place))}
        return {"image": torch.from_numpy(image.repeat(2, 0)), **told, "key": chip.key}


def picture(path: Path) -> Bytes:
    """RGB (H, W, 3) of a PNG, JPEG or 8-bit GeoTIFF."""
    if path.suffix == ".tif":
        with rasterio.open(path) as raster:
            return np.moveaxis(raster.read([1, 2, 3]), 0, -1)
    found = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert found is not None, path
    return found[..., ::-1]


def labels(path: Path) -> Bytes:
    """One band (H, W)."""
    if path.suffix == ".tif":
        with rasterio.open(path) as raster:
            return np.asarray(raster.read(1), np.uint8)
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None, path
    return np.asarray(found if found.ndim == 2 else found[..., 0], np.uint8)


def cut(scene: str, images: Sequence[Bytes], mask: Bytes, side: int = SIDE) -> Iterator[Chip]:
    """Chips beside each other, without overlap; what is left at the far edges is left out."""
    stack = np.stack(images).transpose(0, 3, 1, 2)
    for row in range(0, mask.shape[0] - side + 1, side):
        for column in range(0, mask.shape[1] - side + 1, side):
            window = (..., slice(row, row + side), slice(column, column + side))
            yield Chip(f"{scene}-{row}-{column}", scene, stack[window], mask[window])


def harvey(part: str) -> list[Chip]:
    """xBD, hurricane Harvey: pairs of 0.5 m, graded by what is seen and the water around."""
    folder, scenes = DATA / "damage/xbd_harvey", ("00000000", "00000001") if part == "dev" else ("00000002",)
    return [chip for name in scenes for chip in _pair(folder, name, f"harvey-{name[-1]}")]


def ida(part: str) -> list[Chip]:
    """Ida-BD: pairs of 0.5 m, graded by roofs alone."""
    name = "1-3" if part == "dev" else "1-4"
    return list(_pair(DATA / "damage/idabd", name, f"ida-{name}"))


def _pair(folder: Path, name: str, scene: str) -> Iterator[Chip]:
    images = [picture(folder / f"{name}_{date}.png") for date in ("pre", "post")]
    yield from cut(scene, images, labels(folder / f"{name}_post_mask.png"))


def joplin(_: str = "dev") -> list[Chip]:
    """Joplin after a tornado, 0.6 m: grades are another model's output, so weak."""
    folder = DATA / "damage/joplin"
    images = [picture(folder / f"joplin_tornado_{date}_0.6m.tif") for date in ("pre", "post")]
    return list(cut("joplin", images, labels(folder / "joplin_model_pseudolabel.tif")))


def free_licence() -> list[Chip]:
    """Imagery without labels that may be passed on, so that a model fitted to it may be too: Joplin (US government),
    Kampala's dev part (CC BY 4.0), Zürich (swisstopo, with attribution), a Dutch town (PDOK, CC BY 4.0).
    """
    chips = joplin() + kampala("dev")
    for scene, name, by in (
        ("zurich", "ortho/zurich/big_img/1091-322_00.tif", 1),
        ("zurich-lidar", "ortho/zurich/lidar/ref-img.tif", 1),
        ("dutch", "unlabelled/nl_pdok_tile.tif", 2),  # of 0.25 m
    ):
        image = picture(DATA / name)
        small = cv2.resize(image, (image.shape[1] // by, image.shape[0] // by), interpolation=cv2.INTER_AREA)
        chips += cut(scene, [small], np.full(small.shape[:2], IGNORE, np.uint8), side=200)
    return chips


def kampala(part: str) -> list[Chip]:
    """Kampala from a drone, averaged to 0.3 m: small houses, some of which the labels lack."""
    folder = DATA / "buildings/fair_kampala"
    tiles = {
        tuple(map(int, m.groups())): p for p in sorted((folder / "img").glob("*.png")) if (m := TILE.match(p.name))
    }
    blocks: dict[str, dict[tuple[int, ...], Path]] = {"west": {}, "middle": {}, "east": {}}
    for place, path in tiles.items():
        if place[0] != GAP:
            blocks["west" if place[0] < BORDER else "middle" if place[0] < GAP else "east"][place] = path
    return [
        chip for name in (("west", "middle") if part == "dev" else ("east",)) for chip in _joined(name, blocks[name])
    ]


def _joined(name: str, tiles: dict[tuple[int, ...], Path]) -> Iterator[Chip]:
    columns, rows = (sorted({place[axis] for place in tiles}) for axis in (0, 1))
    image = np.zeros((256 * len(rows), 256 * len(columns), 3), np.uint8)
    mask = np.full(image.shape[:2], 255, np.uint8)
    for (column, row), path in tiles.items():
        window = tuple(slice(256 * n, 256 * n + 256) for n in (rows.index(row), columns.index(column)))
        image[window] = picture(path)
        mask[window] = labels(path.parents[1] / "mask" / path.name) > 0
    size = mask.shape[1] // 4, mask.shape[0] // 4
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    covered = cv2.resize((mask == 1).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    yield from cut(f"kampala-{name}", [small, small], (covered >= 0.5).astype(np.uint8), side=128)


def change(part: str) -> list[Chip]:
    """LEVIR-CD (0.5 m) and DSIFN (about 2 m): buildings that came or went; of DSIFN other ground as well."""
    chips = []
    for scene, name in (("levir", DATA / "change/levir"), ("dsifn", DATA / "change/dsifn")):
        for number, path in enumerate(sorted((name / "A").glob("*.png"))):
            dev = not path.name.startswith("test") if scene == "levir" else number < 3
            if dev == (part == "dev"):
                images = [picture(path), picture(name / "B" / path.name)]
                mask = (labels(name / "label" / path.name) > 0).astype(np.uint8)
                chips += cut(f"{scene}-{path.stem}", images, mask)
    return chips


def photographs(part: str) -> list[Chip]:
    """Flood photographs from drones and helicopters, many oblique: water or not, coarse outlines; 512 px wide."""
    chips = []
    for number, path in enumerate(sorted((DATA / "flood/flood_area").glob("*.jpg"))):
        if (number % 2 == 0) == (part == "dev"):
            image, mask = picture(path), labels(path.with_name(f"{path.stem}_mask.png"))
            size = 512, max(32, round(512 * mask.shape[0] / mask.shape[1]))
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            water = cv2.resize((mask > 127).astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            chips.append(Chip(f"photograph-{path.stem}", "photographs", image.transpose(2, 0, 1)[None], water))
    return chips


def sentinel(part: str) -> list[Chip]:
    """One Sen1Floods11 chip, Sentinel-2 red, green and blue of 10 m, stretched so that reflectance 0.3 is white."""
    folder = DATA / "flood"
    with rasterio.open(folder / "sen1floods11_spain_s2.tif") as raster:
        bands = raster.read([4, 3, 2]).astype(np.float32) / 10_000
    with rasterio.open(folder / "sen1floods11_spain_label.tif") as raster:
        water = raster.read(1)
    image = (np.clip(bands / 0.3, 0, 1) * 255).astype(np.uint8)
    mask = np.where(water < 0, 255, water).astype(np.uint8)
    half = (..., slice(0, 256) if part == "dev" else slice(256, 512))
    return list(cut(f"sen1floods11-{part}", [np.moveaxis(image[half], 0, -1)], mask[half]))
