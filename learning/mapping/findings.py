"""What was found of one event in one area: the nouns between the steps that find it and the files that show it.

Geometries are in the frame of the working grid, metres. What was not looked for is None; an empty array says that it
was looked for and is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from mage.learning.mapping.access import Route
from mage.learning.mapping.areas import Area
from mage.learning.mapping.hotspots import HotSpots
from mage.learning.mapping.picture import Picture
from mage.learning.mapping.register import Registration
from mage.learning.mapping.roads import Roads
from mage.learning.names import Kind as Kind
from mage.learning.names import Product as Product
from mage.scenes.errors import ModelError
from mage.scenes.grid import Grid

if TYPE_CHECKING:
    from mage.learning.mapping.monitoring import Differences

Floats = NDArray[np.float64]
Geometries = NDArray[np.object_]
Words = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Event:
    """The event and the product that is made of it.

    Attributes:
        kind: of what struck.
        name: in words, for titles; may be empty.
        activation: Copernicus' or a user's own code, such as EMSR385.
        aoi: number of the area of interest, from 1.
        product: which one is made.
        monitoring: number of the monitoring update, from 1; 0 for the first product.
        revision, version: of the product, from 1.
    """

    kind: Kind
    name: str = ""
    activation: str = "EMSR000"
    aoi: int = 1
    product: Product = Product.GRADING
    monitoring: int = 0
    revision: int = 1
    version: int = 1


@dataclass(frozen=True, slots=True)
class Source:
    """A file that went in.

    Attributes:
        role: pre, post, buildings, roads, facilities, terrain, population, areas, model, water model or corrections.
        name: of the file, without its folder.
        sha256: of its content.
        taken: when it was sensed, UTC; None where nobody said.
        gsd: metres of a pixel; None for what has none.
        licence: as the user or the file states it; empty where not known.
    """

    role: str
    name: str
    sha256: str
    taken: datetime | None = None
    gsd: float | None = None
    licence: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Buildings:
    """n buildings and what became of them.

    Attributes:
        identity: (n,) of each, unique: the file's own where it has them, else numbered from north to south.
        outline: (n,) polygons.
        kind, name: (n,) what the file says of their use, and what they are called; empty where it does not.
        located: (n,) mean probability that a building is there; NaN where nothing of it is known.
        grades: (n, grades) calibrated probabilities, from no damage to destroyed; NaN where not known.
        entropy: (n,) of the grades, 0 to 1; NaN where not known.
        valid: (n,) share of the outline that could be looked at.
        verdict: (n,) Copernicus EMS ``damage_gra``.
        method: (n,) ``det_method``: "Automatic extraction", or "Photo-interpretation" where somebody corrected it.
        hot: where damage clusters; None before that was asked.
        reached: (n,) probability that a rescue vehicle gets there; None where there are no roads.
        seconds: (n,) from the nearest start over roads likely to be open, infinite where cut off; None likewise.
        previous: (n,) verdict in the product that this one updates, empty for a building that was not in it; None where
            it updates none.
        change: (n,) since then, see :data:`~mage.learning.mapping.monitoring.CHANGES`; None likewise.
    """

    identity: Words
    outline: Geometries
    kind: Words
    name: Words
    located: Floats
    grades: Floats
    entropy: Floats
    valid: Floats
    verdict: Words
    method: Words
    hot: HotSpots | None = None
    reached: Floats | None = None
    seconds: Floats | None = None
    previous: Words | None = None
    change: Words | None = None

    def __post_init__(self) -> None:
        """Raises ModelError where the arrays do not fit together."""
        for name in ("identity", "kind", "name", "located", "grades", "entropy", "valid", "verdict", "method"):
            found = len(getattr(self, name))
            if found != len(self.outline):
                raise ModelError(f"'{name}' does not fit the buildings", expected=f"{len(self)}", found=f"{found}")

    def __len__(self) -> int:
        return len(self.outline)

    @property
    def damaged(self) -> Floats:
        """(n,) probability of being damaged at all; NaN where not known."""
        return 1 - self.grades[:, 0]

    @property
    def points(self) -> Floats:
        """(n, 2) a place within each."""
        return shapely.get_coordinates(shapely.point_on_surface(self.outline)).reshape(-1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Extent:
    """Where one thing was observed: m polygons.

    Attributes:
        what: "flood", "burn" or "debris".
        outline: (m,) polygons.
        value: (m,) mean depth in metres of flood, severity 0-1 of burn, probability of debris; NaN where not known.
        words: (m,) Copernicus EMS ``obj_desc``.
    """

    what: str
    outline: Geometries
    value: Floats
    words: Words


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """The event as the images show it.

    Attributes:
        extents: one for each thing that was looked for, empty ones among them.
        rasters: files of the product on the working grid by what they show: flood (probability), depth (m), burn
            (severity 0-1), debris (probability).
    """

    extents: tuple[Extent, ...]
    rasters: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Facilities:
    """m places that matter to a rescue.

    Attributes:
        points: (m, 2) metres.
        kind: (m,) OpenStreetMap's ``amenity`` or the file's own word: hospital, clinic, fire_station, shelter ...
        name: (m,).
    """

    points: Floats
    kind: Words
    name: Words

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True, slots=True, eq=False)
class Access:
    """Who can be reached over e road edges.

    Attributes:
        roads: the network, which may reach beyond the area.
        car, truck: (e,) probability that the vehicle cannot pass; NaN where nothing is known.
        starts: positions of the nodes that help comes from: facilities, and where roads enter the area.
        facilities: None where no file was given.
        before, now: (n,) seconds to each node from the nearest start, with all roads open and with those open that
            likely are; infinite where cut off.
        reached: (n,) probability that a node is reached.
        isolated: (k,) outlines of parts of the area that are likely cut off.
        route: between the two places that were asked for; None where none were, or there is no way.
        asked: whether a route was asked for.
        stated: (e,) whether somebody said of an edge whether it is closed; None where nobody corrected any.
    """

    roads: Roads
    car: Floats
    truck: Floats
    starts: NDArray[np.int64]
    facilities: Facilities | None
    before: Floats
    now: Floats
    reached: Floats
    isolated: Geometries
    route: Route | None = None
    asked: bool = False
    stated: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """People in the area.

    Attributes:
        total: in the area.
        affected: in what the event covers or beside damaged buildings, see :mod:`~mage.learning.mapping.population`.
    """

    total: float
    affected: float


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """All that was found, for the files that show it.

    Attributes:
        event: what struck and which product is made.
        grid: the working grid.
        area: the area of interest.
        seen: the part of it that all images show.
        sources: files that went in.
        pre, post: the images, registered, on the working grid; ``pre`` None where there was none.
        registration: of the post image; None without a pre image.
        buildings, observed: see there.
        density: (rows, columns) expected damaged buildings per square kilometre on ``density_grid``.
        areas: most affected first, cells and, where a file was given, administrative areas, which have names of theirs.
        access, population: None where no file was given.
        unlike: share of windows that look unlike what the model was trained on; None where the model cannot tell.
        model: what the model says of itself, by name.
        water: what the model says of itself that saw water; empty where none looked for it.
        rasters: files of the product by name: probabilities, classes, water_before, water_after.
        threshold: probability from which a pixel of this place counts as building; None without a model.
        corrections: log of an analyst's edits, a line each.
        versions: of the program and its libraries, by name.
        differences: to the product that this one updates; None where it updates none.
        footprints: outlines of the whole images by role, "pre" and "post", on the map; none where it is nowhere on
            Earth.
    """

    event: Event
    grid: Grid
    area: shapely.Polygon | shapely.MultiPolygon
    seen: shapely.Polygon | shapely.MultiPolygon
    sources: tuple[Source, ...]
    pre: Picture | None
    post: Picture
    registration: Registration | None
    buildings: Buildings
    observed: Observed
    density: NDArray[np.float32]
    density_grid: Grid
    areas: tuple[Area, ...]
    access: Access | None
    population: Population | None
    unlike: float | None
    model: Mapping[str, str]
    rasters: Mapping[str, Path]
    threshold: float | None = None
    corrections: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    differences: Differences | None = None
    footprints: Mapping[str, shapely.Polygon] = field(default_factory=dict)
    water: Mapping[str, str] = field(default_factory=dict)
