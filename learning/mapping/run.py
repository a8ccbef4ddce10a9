"""``mage map`` as a function: from images and vector files to what was found, and to the files of a product."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

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
from mage.learning.mapping.findings import Access, Buildings, Facilities, Findings, Observed, Population, Source
from mage.learning.mapping.finetuning import finetune
from mage.learning.mapping.folder import CARD, WATER_CARD, ProductFolder, open_product
from mage.learning.mapping.grader import Grader, check_dates
from mage.learning.mapping.inputs import Request, checksum, on_map, sources
from mage.learning.mapping.maps import blocks, from_bytes, write_classes, write_probabilities
from mage.learning.mapping.monitoring import differences, earlier_product, with_differences
from mage.learning.mapping.observed import LOOKED_FOR, observe
from mage.learning.mapping.picture import Picture
from mage.learning.mapping.population import read_population
from mage.learning.mapping.product.drawing import UNLIKE
from mage.learning.mapping.product.raster_styles import write_raster_styles
from mage.learning.mapping.product.report import write_report
from mage.learning.mapping.product.sheet import write_sheet
from mage.learning.mapping.product.write import write_layers
from mage.learning.mapping.provenance import provenance, versions
from mage.learning.mapping.roads import Roads
from mage.learning.mapping.scene import Scene, Tell, open_scene
from mage.learning.mapping.unlike import share_unlike
from mage.learning.mapping.vector_inputs import (
    Outlines,
    Polygonal,
    read_areas,
    read_buildings,
    read_facilities,
    read_roads,
)
from mage.learning.mapping.water import WaterModel, open_water, water_maps
from mage.learning.names import Kind
from mage.learning.runs import RECORD, publish
from mage.learning.threshold import place_threshold
from mage.scenes.errors import DatasetError

EVEN = 1.001  # by less than this, pixels are not coarser
CACHE = 256  # MB of blocks that GDAL keeps; it would take a twentieth of the machine's memory


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vector files of a request; None for what was not given."""

    buildings: Outlines | None
    roads: Roads | None
    facilities: Facilities | None
    areas: tuple[list[Polygonal], list[str]]
    corrections: Corrections | None


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """All that went in, read.

    Attributes:
        request: what is asked for.
        grader: looks at buildings; None does not, which is enough for the extent of an event.
        water: looks for water; None where nothing asks for it, or infrared tells it.
        scene: the images.
        vectors: the vector files.
        sums: checksums of the files by role.
        progress: whether to show bars.
        tell: takes a sentence about what a user should know.
    """

    request: Request
    grader: Grader | None
    water: WaterModel | None
    scene: Scene
    vectors: Vectors
    sums: Mapping[str, str]
    progress: bool
    tell: Tell


def make_map(
    request: Request,
    out: Path,
    grader: Grader | None,
    *,
    water: WaterModel | None = None,
    progress: bool = False,
    tell: Tell = lambda _: None,
) -> Findings:
    """Map an event, and write the product into a folder.

    An interrupted run goes on: rasters that are whole are kept as long as images, model and options are those of
    before, and of the one that is not, its finished strips. The same inputs give the same files to the byte.

    Args:
        request: what is asked for.
        out: the folder: new, empty, or of such a product.
        grader: as of :class:`Task`.
        water: sees water where a flood is looked for, no infrared tells it, and the grader does not; None opens the
            model that comes with the package.
        progress: as of :class:`Task`.
        tell: likewise.

    Raises:
        MageError: a file cannot be read, files do not go together, or the product cannot be written.
    """
    with rasterio.Env(GDAL_CACHEMAX=CACHE):
        task = prepare(request, grader, water=water, progress=progress, tell=tell)
        folder = open_product(out)
        replaced = folder.begin(tell)
        findings = find(task, folder)
        tell("writing the product")
        files = write(findings, task, folder)
        folder.finish(files, provenance(request, findings), replaced)
    if request.finetune is not None:
        teach(task, findings, request.finetune)
    return findings


def prepare(
    request: Request,
    grader: Grader | None,
    *,
    water: WaterModel | None = None,
    progress: bool = False,
    tell: Tell = lambda _: None,
) -> Task:
    """Read all that goes in, so that a mistake in it is told before anything that takes long, and nothing is written;
    arguments are those of :func:`make_map`.

    Raises:
        MageError: a file cannot be read, or files do not go together.
    """
    files = request.files
    if grader is not None:
        check_dates(grader, files.pre is not None)
    if files.roads is None and request.route is not None:
        raise DatasetError("a route needs roads", expected="--roads")
    if request.finetune is not None and (files.corrections is None or grader is None):
        raise DatasetError("a model learns from corrections", expected="--corrections, and a model")
    given = files.given()
    taken = request.taken
    if "pre" in taken and "post" in taken and taken["pre"] > taken["post"]:
        found = f"{taken['pre']:%Y-%m-%d} and {taken['post']:%Y-%m-%d}"
        raise DatasetError("the image before was taken after the one after", found=found)
    if files.before is not None:
        earlier_product(files.before)
    scene = open_scene(request, grader, tell)
    grid, area = scene.grid, scene.area
    vectors = Vectors(
        None if files.buildings is None else read_buildings(files.buildings, grid, area),
        None if files.roads is None else read_roads(files.roads, grid, area),
        None if files.facilities is None else read_facilities(files.facilities, grid, area),
        ([], []) if files.areas is None else read_areas(files.areas, grid),
        None if files.corrections is None else read_corrections(files.corrections, grid),
    )
    for what, things in (("building", vectors.buildings), ("street", vectors.roads)):
        if things is not None and not len(things):
            tell(f"the file has no {what} on the map: it is empty, or its coordinates are of another place")
    sums = {role: checksum(path) for role, path in given.items()}
    wet = wanted_water(request, grader, scene)
    model = (water or open_water(_device(grader))) if wet else None
    if model is not None and scene.grid.gsd > model.gsd[1] * EVEN:
        tell(f"pixels of {scene.grid.gsd:.3g} m are coarser than the model of water knows: it errs more")
    return Task(request, grader, model, scene, vectors, sums, progress, tell)


