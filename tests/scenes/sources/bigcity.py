"""A CityGML file of any size: rows of houses 10 m apart, trees, roads of 20 lanes, and a relief in one piece.

Run as a program it reads such a file with a box around a few houses, and prints what it met and what that took.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

ROW = 400  # houses side by side
EAST, NORTH = 8500, 44700  # the first house's cell, in tens of metres
CRS = "EPSG:28992"
_HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?><CityModel xmlns="http://www.opengis.net/citygml/2.0"'
    ' xmlns:gml="http://www.opengis.net/gml" xmlns:bldg="http://www.opengis.net/citygml/building/2.0"'
    ' xmlns:gen="http://www.opengis.net/citygml/generics/2.0" xmlns:dem="http://www.opengis.net/citygml/relief/2.0"'
    ' xmlns:tran="http://www.opengis.net/citygml/transportation/2.0" xmlns:xlink="http://www.w3.org/1999/xlink"'
    ' xmlns:veg="http://www.opengis.net/citygml/vegetation/2.0">'
    f'<gml:boundedBy><gml:Envelope srsName="{CRS}" srsDimension="3"/></gml:boundedBy>\n'
)
_TREE = (
    '<cityObjectMember><veg:SolitaryVegetationObject gml:id="tree-@I"><veg:height uom="m">6.5</veg:height>'
    "<veg:lod1ImplicitRepresentation><ImplicitGeometry><relativeGMLGeometry><gml:MultiSurface>"
    "<gml:surfaceMember><gml:Polygon><gml:exterior><gml:LinearRing><gml:posList>-1 0 0 1 0 0 0 0 6.5 -1 0 0"
    "</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon></gml:surfaceMember></gml:MultiSurface>"
    "</relativeGMLGeometry><referencePoint><gml:Point><gml:pos>@E9.00 @N9.00 0</gml:pos></gml:Point>"
    "</referencePoint></ImplicitGeometry></veg:lod1ImplicitRepresentation></veg:SolitaryVegetationObject>"
    "</cityObjectMember>\n"
)
_ROAD = (
    '<tran:trafficArea><tran:TrafficArea gml:id="lane-@I"><tran:function>1</tran:function><tran:lod2MultiSurface>'
    "<gml:MultiSurface><gml:surfaceMember>{}</gml:surfaceMember></gml:MultiSurface></tran:lod2MultiSurface>"
    "</tran:TrafficArea></tran:trafficArea>\n"
)
_FACES = {  # a house of 8 x 6 m with a ridge, in its cell of 10 x 10 m
    "GroundSurface": [[(0, 0, 0), (0, 6, 0), (8, 6, 0), (8, 0, 0)]],
    "WallSurface": [
        [(0, 0, 0), (8, 0, 0), (8, 0, 4), (0, 0, 4)],
        [(8, 6, 0), (0, 6, 0), (0, 6, 4), (8, 6, 4)],
        [(8, 0, 0), (8, 6, 0), (8, 6, 4), (8, 3, 7), (8, 0, 4)],
        [(0, 6, 0), (0, 0, 0), (0, 0, 4), (0, 3, 7), (0, 6, 4)],
    ],
    "RoofSurface": [[(0, 0, 4), (8, 0, 4), (8, 3, 7), (0, 3, 7)], [(8, 6, 4), (0, 6, 4), (0, 3, 7), (8, 3, 7)]],
}


def _ring(points: Sequence[tuple[float, float, float]]) -> str:
    text = " ".join(f"@E{x:.3f} @N{y:.3f} {z:.3f}" for x, y, z in [*points, points[0]])
    return f"<gml:exterior><gml:LinearRing><gml:posList>{text}</gml:posList></gml:LinearRing></gml:exterior>"


def _house() -> str:
    faces = [(kind, points) for kind, all_points in _FACES.items() for points in all_points]
    bounded = "".join(
        f'<bldg:boundedBy><bldg:{kind} gml:id="{kind}-@I-{k}"><bldg:lod2MultiSurface><gml:MultiSurface>'
        f'<gml:surfaceMember><gml:Polygon gml:id="p-@I-{k}">{_ring(points)}</gml:Polygon></gml:surfaceMember>'
        f"</gml:MultiSurface></bldg:lod2MultiSurface></bldg:{kind}></bldg:boundedBy>\n"
        for k, (kind, points) in enumerate(faces)
    )
    linked = "".join(f'<gml:surfaceMember xlink:href="#p-@I-{k}"/>' for k in range(len(faces)))
    solid = f"<gml:Solid><gml:exterior><gml:CompositeSurface>{linked}</gml:CompositeSurface></gml:exterior></gml:Solid>"
    attribute = '<gen:stringAttribute name="owner"><gen:value>nobody @I</gen:value></gen:stringAttribute>'
    return (
        f'<cityObjectMember><bldg:Building gml:id="house-@I">{attribute}<bldg:measuredHeight>7</bldg:measuredHeight>'
        f"<bldg:lod2Solid>{solid}</bldg:lod2Solid>{bounded}</bldg:Building></cityObjectMember>\n"
    )


def _cells(template: str, size: int) -> Iterator[str]:
    """The template in one cell after another until it is so many characters."""
    written, number = 0, 0
    while written < size:
        row, column = divmod(number, ROW)
        text = template.replace("@E", str(EAST + column)).replace("@N", str(NORTH + row)).replace("@I", str(number))
        yield text
        written, number = written + len(text), number + 1


def pieces(size: int) -> Iterator[str]:
    """The file of about ``size`` characters in pieces: half of it houses, the rest in three equal parts."""
    lane = _ROAD.format(f"<gml:Polygon>{_ring([(0, 7, 0), (9, 7, 0), (9, 9, 0), (0, 9, 0)])}</gml:Polygon>")
    triangle = f"<gml:Triangle>{_ring([(0, 0, 0), (9, 0, 0), (0, 9, 0)])}</gml:Triangle>\n"
    yield _HEAD
    yield from _cells(_house(), size // 2)
    yield from _cells(_TREE, size // 6)
    yield from _cells(
        f'<cityObjectMember><tran:Road gml:id="road-@I">{lane * 20}</tran:Road></cityObjectMember>', size // 6
    )
    yield '<cityObjectMember><dem:ReliefFeature gml:id="relief"><dem:lod>1</dem:lod><dem:reliefComponent>'
    yield "<dem:TINRelief><dem:lod>1</dem:lod><dem:tin><gml:TriangulatedSurface><gml:trianglePatches>"
    yield from _cells(triangle, size // 6)
    yield "</gml:trianglePatches></gml:TriangulatedSurface></dem:tin></dem:TINRelief>"
    yield "</dem:reliefComponent></dem:ReliefFeature></cityObjectMember></CityModel>\n"


def write(path: Path, size: int) -> None:
    """Writes a file of about ``size`` bytes."""
    with path.open("w", encoding="utf-8") as stream:
        for piece in pieces(size):
            stream.write(piece)


def around_five_houses(crs: Sequence[str], points: np.ndarray) -> bool:
    """Whether the middle of an object lies where the third to the seventh house of the first row stand."""
    assert tuple(crs) == (CRS,)
    east, north = (points[:, :2].min(axis=0) + points[:, :2].max(axis=0)) / 2
    return bool(10 * (EAST + 2) < east < 10 * (EAST + 7) and 10 * NORTH < north < 10 * (NORTH + 1))


def _peak() -> int:
    """Most kilobytes of memory that this process has held; getrusage would count those of its parent at the fork."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))


def main(path: Path) -> None:
    """Reads the file in a process of its own."""
    from mage.scenes.sources.citygml.read import read_citygml

    before, started = _peak(), time.process_time()
    with path.open("rb") as stream:
        city = read_citygml(stream, around_five_houses)
    seconds = time.process_time() - started
    facts = {
        "buildings": [b.id for b in city.buildings],
        "features": [f.id for f in city.features],
        "notes": dict(city.notes),
        "grown": (_peak() - before) * 1024,
        "speed": path.stat().st_size / 1e6 / seconds,
    }
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
