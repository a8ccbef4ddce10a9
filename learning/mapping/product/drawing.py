"""What the map sheet and the report draw alike: colours and their words, images made small, round lengths."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from mage.learning.mapping.areas import Area
from mage.learning.mapping.assessment import CELL
from mage.learning.mapping.findings import Access, Buildings, Event, Findings, Geometries, Kind, Product, Words
from mage.learning.mapping.picture import Picture
from mage.learning.mapping.product import names, styles
from mage.learning.mapping.summary import Row, passability
from mage.scenes.grid import Grid

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]

BLOCK = 2048  # pixels: about the side of what is read of an image at once
DOUBTFUL = 0.2  # P(blocked) from which on a road is not shown as open
UNLIKE = 0.1  # share of unlike windows to warn of: twice what is taken for unlike by mistake, as evaluations do
WARNING = "warning"  # the fact of a model that must be told with all that it says
UNSURE = 0.5  # registration's confidence below which images may not lie on each other


def _hex(colour: styles.Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


# as the layers are drawn in a GIS, the worst first
VERDICTS = {name: _hex(colour) for name, colour in styles.DAMAGE_COLOURS.items()}
POSSIBLY_CLOSED = "Possibly closed"
_PASSABLE = {name: _hex(colour) for name, colour in styles.PASSABLE_COLOURS.items()} | {POSSIBLY_CLOSED: "#ffec5c"}
_WORST = (names.CLOSED, names.TRUCK_ONLY, names.CAR_ONLY, POSSIBLY_CLOSED, names.OPEN, names.NOT_ANALYSED)
ROADS = {name: _PASSABLE[name] for name in _WORST}
EXTENTS = {what: (words, _hex(styles.OBSERVED_COLOURS[words])) for what, words in names.OBSERVED.items()}
DEBRIS_UNDER = "#dcc8ec"  # between the dots that debris is drawn with on paper: tints of it do not show on bare ground
HOT = "#d6007f"  # not the layers' red, which on one sheet would pass for a closed road
ROUTE, ISOLATED = (_hex(styles.CRISIS_COLOURS[name]) for name in (names.ROUTE, names.ISOLATED))
AREA, START = "#111111", "#0d7a6b"
SYMBOLS = {"hospital": "H", "clinic": "H", "fire_station": "F", "police": "P", "shelter": "S", "school": "E"}
PRODUCTS = {
    Product.FIRST_ESTIMATE: "First estimate product",
    Product.DELINEATION: "Delineation product",
    Product.GRADING: "Grading product",
}
KINDS = {Kind.EARTHQUAKE: "Earthquake", Kind.FLOOD: "Flood", Kind.WIND: "Storm", Kind.FIRE: "Fire"}
DISCLAIMER = (
    "Made automatically from images taken from above, without a check on the ground. Damage that cannot be seen from "
    "above, such as cracked walls and collapsed storeys under a whole roof, is not in it. Grades are a model's "
    "probabilities, and wrong for some buildings. Do not enter buildings, and do not call a place or a road safe, on "
    "the strength of this map alone."
)


class Small(NamedTuple):
    """An image made smaller: uint8 (rows, columns, 3), where any of it is data, and the grid of its pixels, which may
    reach beyond the image by less than one of them.
    """

    image: Bytes
    valid: Flags
    grid: Grid


def small(picture: Picture, window: tuple[slice, slice], longest: int) -> Small:
    """A window of a picture in red, green and blue, with at most ``longest`` pixels a side: means of whole blocks.

    A picture of one or two bands is grey; of more than three the first three are taken. It is read block by block, so
    that one larger than memory will do.
    """
    rows, columns = window
    height, width = rows.stop - rows.start, columns.stop - columns.start
    factor = math.ceil(max(height, width) / longest)
    shape = math.ceil(height / factor), math.ceil(width / factor)
    image, valid = np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool)
    step = max(BLOCK // factor, 1)
    for top in range(0, shape[0], step):
        for left in range(0, shape[1], step):
            block = tuple(
                slice(part.start + first * factor, min(part.start + (first + step) * factor, part.stop))
                for part, first in ((rows, top), (columns, left))
            )
            mean, there = _mean(*picture.read((block[0], block[1])), factor)
            image[top : top + step, left : left + step], valid[top : top + step, left : left + step] = mean, there
    corner = picture.grid.part(window)
    return Small(image, valid, Grid(*shape, corner.west, corner.north, corner.gsd * factor, corner.crs))


def _mean(image: Bytes, valid: Flags, factor: int) -> tuple[Bytes, Flags]:
    """Means over blocks of what is data in them, (rows, columns, 3); blocks at the far edges may be cut."""
    bands = image[:3] if len(image) >= 3 else np.repeat(image[:1], 3, 0)
    if factor == 1:
        return np.moveaxis(bands, 0, -1), valid
    height, width = (math.ceil(side / factor) for side in valid.shape)
    beyond = [(0, height * factor - valid.shape[0]), (0, width * factor - valid.shape[1])]

    def shrunk(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.resize(np.pad(values, beyond), (width, height), interpolation=cv2.INTER_AREA))

    share = shrunk(valid.astype(np.float32))
    total = np.stack([shrunk(np.where(valid, band, 0).astype(np.float32)) for band in bands], axis=-1)
    return np.rint(total / np.maximum(share, 1e-6)[..., None]).astype(np.uint8), share > 0


def verdict_counts(buildings: Buildings) -> dict[str, int]:
    """Buildings of each verdict, the worst first."""
    return {name: int((buildings.verdict == name).sum()) for name in VERDICTS}


def road_states(access: Access) -> Words:
    """In what state each edge is, (e,): a key of ``ROADS``. As of ``passability``, but that of the open ones those that
    may well be closed are told apart.
    """
    states = passability(access)
    doubtful = (states == names.OPEN) & (np.fmax(access.car, access.truck) >= DOUBTFUL)
    return np.asarray(np.where(doubtful, POSSIBLY_CLOSED, states))


def doubts(buildings: Buildings) -> NDArray[np.int64]:
    """Positions of the buildings that were graded, the one that is hardest to tell first."""
    known = np.flatnonzero(np.isfinite(buildings.entropy) & (buildings.verdict != names.NOT_ANALYSED))
    return known[np.argsort(-buildings.entropy[known], kind="stable")]


def likely_wrong(buildings: Buildings) -> float:
    """How many of the verdicts that commit themselves are expected to be wrong, if the probabilities mean what they
    say: each is wrong with one less the probability of the grades that it covers.
    """
    p = buildings.grades
    if not len(buildings):
        return 0.0
    right = {names.DESTROYED: p[:, -1], names.DAMAGED: 1 - p[:, 0], names.UNDAMAGED: p[:, 0]}
    return float(sum(np.nansum(1 - share[buildings.verdict == name]) for name, share in right.items()))


def is_cell(area: Area) -> bool:
    """Whether an area is a cell of a lattice, named as such, rather than one that people have a name for."""
    return re.fullmatch(r"[A-Z]+\d+ \(E-?\d+ N-?\d+\)", area.name) is not None


def area_group(area: Area) -> str:
    """What kind of area it is, in words."""
    return (
        f"Cells of {CELL:.0f} m by letter and number (south-west corner)"
        if is_cell(area)
        else "Areas with names of their own"
    )


def ranked(findings: Findings) -> list[tuple[int, Area]]:
    """Areas and their ranks, the most affected first: those with names of their own, then cells, each counted from 1,
    since a district always holds more than a cell.
    """
    named = [area for area in findings.areas if not is_cell(area)]
    squares = [area for area in findings.areas if is_cell(area)]
    return [*enumerate(named, 1), *enumerate(squares, 1)]


def tinted(findings: Findings) -> list[tuple[int, Area]]:
    """Damaged areas and their ranks that a first estimate fills with colour: cells, or the others where there are
    none.
    """
    shown = [(rank, area) for rank, area in ranked(findings) if area.damaged > 0]
    return [(rank, area) for rank, area in shown if is_cell(area)] or shown


def quantity(value: float, unit: str) -> str:
    """A figure of the summary table with its unit.

    >>> quantity(1234.0, "number"), quantity(12.345, "km"), quantity(0.0321, "ha")
    ('1,234', '12.3 km', '0.03 ha')
    """
    if unit == "number":
        return f"{value:,.0f}"
    return f"{value:,.1f} {unit}" if value >= 10 or value == 0 else f"{value:.2f} {unit}"


def by_probability(row: Row) -> str:
    """How much there is by the probabilities, with bounds; empty where nothing has any.

    >>> by_probability(Row("Built-up", "Destroyed", "number", 92.0, 740.0, 137.0, 171.0, 153.6))
    '154 (137–171)'
    """
    if row.expected is None or row.low is None or row.high is None:
        return ""
    return f"{row.expected:,.0f} ({row.low:,.0f}–{row.high:,.0f})"


def round_length(most: float) -> float:
    """The longest of 1, 2 and 5 times a power of ten that is not longer than ``most``.

    >>> [round_length(most) for most in (0.7, 19, 999)]
    [0.5, 10.0, 500.0]
    """
    power = 10.0 ** math.floor(math.log10(most) + 1e-12)
    return max(step * power for step in (1, 2, 5) if step * power <= most * (1 + 1e-12))


def true_north(grid: Grid) -> float | None:
    """Degrees clockwise from the top of the map to true north in the middle of a grid; None where it is nowhere on
    Earth.

    >>> true_north(Grid(10, 10, 500_000, 5_300_000, 1, "EPSG:32633"))
    0.0
    """
    if grid.crs is None:
        return None
    longitude, latitude = degrees(grid.centre, grid.crs)
    ahead = Transformer.from_crs("EPSG:4326", grid.crs, always_xy=True).transform(longitude, latitude + 1e-4)
    right, up = np.subtract(ahead, grid.centre)
    return round(math.degrees(math.atan2(right, up)), 1) + 0.0 if np.isfinite([right, up]).all() else None


def degrees(place: tuple[float, float], crs: str) -> tuple[float, float]:
    """Longitude and latitude, WGS 84, of a place on a map."""
    longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(*place)
    return float(longitude), float(latitude)


def title(event: Event) -> str:
    """Of the event in words."""
    return printable(event.name, 80) or KINDS[event.kind]


def version(event: Event) -> str:
    """Which product of the activation it is."""
    kind = f"Monitoring {event.monitoring:02d}, " if event.monitoring else ""
    return f"{kind}revision {event.revision}, version {event.version}"


def symbol(kind: str) -> str:
    """A facility's letter on the map."""
    return SYMBOLS.get(str(kind), "•")


