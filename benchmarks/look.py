"""Colour statistics of rendered places beside real imagery of the same kind: a table, a figure, sheets of pictures.

Run: ``python benchmarks/look.py [FOLDER [KIND ...]]``. Renders a tile of each of two cities of each kind of place (or
of those named) into ``FOLDER`` (default ``out/look``) as far as they are not there yet, writes side-by-side sheets and
``look.svg`` beside them, and prints the table. Real images are used where they lie beside the repository.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from gallery import DATA, GSD, HATAY, TURKOGLU, ZURICH, mosaic
from numpy.typing import NDArray

from mage.generator.photography import Studio, lands, photograph_date
from mage.generator.plan import ShardJob, make_plan
from mage.generator.sample import draw_sample
from mage.generator.sensors import expose, sample_radiometry
from mage.generator.shards import change_event, open_studio
from mage.scenes.dataset.png import encode_png
from mage.scenes.recipe import read_recipe

Picture = NDArray[np.uint8]

SIDE, BLOCK = 512, 32  # pixels of a tile, and of a block of 16 m
SAMPLES = 4  # a pixel, denoised
CITIES = 2  # of a kind; tiles of one city are too much alike
LEAST = 160  # pixels of the smaller side of a picture that is measured
NAMES = ("mean", "sd", "16 m sd", "1 %", "sat.", "coarse", "fine", "shadow", "in roof", "roofs")
TARGETS, WITHIN = (0, 1, 2), 0.2  # which of these shall agree, and how closely


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of place: how it is made, on which date's image, and the real images of it with their GSD in metres."""

    style: str
    radiometry: str
    day: str
    real: tuple[tuple[str, float], ...]
    date: str = "pre"


# days are those that leaves and shadows of the real images speak for: half of Harvey's trees are bare before, and
# houses of one storey in Ida-BD throw shadows as long as they are high
HARVEY = [f"damage/xbd_harvey/0000000{i}" for i in range(3)]
ADIYAMAN = "damage/turkey_eq_2023/adiyaman_merkez_6_pre.jpg"
KINDS = {
    "suburb, Harvey before": Kind("suburb", "xbd", "2023-02-25", tuple((f"{n}_pre.png", 0.5) for n in HARVEY[:2])),
    "suburb, Harvey after": Kind(
        "suburb", "xbd", "2023-08-31", tuple((f"{n}_post.png", 0.5) for n in HARVEY[:2]), "post"
    ),
    "inner suburb, Harvey before": Kind("inner-suburb", "xbd", "2023-02-25", ((f"{HARVEY[2]}_pre.png", 0.5),)),
    "inner suburb, Harvey after": Kind("inner-suburb", "xbd", "2023-08-31", ((f"{HARVEY[2]}_post.png", 0.5),), "post"),
    "suburb, Ida-BD": Kind(
        "suburb", "idabd", "2023-10-15", tuple((f"damage/idabd/{n}_pre.png", 0.5) for n in ("1-3", "1-4"))
    ),
    "mediterranean, Türkiye": Kind(
        "mediterranean", "turkiye", "2023-09-15", ((HATAY, 0.5), (ADIYAMAN, 0.5), (TURKOGLU, 0.5))
    ),
    "informal, Kampala": Kind("informal", "airborne", "2023-06-14", (("buildings/fair_kampala/img", 0.0746),)),
    "european suburb, Zürich": Kind("european-suburb", "airborne", "2023-06-14", ((ZURICH, 0.5),)),
    "european, Zürich and PDOK": Kind(
        "european", "airborne", "2023-06-14", ((ZURICH, 0.5), ("unlabelled/nl_pdok_tile.tif", 0.25))
    ),
    "downtown, Harvey": Kind("downtown", "xbd", "2023-04-14", ((f"{HARVEY[2]}_pre.png", 0.5),)),
}


