"""Houses in closed form, and the same houses written as CityJSON, CityJSONSeq and CityGML."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

Point = tuple[float, float, float]
Face = tuple[str, list[list[Point]]]  # a surface's type, its outer ring and its holes
X, Y = 85_000.0, 447_000.0  # a place in RD New (EPSG:28992)


def box(x: float, y: float, w: float, d: float, z: float, h: float) -> list[Face]:
    """A box with outward faces: w * d * h cubic metres."""
    a, b, c, e = (x, y), (x + w, y), (x + w, y + d), (x, y + d)
    walls = [
        ("WallSurface", [[(*p, z), (*q, z), (*q, z + h), (*p, z + h)]]) for p, q in ((a, b), (b, c), (c, e), (e, a))
    ]
    bottom = ("GroundSurface", [[(*p, z) for p in (a, e, c, b)]])
    return [bottom, *walls, ("RoofSurface", [[(*p, z + h) for p in (a, b, c, e)]])]


def gabled(x: float, y: float, w: float, d: float, z: float, eave: float, ridge: float) -> list[Face]:
    """A house with its ridge along x: w * d * (eave + ridge) / 2 cubic metres."""
    lo, hi, top = z, z + eave, z + ridge
    a, b, c, e = (x, y), (x + w, y), (x + w, y + d), (x, y + d)
    m, n = (x, y + d / 2, top), (x + w, y + d / 2, top)
    return [
        ("GroundSurface", [[(*p, lo) for p in (a, e, c, b)]]),
        ("WallSurface", [[(*a, lo), (*b, lo), (*b, hi), (*a, hi)]]),
        ("WallSurface", [[(*c, lo), (*e, lo), (*e, hi), (*c, hi)]]),
        ("WallSurface", [[(*b, lo), (*c, lo), (*c, hi), n, (*b, hi)]]),
        ("WallSurface", [[(*e, lo), (*a, lo), (*a, hi), m, (*e, hi)]]),
        ("RoofSurface", [[(*a, hi), (*b, hi), n, m]]),
        ("RoofSurface", [[(*c, hi), (*e, hi), m, n]]),
    ]


def courtyard(x: float, y: float, side: float, hole: float, z: float, h: float) -> list[Face]:
    """A square block around a square yard: (side² - hole²) * h cubic metres; roof and ground have a hole."""
    outer, k = box(x, y, side, side, z, h), (side - hole) / 2
    inner = box(x + k, y + k, hole, hole, z, h)
    faces = []
    for (kind, rings), (_, holes) in zip(outer, inner, strict=True):
        if kind == "WallSurface":
            faces += [(kind, rings), (kind, [holes[0][::-1]])]
        else:
            faces.append((kind, [rings[0], holes[0][::-1]]))
    return faces


def inside_out(faces: Iterable[Face]) -> list[Face]:
    """The same surfaces seen from within."""
    return [(kind, [ring[::-1] for ring in rings]) for kind, rings in faces]


def cityjson_geometry(faces: Sequence[Face], vertices: list[Any], lod: Any, kind: str, labels: bool = True) -> Any:
    """A CityJSON geometry; its integer vertices (millimetres from X, Y) are added to the list."""

    def index(point: Point) -> int:
        vertices.append([round((point[0] - X) * 1000), round((point[1] - Y) * 1000), round(point[2] * 1000)])
        return len(vertices) - 1

    surfaces: Any = [[[index(p) for p in ring] for ring in rings] for _, rings in faces]
    values: Any = list(range(len(faces)))
    boundaries = {"MultiSurface": surfaces, "Solid": [surfaces], "MultiSolid": [[surfaces]]}[kind]
    values = {"MultiSurface": values, "Solid": [values], "MultiSolid": [[values]]}[kind]
    geometry = {"type": kind, "lod": lod, "boundaries": boundaries}
    if labels:
        geometry["semantics"] = {"surfaces": [{"type": name} for name, _ in faces], "values": values}
    return geometry


def cityjson(
    houses: dict[str, Sequence[Face]],
    *,
    version: str = "2.0",
    lod: Any = "2",
    kind: str = "Solid",
    labels: bool = True,
    crs: str | None = "https://www.opengis.net/def/crs/EPSG/0/7415",
    attributes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A CityJSON document of one building a house."""
    vertices: list[Any] = []
    objects = {
        name: {
            "type": "Building",
            "attributes": attributes or {},
            "geometry": [cityjson_geometry(faces, vertices, lod, kind, labels)],
        }
        for name, faces in houses.items()
    }
    return {
        "type": "CityJSON",
        "version": version,
        "metadata": {"referenceSystem": crs} if crs else {},
        "transform": {"scale": [0.001, 0.001, 0.001], "translate": [X, Y, 0.0]},
        "CityObjects": objects,
        "vertices": vertices,
    }


def cityjson_seq(houses: dict[str, Sequence[Face]], version: str = "2.0") -> str:
    """The same as a sequence: a header, then a feature a line with vertices of its own."""
    header = cityjson({}, version=version)
    lines = [header]
    for name, faces in houses.items():
        document = cityjson({name: faces})
        feature = {"type": "CityJSONFeature", "id": name}
        lines.append({**feature, "CityObjects": document["CityObjects"], "vertices": document["vertices"]})
    return "\n".join(json.dumps(line) for line in lines) + "\n"


