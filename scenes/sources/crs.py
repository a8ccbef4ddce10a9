"""Coordinate reference systems of city files: their many spellings, and the frame in metres that a city is built in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from pyproj import CRS, Transformer
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info
from pyproj.exceptions import CRSError, ProjError

from mage.scenes.errors import CityError
from mage.scenes.sources.raw import Floats

WEB_MERCATOR = 3857  # its metres are longer than those on the ground by 1 / cos(latitude)
AT_THE_EDGE, AROUND = 0.5, 10.0  # degrees beyond the area that a CRS is made for
NOWHERE = (52.0, 5.0)  # degrees north and east: where the sun stands over a city that does not say where it is

# names without a code that real files hold
_COMMON_NAMES = {
    "CH1903": 21781,
    "CH1903/LV03": 21781,
    "CH1903+": 2056,
    "CH1903+/LV95": 2056,
    "ETRS89_UTM31": 25831,
    "ETRS89_UTM32": 25832,
    "ETRS89_UTM33": 25833,
    "DE_DHDN_3GK2": 31466,
    "DE_DHDN_3GK3": 31467,
    "DE_DHDN_3GK4": 31468,
    "DE_DHDN_3GK5": 31469,
    "RDNEW": 28992,
    "AMERSFOORT/RDNEW": 28992,
}
# EPSG:28992, urn:ogc:def:crs:EPSG::7415, urn:ogc:def:crs,crs:EPSG:6.12:25832,crs:EPSG:6.12:5783,
# http://www.opengis.net/def/crs/EPSG/0/28992, http://www.opengis.net/gml/srs/epsg.xml#25833
_CODE = re.compile(r"epsg(?:\.xml)?(?:[:/#]+[0-9.]*[:/#])?[:/#]*([0-9]{3,6})(?![0-9.])", re.IGNORECASE)


def parse_crs(name: str) -> CRS | None:
    """The CRS that a file names; None for a name that is not known, and for one without a map or a globe under it."""
    match = _CODE.search(name)
    code = int(match.group(1)) if match else _COMMON_NAMES.get(_plain(name))
    if code is None:
        return None
    try:
        crs = CRS.from_epsg(code)
    except CRSError:
        return None
    plane = horizontal(crs)
    return crs if plane.is_projected or plane.is_geographic else None


def horizontal(crs: CRS) -> CRS:
    """The part of a CRS that lies in the plane: RD New of RD New + NAP height."""
    while crs.is_compound:
        crs = crs.sub_crs_list[0]
    return crs.to_2d()


def _plain(name: str) -> str:
    """``urn:adv:crs:ETRS89_UTM32*DE_DHHN92_NH`` -> ``ETRS89_UTM32``; upper case, without spaces."""
    return name.rsplit(":", 1)[-1].split("*")[0].replace(" ", "").upper()[:40]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """How the points of a file become metres on a map.

    Attributes:
        crs: ``EPSG:28992`` or its like, or None when the source does not say.
        project: points (n, 3) in the file's coordinates to map coordinates in metres; infinite where there are none.
    """

    crs: str | None
    project: Callable[[Floats], Floats]

    def latitude_longitude(self, x: float, y: float) -> tuple[float, float]:
        """Degrees of a point of the map, or those of :data:`NOWHERE` when the city is nowhere on Earth."""
        if self.crs is None:
            return NOWHERE
        longitude, latitude = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True).transform(x, y)
        return float(latitude), float(longitude)


def choose_frame(names: Iterable[str], middle: Floats, notes: Counter[str]) -> Frame:
    """The frame of a file that mentions these CRS, and whose points lie around ``middle`` (3,).

    Degrees and feet are projected to the UTM zone of the middle. Axes come in the order of the CRS for degrees, and
    as east, north for all others, unless that leads out of the area that the CRS is made for and the other order
    does not. A name that is not known, no name, and a name that does not fit the coordinates all end in a frame
    without a CRS, counted in ``notes``.

    Raises:
        CityError: more than one CRS, or coordinates in degrees that no UTM zone holds.
    """
    names = list(dict.fromkeys(names))
    known = [crs for name in names if (crs := parse_crs(name)) is not None]
    planes = {horizontal(crs).to_string(): crs for crs in known}
    if len(planes) > 1:
        raise CityError("the file mixes coordinate systems", expected="one", found=" and ".join(sorted(planes)))
    if not planes:
        notes["unknown coordinate system, taken as metres" if names else "no coordinate system, taken as metres"] += 1
        return Frame(None, np.asarray)
    (crs,) = planes.values()
    order = _axis_order(horizontal(crs), middle)
    if order is None:
        if horizontal(crs).is_geographic:
            raise CityError("its degrees are not on Earth", expected=crs.name, found=_shown(middle))
        notes["coordinates outside the stated coordinate system, taken as metres"] += 1
        return Frame(None, np.asarray)
    if order != _expected_order(horizontal(crs)):
        notes["axes in the other order"] += 1
    return _projecting(crs, order, middle)


def _expected_order(crs: CRS) -> tuple[int, int]:
    """Which coordinate is east and which north: latitude comes first in geographic CRS, east in files of others."""
    return (1, 0) if crs.is_geographic and crs.axis_info[0].direction == "north" else (0, 1)


def _axis_order(plane: CRS, middle: Floats) -> tuple[int, int] | None:
    """Positions of the east and the north coordinate; None where neither order comes near the area of the CRS.

    Both orders are tried within the area before either is tried around it: files do use a zone beyond its edges.
    """
    expected = _expected_order(plane)
    orders = [expected, (expected[1], expected[0])]
    places = [_degrees(plane, middle[east], middle[north]) for east, north in orders]
    use = plane.area_of_use
    if use is None:
        return expected if np.isfinite(places[0]).all() else None
    area = (use.west, use.south, use.east, use.north)
    for margin in AT_THE_EDGE, AROUND:
        for order, (longitude, latitude) in zip(orders, places, strict=True):
            if _within(area, longitude, latitude, margin):
                return order
    return None


def _degrees(crs: CRS, east: float, north: float) -> tuple[float, float]:
    """Longitude and latitude; infinite where the coordinates are not on Earth."""
    try:
        longitude, latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(east, north)
    except ProjError:
        return np.inf, np.inf
    return (longitude, latitude) if abs(longitude) <= 360 and abs(latitude) <= 90 else (np.inf, np.inf)


def _within(area: tuple[float, float, float, float], longitude: float, latitude: float, margin: float) -> bool:
    west, south, east, north = area
    if east < west:  # across the date line
        east += 360
        longitude += 360 if longitude < west - margin else 0
    return west - margin <= longitude <= east + margin and south - margin <= latitude <= north + margin


def _projecting(crs: CRS, order: tuple[int, int], middle: Floats) -> Frame:
    plane = horizontal(crs)
    unit = plane.axis_info[0].unit_conversion_factor
    beside = unit if plane.is_projected else 1.0  # heights without a datum: in feet beside feet, else in metres
    up = crs.axis_info[2].unit_conversion_factor if len(crs.axis_info) > 2 else beside
    if plane.is_projected and unit == 1 and plane.to_epsg() != WEB_MERCATOR:
        return Frame(plane.to_string(), lambda points: points[:, [*order, 2]] * (1, 1, up))
    target = _utm(plane, middle[order[0]], middle[order[1]])
    transformer = Transformer.from_crs(plane, target, always_xy=True)

    def _project(points: Floats) -> Floats:
        east, north = transformer.transform(points[:, order[0]], points[:, order[1]])
        return np.column_stack([east, north, points[:, 2] * up])

    return Frame(target, _project)


def _utm(crs: CRS, east: float, north: float) -> str:
    longitude, latitude = _degrees(crs, east, north)
    if np.isfinite([longitude, latitude]).all():
        zones = query_utm_crs_info("WGS 84", AreaOfInterest(longitude, latitude, longitude, latitude))
        if zones:
            return f"EPSG:{zones[0].code}"
    raise CityError(
        "its coordinates lie in no UTM zone", expected="degrees of a city on Earth", found=f"{east}, {north}"
    )


def _shown(point: Floats) -> str:
    return ", ".join(f"{value:g}" for value in point)