def figures(image: Picture, buildings: NDArray[np.integer] | None = None) -> list[float]:
    """The :data:`NAMES` of an image: luma's mean, spread, spread of blocks and 1st percentile, median saturation, power
    slopes at 0.01-0.1 and 0.1-0.4 cycles per pixel, share darker than half the median, luma's median spread within
    buildings and the spread of their medians.
    """
    luma = image @ np.array([0.299, 0.587, 0.114])
    saturation = np.median(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1]) / 255
    rows, columns = (n // BLOCK * BLOCK for n in luma.shape)
    blocks = luma[:rows, :columns].reshape(rows // BLOCK, BLOCK, -1, BLOCK).mean(axis=(1, 3)).std()
    square = luma[: min(luma.shape), : min(luma.shape)]
    slopes = [power_slope(square, low, high) for low, high in ((0.01, 0.1), (0.1, 0.4))]
    shadow = (luma < 0.5 * np.median(luma)).mean()
    roofs = (np.nan, np.nan) if buildings is None else roof_spreads(luma, buildings)
    return [luma.mean(), luma.std(), blocks, np.percentile(luma, 1), float(saturation), *slopes, float(shadow), *roofs]


def roof_spreads(luma: NDArray[np.float64], buildings: NDArray[np.integer]) -> tuple[float, float]:
    """Luma's median spread within buildings, and the spread of their medians; NaN for fewer than five."""
    within, middle = [], []
    for number in range(1, int(buildings.max(initial=0)) + 1):
        inside = luma[buildings == number]
        if inside.size > 150:
            within.append(inside.std())
            middle.append(np.median(inside))
    return (float(np.median(within)), float(np.std(middle))) if len(within) >= 5 else (np.nan, np.nan)


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


def render(kinds: list[Kind], folder: Path) -> None:
    """Render what is not there yet of kinds of place: each city is built once for all kinds of its style."""
    for style in dict.fromkeys(kind.style for kind in kinds):
        for seed in range(CITIES):
            studio: Studio | None = None
            for kind in kinds:
                image, outlines = files(kind, folder, seed)
                if kind.style != style or (image.exists() and outlines.exists()):
                    continue
                job = sample_job(kind, seed)
                studio = open_studio(job, threads=2) if studio is None else change_event(studio, job)
                picture, drawn = photographed(job, kind.date, studio)
                image.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(image), picture[:, :, ::-1])
                cv2.imwrite(str(outlines), drawn)


def files(kind: Kind, folder: Path, seed: int) -> tuple[Path, Path]:
    """Where the image of a kind of place in one city is, and the outlines that annotators would have drawn before."""
    root = folder / f"{kind.style}-{kind.radiometry}-{kind.day}"
    return root / f"{kind.date}-{seed}.png", root / f"{kind.date}-{seed}-outlines.png"


def sample_job(kind: Kind, seed: int) -> ShardJob:
    """A job of one sample of a kind of place, in the city of that number."""
    sets = {"city.style": kind.style, "radiometry": kind.radiometry, "light.pre": kind.day, "light.post": kind.day}
    sets["label_style"] = "annotator"  # real masks run on under crowns and a pixel or so beside the walls
    sizes = {"city.seed": seed, "count": 1, "output.size": SIDE, "output.gsd": GSD, "render.spp": SAMPLES}
    return make_plan(read_recipe("flood", sets | sizes | {"seed": seed})).jobs[0]


def photographed(job: ShardJob, date: str, studio: Studio) -> tuple[Picture, NDArray[np.integer]]:
    """One date of a job's sample as :func:`mage.generator.shards.render_sample` has it, and annotators' outlines; the
    other date is not rendered.
    """
    draft = draw_sample(job, 0, studio.place, studio.basis)
    k = ("pre", "post").index(date)
    reflected = photograph_date(draft, k, studio, lands(draft, studio)[k], {})
    rng = job.rng(0, 1 + k)
    image = expose(reflected, sample_radiometry(rng, job.recipe.radiometry), rng)
    return image, draft.labels["pre_annotated"]


def rendered(kind: Kind, folder: Path) -> list[tuple[Picture, NDArray[np.integer]]]:
    """Images of a kind of place, one of each city, and the outlines in them."""
    found = [files(kind, folder, seed) for seed in range(CITIES)]
    return [(cv2.imread(str(image))[:, :, ::-1], cv2.imread(str(o), cv2.IMREAD_UNCHANGED)) for image, o in found]


def real(kind: Kind) -> list[tuple[Picture, NDArray[np.integer] | None]]:
    """Tiles of the real images of a kind of place at 0.5 m, with the regions of their label masks where they have
    some; none where the images are absent.
    """
    tiles: list[tuple[Picture, NDArray[np.integer] | None]] = []
    for name, gsd in kind.real:
        path = DATA / name
        if not path.exists():
            continue
        picture = mosaic(path) if path.is_dir() else cv2.imread(str(path))[:, :, ::-1]
        if gsd != GSD:
            picture = cv2.resize(picture, None, fx=gsd / GSD, fy=gsd / GSD, interpolation=cv2.INTER_AREA)
        picture = picture[~(picture == 0).all(axis=(1, 2))][:, ~(picture == 0).all(axis=(0, 2))]  # without black rims
        mask = path.with_name(f"{path.stem}_mask.png")
        regions = _regions(mask) if mask.exists() else None
        for top in range(0, picture.shape[0], SIDE):
            for left in range(0, picture.shape[1], SIDE):
                cut = np.s_[top : top + SIDE, left : left + SIDE]
                tile = np.ascontiguousarray(picture[cut])
                if min(tile.shape[:2]) >= min(LEAST, *picture.shape[:2]):
                    tiles.append((tile, None if regions is None else regions[cut]))
    return tiles


def _regions(mask: Path) -> NDArray[np.integer]:
    labelled = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    return np.asarray(cv2.connectedComponents((labelled > 0).astype(np.uint8))[1])


def sheet(ours: list[Picture], others: list[Picture]) -> Picture:
    """A row of rendered pictures above a row of as many real ones, where there are so many."""
    rows = []
    for caption, pictures in (("rendered", ours), ("real", others[:: max(len(others) // CITIES, 1)][:CITIES])):
        cells = [_cell(p, caption) for p in pictures]
        cells += [np.full((SIDE + 26, SIDE + 4, 3), 255, np.uint8)] * (CITIES - len(cells))
        rows.append(np.concatenate(cells, axis=1))
    return np.concatenate(rows)


def _cell(picture: Picture, caption: str) -> Picture:
    cell = np.full((SIDE + 26, SIDE + 4, 3), 255, np.uint8)
    cell[24 : 24 + picture.shape[0], 2 : 2 + picture.shape[1]] = picture
    cv2.putText(cell, caption, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
    return cell


def chart(table: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]) -> str:
    """An SVG of what shall agree: a bar from the lowest to the highest real tile and a tick at their median, the band
    that is within reach of it, and a dot for what is rendered.
    """
    left, wide, high, gap = 190, 190, 26, 34
    panels, parts = [(i, NAMES[i]) for i in TARGETS], []
    for panel, (column, title) in enumerate(panels):
        x0 = left + panel * (wide + gap)
        top = max(max(np.nanmax(r[:, column]), np.nanmax(o[:, column])) for o, r in table.values()) * 1.05

        def at(value: float, x0: int = x0, top: float = top) -> float:
            return x0 + wide * value / top

        parts.append(f'<text x="{x0}" y="16" font-weight="bold">{title}</text>')
        for row, (name, (ours, others)) in enumerate(table.items()):
            y = 40 + row * high
            if panel == 0:
                parts.append(f'<text x="4" y="{y + 4}">{name}</text>')
            own, middle = np.median(ours[:, column]), np.median(others[:, column])
            low, up = others[:, column].min(), others[:, column].max()
            good = abs(own / middle - 1) <= WITHIN
            span = 2 * WITHIN * middle
            parts += [
                f'<rect x="{at(middle * (1 - WITHIN)):.1f}" y="{y - 8}" width="{wide * span / top:.1f}" height="16"'
                ' fill="#dfe7ee"/>',
                f'<path d="M{at(low):.1f} {y}H{at(up):.1f}M{at(middle):.1f} {y - 7}V{y + 7}" stroke="#5b7083"'
                ' stroke-width="2"/>',
                f'<circle cx="{at(own):.1f}" cy="{y}" r="4.5" fill="{"#2a8f5b" if good else "#cc4b2c"}"/>',
            ]
    width, height = left + len(panels) * (wide + gap), 40 + len(table) * high
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
    return f'{head} font-size="12"><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'


def line(name: str, values: NDArray[np.float64]) -> str:
    """A row of the table, in Markdown."""
    cells = [
        f"{v:.{d}f}" if np.isfinite(v) else "" for v, d in zip(values, (0, 1, 1, 0, 2, 1, 1, 2, 0, 0), strict=True)
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print medians, a row a source and kind."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out/look")
    names, table = sys.argv[2:] or list(KINDS), {}
    render([KINDS[name] for name in names], folder)
    print("| | " + " | ".join(NAMES) + " |\n|" + "---|" * (len(NAMES) + 1))
    for name in names:
        ours, others = rendered(KINDS[name], folder), real(KINDS[name])
        own = np.array([figures(*tile) for tile in ours])
        print(line(name, np.median(own, axis=0)))
        if others:
            theirs = np.array([figures(*tile) for tile in others])
            known = np.isfinite(theirs).any(axis=0)  # roofs where there are masks
            middle = np.full(len(NAMES), np.nan)
            middle[known] = np.nanmedian(theirs[:, known], axis=0)
            print(line("real", middle))
            table[name] = own, theirs
        picture = sheet([p for p, _ in ours], [p for p, _ in others])
        (folder / f"{name}.png").write_bytes(encode_png(picture))
    if table:
        (folder / "look.svg").write_text(chart(table), encoding="utf-8")


if __name__ == "__main__":
    main()
