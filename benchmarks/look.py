"""Colour statistics of rendered pairs beside real ones of the same kind of place.

Run: ``python benchmarks/look.py [DATASET]``; without a dataset, four pairs of the bundled recipe are rendered. The real
images are xBD's Harvey pairs where they lie beside the repository; without them only the rendered rows are printed.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mage.generator.generate import generate
from mage.scenes.dataset.index import open_dataset
from mage.scenes.dataset.png import decode_png
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.recipe import read_recipe

HARVEY = Path(__file__).resolve().parents[2] / "shared" / "data" / "damage" / "xbd_harvey"
BLOCK = 32  # pixels: 16 m at 0.5 m


def figures(image: NDArray[np.uint8]) -> list[float]:
    """Mean, spread and 1st percentile of luma, median saturation, power slopes at 0.01-0.1 and 0.1-0.4, block
    spread.
    """
    luma = image @ np.array([0.299, 0.587, 0.114])
    saturation = np.median(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1]) / 255
    side = min(luma.shape) // BLOCK * BLOCK
    blocks = luma[:side, :side].reshape(side // BLOCK, BLOCK, -1, BLOCK).mean(axis=(1, 3)).std()
    slopes = [power_slope(luma[:side, :side], low, high) for low, high in ((0.01, 0.1), (0.1, 0.4))]
    return [luma.mean(), luma.std(), np.percentile(luma, 1), float(saturation), *slopes, blocks]


def power_slope(luma: NDArray[np.float64], low: float, high: float) -> float:
    """Slope of log power over log frequency (cycles per pixel), Hann window, rings averaged."""
    side = len(luma)
    window = np.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.fft2((luma - luma.mean()) * window)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    edges = np.geomspace(low, high, 12)
    rings = [(a, b, (frequency >= a) & (frequency < b)) for a, b in pairwise(edges)]
    filled = [(np.sqrt(a * b), power[ring].mean()) for a, b, ring in rings if ring.any()]
    x, y = np.log(np.array(filled)).T
    return float(np.polyfit(x, y, 1)[0])


def rendered(root: Path, date: str) -> list[list[float]]:
    """Figures of every sample's image of one date."""
    rows = []
    for shard in open_dataset(root).shards:
        with TarIndex(root / "shards" / shard.name) as tar:
            rows += [figures(decode_png(tar.read(key, f"{date}.png"))) for key in tar.keys]
    return rows


def main() -> None:
    """Print medians, a row a source and date."""
    print(f"{'':<22}{'mean':>7}{'sd':>7}{'1 %':>7}{'sat.':>7}{'slope':>8}{'slope':>8}{'16 m sd':>9}")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch) / "dataset"
        if len(sys.argv) < 2:
            generate(read_recipe("flood"), root)
        tables = {f"MAGE {date}": rendered(root, date) for date in ("pre", "post")}
    for date in ("pre", "post"):
        files = sorted(HARVEY.glob(f"*_{date}.png"))
        pictures = [cv2.imread(str(f))[:, :, ::-1] for f in files]
        tiles = [
            np.ascontiguousarray(p[r : r + 512, c : c + 512]) for p in pictures for r in (0, 512) for c in (0, 512)
        ]
        if tiles:
            tables[f"xBD Harvey {date}"] = [figures(tile) for tile in tiles]
    for name, rows in tables.items():
        m = np.median(np.array(rows), axis=0)
        cells = f"{m[0]:7.0f}{m[1]:7.1f}{m[2]:7.0f}{m[3]:7.2f}{m[4]:8.1f}{m[5]:8.1f}{m[6]:9.1f}"
        print(f"{name:<22}{cells}")


if __name__ == "__main__":
    main()
