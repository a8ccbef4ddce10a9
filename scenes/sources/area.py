"""The part of a source that is asked for: a box in degrees, or in the coordinates of the city's map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pyproj import CRS, Transformer

from mage.scenes.errors import CityError
from mage.scenes.sources.crs import Frame, choose_frame
from mage.scenes.sources.raw import Floats

METRES_PER_DEGREE = 111_320.0  # of latitude; of longitude at the equator
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Area:
    """A box: west, south, east, north.

    Degrees (longitude and latitude, WGS 84) where all four are within 180 and 90; else metres on the city's own map,
    as ``mage info`` prints its extent.
    """

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def of(cls, box: Box) -> Area:
        """The area of a box.

        Raises:
            CityError: numbers that are not finite, or a box without an inside.
        """
        if not np.isfinite(box).all() or not (box[0] < box[2] and box[1] < box[3]):
            raise CityError("bad bounds", expected="west < east and south < north", found=", ".join(map(str, box)))
        return cls(*box)

    @property
    def in_degrees(self) -> bool:
        """Whether the box is in longitude and latitude."""
        return max(abs(self.west), abs(self.east)) <= 180 and max(abs(self.south), abs(self.north)) <= 90

    @property
    def degrees(self) -> Box:
        """The box in longitude and latitude.

        Raises:
            CityError: it is in metres.
        """
        if not self.in_degrees:
            raise CityError(
                "bounds in metres",
                expected="west, south, east, north in degrees: OpenStreetMap has no map of its own",
                found=str(self.box),
            )
        return self.box

    @property
    def box(self) -> Box:
        """(west, south, east, north) as given."""
        return self.west, self.south, self.east, self.north

    def grown(self, metres: float) -> Area:
        """The area with a margin on every side."""
        if not self.in_degrees:
            x = y = metres
        else:
            y = metres / METRES_PER_DEGREE
            x = y / max(np.cos(np.radians(max(abs(self.south), abs(self.north)))), 0.01)
        box = np.add(self.box, (-x, -y, x, y))
        if self.in_degrees:
            box = np.clip(box, (-180, -90, -180, -90), (180, 90, 180, 90))
        return Area(*box.tolist())

    def on_map(self, crs: str | None) -> Box:
        """The box in the coordinates of a map; the box itself where the map is nowhere on Earth."""
        if not self.in_degrees or crs is None:
            return self.box
        transformer = Transformer.from_crs(CRS("EPSG:4326"), crs, always_xy=True)
        return tuple(transformer.transform_bounds(*self.box))  # type: ignore[return-value]


class Keeper:
    """Decides for a reader which objects lie in an area, as soon as it has read them."""

    def __init__(self, area: Area) -> None:
        self._area = area
        self._known: dict[tuple[str, ...], tuple[Frame, Box]] = {}

    def __call__(self, names: Sequence[str], points: Floats) -> bool:
        """Whether the box around points (n, 3) meets the area; ``names`` are the CRS that the file has mentioned."""
        points = points[np.isfinite(points).all(axis=1)]
        if not len(points):
            return True  # left to the reader, which counts it
        key = tuple(names)
        if key not in self._known:
            frame = choose_frame(key, np.median(points, axis=0), Counter())
            self._known[key] = frame, self._area.on_map(frame.crs)
        frame, (west, south, east, north) = self._known[key]
        extreme = points[np.concatenate([points[:, :2].argmin(axis=0), points[:, :2].argmax(axis=0)])]
        x, y = frame.project(extreme)[:, :2].T
        return bool(x.min() <= east and x.max() >= west and y.min() <= north and y.max() >= south)
