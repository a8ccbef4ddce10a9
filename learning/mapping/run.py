"""``mage map`` as a function: from images and vector files to what was found, and to the files of a product."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely

from mage.learning.mapping.accessibility import find_access
from mage.learning.mapping.assessment import (
    beside_water,
    clustered,
    damage_density,
    drawn_outlines,
    judged,
    ranked,
    unknown,
)
from mage.learning.mapping.buildings import grade_footprints
from mage.learning.mapping.corrected_roads import Closures
from mage.learning.mapping.corrections import Corrections, apply_corrections, read_corrections
from mage.learning.mapping.findings import Access, Buildings, Facilities, Findings, Observed, Source
from mage.learning.mapping.folder import CARD, ProductFolder, open_product
from mage.learning.mapping.grader import Grader, check_dates
from mage.learning.mapping.inputs import Request, checksum, on_map, sources
from mage.learning.mapping.maps import write_classes, write_probabilities
from mage.learning.mapping.monitoring import differences, with_differences
from mage.learning.mapping.observed import observe
from mage.learning.mapping.population import read_population
from mage.learning.mapping.product.report import write_report
from mage.learning.mapping.product.sheet import write_sheet
from mage.learning.mapping.product.write import write_layers
from mage.learning.mapping.roads import Roads
from mage.learning.mapping.scene import Scene, Tell, open_scene
from mage.learning.mapping.unlike import share_unlike
from mage.learning.mapping.vector_inputs import Outlines, read_areas, read_buildings, read_facilities, read_roads
from mage.learning.runs import publish

MUCH = 0.5  # share of windows unlike the training from which on a user is told
LIBRARIES = ("mage-eo", "numpy", "torch", "rasterio", "shapely", "scipy", "pyproj", "pyogrio")


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vector files of a request; None for what was not given."""

    buildings: Outlines | None
    roads: Roads | None
    facilities: Facilities | None
    areas: tuple[list[shapely.Geometry], list[str]]
    corrections: Corrections | None


def make_map(
    request: Request, out: Path, grader: Grader | None, *, progress: bool = False, tell: Tell = lambda _: None
) -> Findings:
    """Map an event, and write the product into a folder.

    An interrupted run goes on: rasters that are whole are kept as long as images, model and options are those of
    before, and of the one that is not, its finished strips. The same inputs give the same files to the byte.

    Args:
        request: what is asked for.
        out: the folder: new, empty, or of such a product.
        grader: None looks at no building, which is enough for the extent of an event.
        progress: whether to show bars.
        tell: takes a sentence about what a user should know.

    Raises:
        MageError: a file cannot be read, files do not go together, or the product cannot be written.
    """
    if grader is not None:
        check_dates(grader, request.files.pre is not None)
    given = request.files.given()
    scene = open_scene(request, grader, tell)
    vectors = read_vectors(request, scene)
    folder = open_product(out)
    replaced = folder.begin()
    sums = {role: checksum(path) for role, path in given.items()}
    findings = find(request, scene, vectors, grader, folder, sums, progress=progress, tell=tell)
    tell("writing the product")
    files = write(findings, grader, folder)
    folder.finish(files, provenance(request, findings), replaced)
    return findings


def read_vectors(request: Request, scene: Scene) -> Vectors:
    """The vector files, before anything that takes long, so that a mistake in one is told at once.

    Raises:
        MageError: one cannot be read.
    """
    files, grid, area = request.files, scene.grid, scene.area
    return Vectors(
        None if files.buildings is None else read_buildings(files.buildings, grid, area),
        None if files.roads is None else read_roads(files.roads, grid, area),
        None if files.facilities is None else read_facilities(files.facilities, grid, area),
        ([], []) if files.areas is None else read_areas(files.areas, grid),
        None if files.corrections is None else read_corrections(files.corrections, grid),
    )