def outlines_given(findings: Findings) -> bool:
    """Whether a file told where buildings are; else the model drew them."""
    return any(source.role == "buildings" for source in findings.sources)


def cautions(findings: Findings) -> Iterator[str]:
    """What must be known before anything else on the sheet is believed."""
    if findings.unlike is not None and findings.unlike >= UNLIKE:
        yield (
            f"{percent(findings.unlike)} of the image looks unlike what the model was trained on. Grades are less "
            "reliable than their probabilities say."
        )
    registration = findings.registration
    if registration is not None and not registration.confidence:
        yield (
            "Nothing in the two images matches: they may not show the same place. They were laid on each other as they "
            "are; the grades mean nothing until somebody has looked."
        )
    elif registration is not None and registration.confidence < UNSURE:
        yield "Whether the images lie on each other could not be established: displacement may be taken for damage."
    if warning := findings.model.get(WARNING):
        yield f"The model says of itself: {warning}"
    counts = verdict_counts(findings.buildings)
    share = counts[names.NOT_ANALYSED] / max(len(findings.buildings), 1)
    if share >= 0.2:
        yield f"{percent(share)} of the buildings could not be analysed: cloud, smoke, or beyond the image."


def situation(findings: Findings) -> str:
    """When the image after the event was taken."""
    taken = next((source.taken for source in findings.sources if source.role == "post"), None)
    return "Time of the image not stated" if taken is None else f"Situation as of {taken:%Y-%m-%d %H:%M} UTC"