def wanted_water(request: Request, grader: Grader | None, scene: Scene) -> dict[str, Picture]:
    """The images ``before`` and ``after`` in which the model of water must look: none where infrared tells it, where no
    flood is looked for, or where the grader has a map of it, unless depth wants the shores of before.
    """
    if request.event.kind is not Kind.FLOOD or scene.infrared is not None:
        return {}
    (pre, post), own = scene.looked_at, grader is not None and LOOKED_FOR[Kind.FLOOD] in grader.names
    found = {} if own else {"after": post}
    if pre is not None and (not own or request.files.terrain is not None):
        found["before"] = pre
    return found


def find(task: Task, folder: ProductFolder) -> Findings:
    """All that is found of an event; rasters of it are written into the folder.

    Raises:
        MageError: as of :func:`make_map`.
    """
    request, scene, event = task.request, task.scene, task.request.event
    rasters, threshold = predicted(task, folder)
    water = watered(task, folder)
    found = assessed(task, rasters.get("probabilities"), threshold)
    seen = observed(task, rasters.get("probabilities"), water, found, folder)
    found = beside_water(found, seen, event, scene.grid)
    found, seen, closures, log = corrected(task, found, seen)
    access, found = reached(task, found, seen, closures)
    found = clustered(found)
    density, density_grid = damage_density(found, scene.grid)
    findings = Findings(
        event=event,
        grid=scene.grid,
        area=scene.area,
        seen=scene.sight.within(scene.area),
        sources=(
            *sources(request, task.sums, scene.gsd),
            *_of_model("model", task.grader),
            *_of_model("water model", task.water),
        ),
        pre=scene.pre,
        post=scene.post,
        registration=scene.registration,
        buildings=found,
        observed=seen,
        density=density,
        density_grid=density_grid,
        areas=ranked(found, scene.area, *task.vectors.areas),
        access=access,
        population=people(task, found, seen),
        unlike=unlike(task),
        model={} if task.grader is None else task.grader.facts,
        water={} if task.water is None else task.water.facts,
        rasters=rasters | {f"water_{date}": path for date, path in water.items()},
        threshold=threshold,
        corrections=log,
        versions=versions(),
        footprints=scene.footprints,
    )
    return findings if request.files.before is None else monitored(findings, request.files.before)


def predicted(task: Task, folder: ProductFolder) -> tuple[dict[str, Path], float | None]:
    """The model's maps of a scene, ``probabilities`` and ``classes``, and from which probability on a pixel of this
    place counts as building; none without a model.
    """
    request, scene, grader = task.request, task.scene, task.grader
    if grader is None:
        return {}, None
    identity = _identity(task) | {
        "model": None if grader.file is None else checksum(grader.file),
        "temperatures": str(grader.network.temperatures),
    }

    def stream(path: Path) -> Path:
        pictures, overlap = scene.shown(grader.network.dates), request.window // 16 * 2
        return write_probabilities(
            path,
            grader.forward,
            pictures,
            grader.names,
            identity,
            window=request.window,
            overlap=overlap,
            stride=grader.stride,
            progress=task.progress,
        )

    def draw(path: Path) -> Path:
        return write_classes(path, likely, scene.grid, grader.grades, threshold=threshold)

    likely = folder.step("probabilities.tif", identity, stream)
    threshold = place_threshold(1 - from_bytes(values[0]) for _, values in blocks(likely))
    return {
        "probabilities": likely,
        "classes": folder.step("classes.tif", identity | {"threshold": threshold}, draw),
    }, threshold


def _identity(task: Task) -> dict[str, Any]:
    """What a model's maps depend on beside the model."""
    request = task.request
    return {
        "images": {role: task.sums[role] for role in ("pre", "post") if role in task.sums},
        "grid": str(task.scene.grid),
        "bands": [request.bands, list(request.named.items())],
        "register": [request.register, request.ecc],
        "window": request.window,
        "versions": versions(),
    }