def find(
    request: Request,
    scene: Scene,
    vectors: Vectors,
    grader: Grader | None,
    folder: ProductFolder,
    sums: Mapping[str, str],
    *,
    progress: bool,
    tell: Tell,
) -> Findings:
    """All that is found of an event; rasters of it are written into the folder.

    Args:
        request: what is asked for.
        scene: its images.
        vectors: its vector files.
        grader: as of :func:`make_map`.
        folder: of the product.
        sums: checksums of the files that went in, by role.
        progress: as of :func:`make_map`.
        tell: likewise.
    """
    rasters = predicted(request, scene, grader, folder, sums, progress=progress)
    found = assessed(vectors.buildings, scene, grader, rasters.get("probabilities"))
    seen = observe(
        request.event,
        scene.pre,
        scene.clear,
        rasters.get("probabilities"),
        scene.grid,
        folder.path,
        terrain=request.files.terrain,
        buildings=found,
        progress=progress,
    )
    found = beside_water(found, seen, request.event, scene.grid)
    found, seen, closures, log = corrected(request, scene, vectors, found, seen)
    access, found = reached(request, scene, vectors, found, seen, closures)
    found = clustered(found)
    density, density_grid = damage_density(found, scene.grid)
    findings = Findings(
        event=request.event,
        grid=scene.grid,
        area=scene.area,
        seen=scene.sight.within(scene.area),
        sources=(*sources(request, sums, scene.gsd), *_of_model(grader)),
        pre=scene.pre,
        post=scene.post,
        registration=scene.registration,
        buildings=found,
        observed=seen,
        density=density,
        density_grid=density_grid,
        areas=ranked(found, *vectors.areas),
        access=access,
        population=None
        if request.files.population is None
        else read_population(request.files.population, scene.grid, scene.area, found, seen),
        unlike=unlike(scene, grader, tell),
        model={} if grader is None else grader.facts,
        rasters=rasters,
        corrections=log,
        versions=versions(),
    )
    return findings if request.files.before is None else monitored(findings, request.files.before)


def predicted(
    request: Request,
    scene: Scene,
    grader: Grader | None,
    folder: ProductFolder,
    sums: Mapping[str, str],
    *,
    progress: bool,
) -> dict[str, Path]:
    """The model's maps of a scene: ``probabilities`` and ``classes``; none without a model."""
    if grader is None:
        return {}
    identity = {
        "images": {role: sums[role] for role in ("pre", "post") if role in sums},
        "aoi": sums.get("aoi"),
        "model": None if grader.file is None else checksum(grader.file),
        "temperatures": str(grader.network.temperatures),
        "grid": str(scene.grid),
        "bands": request.bands,
        "register": [request.register, request.ecc],
        "window": request.window,
        "versions": versions(),
    }
    overlap = request.window // 16 * 2

    def stream(path: Path) -> Path:
        pictures = scene.shown(grader.network.dates)
        return write_probabilities(
            path,
            grader.forward,
            pictures,
            grader.names,
            identity,
            window=request.window,
            overlap=overlap,
            progress=progress,
        )

    likely = folder.step("probabilities.tif", identity, stream)
    likeliest = folder.step(
        "classes.tif", identity, lambda path: write_classes(path, likely, scene.grid, grader.grades)
    )
    return {"probabilities": likely, "classes": likeliest}


def assessed(given: Outlines | None, scene: Scene, grader: Grader | None, likely: Path | None) -> Buildings:
    """The buildings of a file, or those that the model sees, with a verdict each."""
    none = np.array([], "<U1")
    outlines = given
    if outlines is None and likely is not None:
        outlines = drawn_outlines(likely, scene.grid, scene.area)
    if outlines is None:
        outlines = Outlines(none, np.array([], object), none, none)
    if grader is None or likely is None:
        return judged(outlines, unknown(len(outlines)), scene.grid)
    graded = grade_footprints(likely, scene.grid, outlines.outline, grades=grader.grades)
    return judged(outlines, graded, scene.grid)