def ring(points: Sequence[Point], *, pos: bool = False, closed: bool = True) -> str:
    """A gml:LinearRing."""
    points = [*points, points[0]] if closed else points
    texts = [" ".join(f"{value:.9f}" for value in point) for point in points]
    body = "".join(f"<gml:pos>{t}</gml:pos>" for t in texts) if pos else f"<gml:posList>{' '.join(texts)}</gml:posList>"
    return f"<gml:LinearRing>{body}</gml:LinearRing>"


def polygon(rings: Sequence[Sequence[Point]], name: str = "", **how: bool) -> str:
    """A gml:Polygon."""
    outer, *holes = (ring(r, **how) for r in rings)
    inner = "".join(f"<gml:interior>{hole}</gml:interior>" for hole in holes)
    identity = f' gml:id="{name}"' if name else ""
    return f"<gml:Polygon{identity}><gml:exterior>{outer}</gml:exterior>{inner}</gml:Polygon>"


def members(items: Iterable[str]) -> str:
    """gml:surfaceMember around each."""
    return "".join(f"<gml:surfaceMember>{item}</gml:surfaceMember>" for item in items)


def solid(faces: Sequence[Face], lod: int, **how: bool) -> str:
    """A bldg:lodNSolid that holds its polygons itself."""
    inside = members(polygon(rings, **how) for _, rings in faces)
    shell = f"<gml:exterior><gml:CompositeSurface>{inside}</gml:CompositeSurface></gml:exterior>"
    return f"<bldg:lod{lod}Solid><gml:Solid>{shell}</gml:Solid></bldg:lod{lod}Solid>"


def multi_surface(inside: str) -> str:
    """A bldg:lod2MultiSurface of the building itself."""
    return f"<bldg:lod2MultiSurface>{inside}</bldg:lod2MultiSurface>"


def bounded(faces: Sequence[Face], prefix: str = "", **how: bool) -> str:
    """bldg:boundedBy for every face, its polygon named ``prefix`` and its position."""
    text = ""
    for k, (kind, rings) in enumerate(faces):
        inside = members([polygon(rings, f"{prefix}{k}" if prefix else "", **how)])
        surface = f"<bldg:lod2MultiSurface><gml:MultiSurface>{inside}</gml:MultiSurface></bldg:lod2MultiSurface>"
        text += f"<bldg:boundedBy><bldg:{kind}>{surface}</bldg:{kind}></bldg:boundedBy>"
    return text


def linked_solid(names: Iterable[str]) -> str:
    """A bldg:lod2Solid that points to polygons by their names."""
    inside = "".join(f'<gml:surfaceMember xlink:href="#{name}"/>' for name in names)
    shell = f"<gml:exterior><gml:CompositeSurface>{inside}</gml:CompositeSurface></gml:exterior>"
    return f"<bldg:lod2Solid><gml:Solid>{shell}</gml:Solid></bldg:lod2Solid>"


MODULES = {
    "bldg": "building",
    "brid": "bridge",
    "con": "construction",
    "dem": "relief",
    "frn": "cityfurniture",
    "gen": "generics",
    "grp": "cityobjectgroup",
    "luse": "landuse",
    "tran": "transportation",
    "tun": "tunnel",
    "veg": "vegetation",
    "wtr": "waterbody",
}


def city_model(
    members: Iterable[str], *, version: str = "2.0", crs: str | None = "EPSG:28992", prolog: str = ""
) -> str:
    """A CityModel of city objects; the core's namespace is both the default one and ``core``."""
    inside = "".join(f"<cityObjectMember>{member}</cityObjectMember>" for member in members)
    envelope = f'<gml:boundedBy><gml:Envelope srsName="{crs}"/></gml:boundedBy>' if crs else ""
    base, gml = "http://www.opengis.net/citygml", "http://www.opengis.net/gml" + ("/3.2" if version == "3.0" else "")
    modules = " ".join(f'xmlns:{prefix}="{base}/{name}/{version}"' for prefix, name in MODULES.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{prolog}<CityModel xmlns="{base}/{version}"'
        f' xmlns:core="{base}/{version}" xmlns:gml="{gml}" xmlns:xlink="http://www.w3.org/1999/xlink" {modules}>'
        f"{envelope}{inside}</CityModel>"
    )


def citygml(
    buildings: dict[str, str], *, version: str = "2.0", crs: str | None = "EPSG:28992", prolog: str = ""
) -> str:
    """A CityModel of buildings, each given by the XML inside of it."""
    members = [f'<bldg:Building gml:id="{name}">{body}</bldg:Building>' for name, body in buildings.items()]
    return city_model(members, version=version, crs=crs, prolog=prolog)


def multi(faces: Iterable[Sequence[Sequence[Point]]], name: str = "") -> str:
    """A gml:MultiSurface of polygons."""
    identity = f' gml:id="{name}"' if name else ""
    return f"<gml:MultiSurface{identity}>{members(polygon(rings) for rings in faces)}</gml:MultiSurface>"


def implicit(geometry: str, place: Point, matrix: str = "") -> str:
    """A core:ImplicitGeometry at a place."""
    return (
        f"<core:ImplicitGeometry>{f'<core:transformationMatrix>{matrix}</core:transformationMatrix>' if matrix else ''}"
        f"{geometry}<core:referencePoint><gml:Point><gml:pos>{' '.join(map(str, place))}</gml:pos></gml:Point>"
        "</core:referencePoint></core:ImplicitGeometry>"
    )


def relative(geometry: str, link: str = "") -> str:
    """The library object of an implicit geometry: geometry in metres, or a link to such."""
    href = f' xlink:href="#{link}"' if link else ""
    return f"<core:relativeGMLGeometry{href}>{geometry}</core:relativeGMLGeometry>"