def printable(text: str, longest: int) -> str:
    r"""Text of a user's file in one line, without control characters, cut where it is too long.

    >>> printable(" a\n\u202eb ", 20), printable("abcdef", 4)
    ('a b', 'abc…')
    """
    plain = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in str(text))
    line = " ".join(plain.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def extent_hectares(outlines: Geometries) -> float:
    """Area of all, each place counted once."""
    return float(shapely.area(shapely.union_all(outlines))) / 1e4 if len(outlines) else 0.0


def median_side(outlines: Geometries) -> float:
    """Metres: the root of the median area; 0 for none."""
    return math.sqrt(float(np.median(shapely.area(outlines)))) if len(outlines) else 0.0


def simplified(outlines: Geometries, tolerance: float) -> Geometries:
    """Outlines with fewer corners, moved by at most ``tolerance`` metres."""
    return np.asarray(shapely.simplify(outlines, tolerance)) if len(outlines) else outlines


def percent(share: float) -> str:
    """A share in words, without false precision.

    >>> percent(0.123), percent(0.004), percent(float("nan"))
    ('12 %', '0.4 %', '–')
    """
    if not math.isfinite(share):
        return "–"
    return f"{100 * share:.0f} %" if share >= 0.1 or share == 0 else f"{100 * share:.1f} %"


def length(metres: float) -> str:
    """A length in words.

    >>> length(0.5), length(200), length(2000), length(1234)
    ('0.5 m', '200 m', '2 km', '1.2 km')
    """
    return f"{metres:.3g} m" if metres < 1000 else f"{metres / 1000:.2g} km"