def corrected(
    request: Request, scene: Scene, vectors: Vectors, buildings: Buildings, observed: Observed
) -> tuple[Buildings, Observed, Closures | None, tuple[str, ...]]:
    """What was found, with an analyst's corrections and a line of each, if there are any."""
    if vectors.corrections is None:
        return buildings, observed, None, ()
    access, _ = reached(request, scene, vectors, buildings, observed, None)
    return apply_corrections(vectors.corrections, buildings, observed, vectors.roads, access)


def reached(
    request: Request,
    scene: Scene,
    vectors: Vectors,
    buildings: Buildings,
    observed: Observed,
    closures: Closures | None,
) -> tuple[Access | None, Buildings]:
    """Who can be reached over the roads, if there are any."""
    if vectors.roads is None:
        return None, buildings
    return find_access(
        vectors.roads,
        vectors.facilities,
        observed,
        buildings,
        scene.grid,
        scene.area,
        np.random.default_rng(request.seed),
        ends=None if request.route is None else on_map(request.route, scene.grid),
        stated=None if closures is None else (closures.car, closures.truck),
    )


def unlike(scene: Scene, grader: Grader | None, tell: Tell) -> float | None:
    """Share of the scene that looks unlike what the model was trained on; None where it cannot tell."""
    if grader is None or grader.density is None:
        return None
    share = share_unlike(grader.density, scene.shown(grader.network.dates))
    if share is not None and share >= MUCH:
        tell(f"{share:.0%} of the scene looks unlike what the model was trained on: be careful with its grades")
    return share


def monitored(findings: Findings, before: Path) -> Findings:
    """Findings as an update of an earlier product, numbered one higher, with what changed."""
    found = differences(before, findings)
    number = re.search(r"_MONIT(\d+)$", found.before)
    event = replace(findings.event, monitoring=1 + (int(number[1]) if number else 0))
    return with_differences(replace(findings, event=event), found)


def write(findings: Findings, grader: Grader | None, folder: ProductFolder) -> list[Path]:
    """The files of a product, but for its provenance; those that ``findings`` name among them."""
    files = [*findings.rasters.values(), *findings.observed.rasters.values()]
    if grader is not None and grader.card:
        publish(folder.path / CARD, grader.card.encode())
        files.append(folder.path / CARD)
    files += write_layers(findings, folder.path)
    files += write_sheet(findings, folder.path)
    return [*files, write_report(findings, folder.path)]


def provenance(request: Request, findings: Findings) -> dict[str, Any]:
    """What a product was made of and how, in JSON types, without a path or a time of this machine."""
    found, event, grid = findings.registration, findings.event, findings.grid
    return {
        "event": {name: getattr(event, name) for name in event.__dataclass_fields__},
        "sources": [
            {"role": s.role, "name": s.name, "sha256": s.sha256, "taken": s.taken and s.taken.isoformat(), "gsd": s.gsd}
            for s in findings.sources
        ],
        "model": dict(findings.model),
        "options": {
            "gsd": request.gsd,
            "bands": request.bands,
            "register": request.register,
            "ecc": request.ecc,
            "route": request.route,
            "window": request.window,
            "seed": request.seed,
        },
        "grid": {name: getattr(grid, name) for name in grid.__dataclass_fields__},
        "registration": None
        if found is None
        else {"shift": found.shift, "residual": _finite(found.residual), "confidence": found.confidence},
        "unlike": findings.unlike,
        "corrections": list(findings.corrections),
        "versions": dict(findings.versions),
    }


def versions() -> dict[str, str]:
    """Of the program and of what its figures depend on, by name."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # installed otherwise, or not needed here
            continue
    return found | {"GDAL": str(rasterio.__gdal_version__)}


def _of_model(grader: Grader | None) -> tuple[Source, ...]:
    if grader is None or grader.file is None:
        return ()
    return (Source("model", grader.file.name, checksum(grader.file), licence=grader.facts.get("licence", "")),)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
