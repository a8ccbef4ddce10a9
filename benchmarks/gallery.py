"""A contact sheet of all bundled styles before and after a flood, each beside real imagery of its kind of place.

Run: ``python benchmarks/gallery.py [FOLDER] [SIZE]`` or ``make gallery``; writes ``gallery.png`` and a folder a style.
All pictures are at 0.5 m. Real chips are shown where they lie beside the repository; without them their column is
blank.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.generate import generate
from mage.generator.preview import first_sample
from mage.scenes.dataset.png import encode_png
from mage.scenes.recipe import read_recipe
from mage.scenes.style import bundled_styles

Picture = NDArray[np.uint8]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
GSD = 0.5
ZURICH, HATAY = "ortho/zurich/big_img/1091-322_00.tif", "damage/turkey_eq_2023/hatay_ekinci_mahallesi_pre.jpg"
TURKOGLU, JOPLIN = "damage/turkey_eq_2023/kahramanmaras_turkoglu_1_pre.jpg", "damage/joplin/joplin_tornado_pre_0.6m.tif"
# style -> files, metres per pixel, row and column of the cut-out's upper left pixel
REAL = {
    "downtown": [
        ("damage/xbd_harvey/00000002_pre.png", 0.5, (640, 600)),
        ("unlabelled/colorado_aerial.tif", 0.15, (0, 0)),
    ],
    "european": [(ZURICH, 0.5, (280, 200)), ("unlabelled/nl_pdok_tile.tif", 0.25, (360, 360))],
    "european-suburb": [(ZURICH, 0.5, (0, 0))],
    "industrial": [(JOPLIN, 0.6, (1200, 900))],
    "informal": [("buildings/fair_kampala/img", 0.0746, (0, 0))],
    "inner-suburb": [("damage/xbd_harvey/00000002_pre.png", 0.5, (200, 200))],
    "mediterranean": [(HATAY, 0.5, (300, 300)), (TURKOGLU, 0.5, (300, 300))],
    "suburb": [("damage/xbd_harvey/00000001_pre.png", 0.5, (400, 400)), (JOPLIN, 0.6, (600, 600))],
    "village": [(TURKOGLU, 0.5, (500, 900)), (JOPLIN, 0.6, (0, 0))],
}


def chip(name: str, gsd: float, corner: tuple[int, int], size: int) -> Picture:
    """A square of real imagery at 0.5 m; white where there is none."""
    blank = np.full((size, size, 3), 255, np.uint8)
    path = DATA / name
    if not path.exists():
        return blank
    picture = mosaic(path) if path.is_dir() else cv2.imread(str(path))[:, :, ::-1]
    side = round(size * GSD / gsd)
    top, left = corner
    cut = picture[top : top + side, left : left + side]
    height, width = (max(1, round(s * gsd / GSD)) for s in cut.shape[:2])
    blank[:height, :width] = cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=cv2.INTER_AREA)
    return blank


def mosaic(folder: Path) -> Picture:
    """Web map tiles (``…-x-y-zoom.png``) put together, black where one is missing."""
    tiles = {tuple(map(int, path.stem.split("-")[1:3])): path for path in folder.glob("*.png")}
    columns, rows = (_densest([key[axis] for key in tiles]) for axis in (0, 1))
    near = columns, rows
    out = np.zeros((256 * len(near[1]), 256 * len(near[0]), 3), np.uint8)
    for i, row in enumerate(near[1]):
        for j, column in enumerate(near[0]):
            if (column, row) in tiles:
                tile = cv2.imread(str(tiles[column, row]))[:, :, ::-1]
                out[256 * i : 256 * i + 256, 256 * j : 256 * j + 256] = tile
    return out


def _densest(places: list[int], span: int = 8) -> list[int]:
    """The run of up to ``span`` neighbouring columns or rows that holds most tiles."""
    first = max(sorted(set(places)), key=lambda start: sum(start <= place < start + span for place in places))
    return [place for place in sorted(set(places)) if first <= place < first + span]


def row(style: str, folder: Path, size: int) -> Picture:
    """Before, after, and two real chips, with a caption."""
    recipe = read_recipe("flood", {"city.style": style, "count": 1, "output.size": size, "output.gsd": GSD})
    generate(recipe, folder / style, progress=True)
    images = first_sample(folder / style).images
    real = [chip(*entry, size) for entry in REAL.get(style, [])]
    real += [np.full((size, size, 3), 255, np.uint8)] * (2 - len(real))
    pictures = [cv2.copyMakeBorder(p, 22, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255)) for p in
                (images["pre"], images["post"], *real)]  # fmt: skip
    for picture, caption in zip(pictures, (f"{style}, before", "after", "real", "real"), strict=True):
        cv2.putText(picture, caption, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    return np.concatenate(pictures, axis=1)


def main() -> None:
    """Render what is not there yet and draw the sheet."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/gallery")
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 384
    sheet = np.concatenate([row(style, folder, size) for style in bundled_styles()])
    (folder / "gallery.png").write_bytes(encode_png(np.ascontiguousarray(sheet)))
    print(folder / "gallery.png")


if __name__ == "__main__":
    main()