def watered(task: Task, folder: ProductFolder) -> dict[str, Path]:
    """Maps of water in the images ``before`` and ``after`` that the model of water must look at."""
    if task.water is None:
        return {}
    pictures = wanted_water(task.request, task.grader, task.scene)
    return water_maps(
        task.water, pictures, _identity(task), folder.step, window=task.request.window, progress=task.progress
    )


def assessed(task: Task, likely: Path | None, threshold: float | None) -> Buildings:
    """The buildings of a file, or those that the model sees, with a verdict each."""
    grid, outlines = task.scene.grid, task.vectors.buildings
    if outlines is None and likely is not None and threshold is not None:
        outlines = drawn_outlines(likely, grid, task.scene.area, threshold)
    if outlines is None:
        none = np.array([], "<U1")
        outlines = Outlines(none, np.array([], object), none, none)
    if task.grader is None or likely is None:
        return judged(outlines, unknown(len(outlines)), grid)
    return judged(outlines, grade_footprints(likely, grid, outlines.outline, grades=task.grader.grades), grid)


def observed(
    task: Task, likely: Path | None, water: Mapping[str, Path], buildings: Buildings, folder: ProductFolder
) -> Observed:
    """The event as the images show it."""
    pre, post = task.scene.looked_at
    return observe(
        task.request.event,
        pre,
        post,
        likely,
        task.scene.grid,
        folder.path,
        terrain=task.request.files.terrain,
        buildings=buildings,
        bands=task.scene.telling,
        water=water,
        progress=task.progress,
    )


def corrected(
    task: Task, buildings: Buildings, seen: Observed
) -> tuple[Buildings, Observed, Closures | None, tuple[str, ...]]:
    """What was found, with an analyst's corrections and a line of each, if there are any."""
    if task.vectors.corrections is None:
        return buildings, seen, None, ()
    access, _ = reached(task, buildings, seen, None)
    return apply_corrections(task.vectors.corrections, buildings, seen, task.vectors.roads, access)


def reached(
    task: Task, buildings: Buildings, seen: Observed, closures: Closures | None
) -> tuple[Access | None, Buildings]:
    """Who can be reached over the roads, if there are any."""
    request, scene, vectors = task.request, task.scene, task.vectors
    if vectors.roads is None:
        return None, buildings
    return find_access(
        vectors.roads,
        vectors.facilities,
        seen,
        buildings,
        scene.grid,
        scene.area,
        np.random.default_rng(request.seed),
        ends=None if request.route is None else on_map(request.route, scene.grid),
        stated=None if closures is None else (closures.car, closures.truck),
    )


def people(task: Task, buildings: Buildings, seen: Observed) -> Population | None:
    """People in the area and those affected, if a raster tells."""
    path = task.request.files.population
    return None if path is None else read_population(path, task.scene.grid, task.scene.area, buildings, seen)


def unlike(task: Task) -> float | None:
    """Share of the scene that looks unlike what the model was trained on; None where it cannot tell."""
    grader = task.grader
    if grader is None or grader.density is None:
        return None
    share = share_unlike(grader.density, task.scene.shown(grader.network.dates))
    if share is not None and share >= UNLIKE:
        task.tell(f"{share:.0%} of the scene looks unlike what the model was trained on: be careful with its grades")
    return share


def monitored(findings: Findings, before: Path) -> Findings:
    """Findings as an update of an earlier product, numbered one higher, with what changed."""
    found = differences(before, findings)
    number = re.search(r"_MONIT(\d+)$", found.before)
    event = replace(findings.event, monitoring=1 + (int(number[1]) if number else 0))
    return with_differences(replace(findings, event=event), found)


def teach(task: Task, findings: Findings, out: Path) -> None:
    """Train the model further on the corrections, into a run; one that was interrupted goes on."""
    grader = task.grader
    assert grader is not None, "there is a model to correct"
    finetune(
        grader.network,
        task.scene.shown(grader.network.dates),
        task.scene.grid,
        assessed(task, findings.rasters["probabilities"], findings.threshold),
        findings.buildings,
        out,
        seed=task.request.seed,
        device=_device(grader),
        resume=(out / RECORD).is_file(),
        progress=task.progress,
    )
    task.tell(f"the corrected model: --model {out}")


def write(findings: Findings, task: Task, folder: ProductFolder) -> list[Path]:
    """The files of a product, but for its provenance; those that ``findings`` name among them."""
    files = [*findings.rasters.values(), *findings.observed.rasters.values()]
    files += write_raster_styles(files)
    for name, model in ((CARD, task.grader), (WATER_CARD, task.water)):
        if model is not None and model.card:
            publish(folder.path / name, model.card.encode())
            files.append(folder.path / name)
    files += write_layers(findings, folder.path)
    files += write_sheet(findings, folder.path)
    return [*files, write_report(findings, folder.path)]


def _of_model(role: str, model: Grader | WaterModel | None) -> tuple[Source, ...]:
    if model is None or model.file is None:
        return ()
    return (Source(role, model.file.name, checksum(model.file), licence=model.facts.get("licence", "")),)


def _device(grader: Grader | None) -> str:
    return "auto" if grader is None else next(grader.network.parameters()).device.type
