"""What the date does to plants: leaves of deciduous trees, green of grass, the crop on each field.

Figures are judgement unless a source is named: good to a week or two and to the eye, no model of a year's weather.
There is no snow.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Climate = Literal["temperate", "summer-dry", "summer-humid"]

YEAR = 365.25
TROPIC, WINTER_GREEN = 23.5, 38.0  # degrees: all broadleaved trees keep their leaves, and none does
FROSTY = 34.0  # degrees from which on all lawns of a humid summer rest in winter
OLIVES = 0.45  # least share of broadleaved trees that keep their leaves where summers are dry: olive, oak, citrus, bay
# day of the year in the middle of leaf-out and of leaf-fall at 48 degrees, as phenological gardens in central Europe
# see them, and how they shift for each degree towards the pole: two days, half of what Hopkins found in North America
# (1920, "The bioclimatic law"), since Europe's springs come faster
LEAF_OUT, LEAF_FALL, MIDDLE = 112.0, 308.0, 48.0
OUT_SHIFT, FALL_SHIFT = 2.0, -1.5
APART = 8.0  # days: standard deviation of trees of one place about them
TURNING, FRESH = 24.0, 20.0  # days before its leaf-fall that a tree turns, and after leaf-out that it stays pale
COLDEST, DRIEST = 25.0, 222.0  # days of the year, on the northern half
# days before leaf-fall that leaves begin to grow dull, and for how long they do, stay so and, on evergreens, renew
OLD, AGEING = 90.0, (0.0, 45.0, 110.0, 200.0)
GROWN = 10.0  # days: standard deviation of fields of one crop about its calendar


class Crop(IntEnum):
    """What grows on a field."""

    MEADOW = 0
    CEREAL = 1  # sown in autumn
    MAIZE = 2  # and whatever else is sown in spring


class Stage(IntEnum):
    """How a field looks from above."""

    GREEN = 0
    SEEDLINGS = 1
    RIPE = 2
    STUBBLE = 3
    SOIL = 4


# first day of the year of each stage at 50 degrees north, in outline as in the calendars for central Europe that the
# Foreign Agricultural Service of the USDA publishes; the last of them lasts into the next year
_CALENDAR: dict[Crop, tuple[tuple[float, Stage], ...]] = {
    Crop.CEREAL: (
        (75, Stage.GREEN),
        (172, Stage.RIPE),
        (207, Stage.STUBBLE),
        (248, Stage.SOIL),
        (300, Stage.SEEDLINGS),
    ),
    Crop.MAIZE: (
        (140, Stage.SEEDLINGS),
        (168, Stage.GREEN),
        (252, Stage.RIPE),
        (280, Stage.STUBBLE),
        (305, Stage.SOIL),
    ),
}
_CROPS = (0.3, 0.4, 0.3)  # shares of fields of each
_CALENDAR_SHIFT = 2.5  # days later for each degree beyond 50


@dataclass(frozen=True, slots=True)
class Season:
    """A date at a place.

    Attributes:
        day: of the year as it is lived there: half a year on, south of the equator.
        latitude: degrees from the equator, never negative.
        climate: ``summer-dry`` as around the Mediterranean; ``summer-humid`` as in the south-east of North America and
            in Japan, where lawns are of grasses that rest in winter, straw from the first frost on; or ``temperate``.
    """

    day: float
    latitude: float
    climate: Climate = "temperate"

    @classmethod
    def of(cls, when: date, latitude: float, climate: Climate = "temperate") -> Season:
        """The season of a date at a latitude in degrees, negative in the south."""
        half = YEAR / 2 if latitude < 0 else 0.0
        return cls((when.timetuple().tm_yday - 1 + half) % YEAR, abs(latitude), climate)

    @property
    def deciduous(self) -> float:
        """Share of broadleaved trees that lose their leaves, 0-1: none in the tropics, all from 38 degrees on."""
        share = float(np.clip((self.latitude - TROPIC) / (WINTER_GREEN - TROPIC), 0, 1))
        return min(share, 1 - OLIVES) if self.climate == "summer-dry" else share

    @property
    def dull(self) -> float:
        """How far grass has paled in the cold, or gone to rest, 0-1."""
        if self.climate == "summer-humid":  # at rest from the first frosts to March, and quite green in May
            # frosts are rare near the sea: Houston's lawns of late February, sRGB 90, 112, 70 (xBD, Harvey), are green
            frosty = float(np.clip((self.latitude - TROPIC) / (FROSTY - TROPIC), 0, 1)) ** 3
            return frosty * _bell(self.day, COLDEST, 45.0)
        cold = float(np.clip((self.latitude - 28) / 22, 0, 1)) * (0.2 if self.climate == "summer-dry" else 1.0)
        return cold * _bell(self.day, COLDEST, 62.0)

    @property
    def dry(self) -> float:
        """How far grass has dried to straw, 0-1."""
        heat = 1.0 if self.climate == "summer-dry" else 0.18 * float(self.latitude > TROPIC)
        return heat * _bell(self.day, DRIEST, 60.0)

    @property
    def olive(self) -> float:
        """How far leaves have lost their summer's green to age and dust, 0-1; long before they turn."""
        old = _since(self.day, LEAF_FALL + FALL_SHIFT * (self.latitude - MIDDLE) - OLD)
        return float(np.interp(old, AGEING, (0, 1, 1, 0))) if self.latitude > TROPIC else 0.0

    def leaves(self, offsets: Floats) -> tuple[NDArray[np.bool_], Floats, Floats]:
        """Deciduous trees: which have leaves, bool (n,), how far those have turned (0-1) and how fresh they are (0-1).

        ``offsets`` (n,) are days by which each tree is later than the mean, about :data:`APART` either way.
        """
        beyond = self.latitude - MIDDLE
        since_out = _since(self.day, LEAF_OUT + OUT_SHIFT * beyond + offsets)
        until_fall = _since(LEAF_FALL + FALL_SHIFT * beyond + 1.5 * offsets, self.day)
        length = _since(LEAF_FALL + FALL_SHIFT * beyond + 1.5 * offsets, LEAF_OUT + OUT_SHIFT * beyond + offsets)
        leafy = since_out < length
        turned = np.where(leafy, np.clip(1.15 - until_fall / TURNING, 0, 1), 0.0)
        fresh = np.where(leafy, np.clip(1 - since_out / FRESH, 0, 1), 0.0)
        return leafy, turned, fresh

    def stage(self, crop: Crop, later: float = 0.0) -> Stage:
        """How a field of a crop looks that is ``later`` days behind the calendar; always green in the tropics, and a
        meadow anywhere.
        """
        if crop == Crop.MEADOW or self.latitude < TROPIC:
            return Stage.GREEN
        shift = _CALENDAR_SHIFT * (min(self.latitude, 62.0) - 50) + later
        calendar = _CALENDAR[crop]
        day = (self.day - shift) % YEAR
        begun = [stage for start, stage in calendar if start <= day]
        return begun[-1] if begun else calendar[-1][1]


def tree_years(n: int) -> tuple[Floats, Floats]:
    """What makes trees of a city differ, the same at every date: a number in [0, 1) by which a tree is evergreen or
    not, and the days by which it is later than the mean, (n,) each.
    """
    rng = np.random.default_rng(1920)
    return rng.random(n), rng.normal(0, APART, n)


def crop_of(field: int) -> tuple[Crop, float]:
    """The crop of a city's field by its number, and the days by which it is behind the calendar; the same at every
    date.
    """
    rng = np.random.default_rng([1840, field])
    return Crop(int(rng.choice(len(_CROPS), p=_CROPS))), float(rng.normal(0, GROWN))


def _since(later: Floats | float, earlier: Floats | float) -> Floats:
    """Days from one day of the year to the next time that another comes."""
    return np.asarray((np.asarray(later) - earlier) % YEAR, float)


def _bell(day: float, middle: float, width: float) -> float:
    """1 at a day of the year, falling off on both sides around the year."""
    away = (day - middle + YEAR / 2) % YEAR - YEAR / 2
    return float(np.exp(-0.5 * (away / width) ** 2))
