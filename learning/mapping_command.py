"""``mage map``: two GeoTIFFs in, a product for the field out; what it needs is imported only when it runs."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mage.learning import mapping_options as options
from mage.learning.names import Kind, Product
from mage.learning.options import DeviceName, say
from mage.scenes.errors import DatasetError

if TYPE_CHECKING:
    from datetime import datetime

    from mage.learning.mapping.findings import Findings
    from mage.learning.mapping.grader import Grader

CODE = re.compile(r"[A-Za-z0-9-]{1,20}")  # of an activation: names of layers are parted by underscores


def map_event(
    post: options.Post,
    out: options.Out,
    kind: options.Kind,
    pre: options.Pre = None,
    model: options.Model = None,
    product: options.Product = Product.GRADING,
    buildings: options.Buildings = None,
    roads: options.Roads = None,
    facilities: options.Facilities = None,
    areas: options.Areas = None,
    aoi: options.Aoi = None,
    terrain: options.Terrain = None,
    population: options.Population = None,
    corrections: options.Corrections = None,
    finetune: options.Finetune = None,
    before: options.Before = None,
    route: options.Route = None,
    name: options.Name = "",
    activation: options.Activation = "EMSR000",
    aoi_number: options.AoiNumber = 1,
    pre_date: options.PreDate = None,
    post_date: options.PostDate = None,
    gsd: options.Gsd = None,
    bands: options.Bands = None,
    reflectance: options.Reflectance = None,
    no_register: options.NoRegister = False,
    ecc: options.Ecc = False,
    window: options.Window = 1024,
    seed: options.Seed = 0,
    device: DeviceName = "auto",
) -> None:
    """Map an event from images after and before it: damaged buildings, hot spots, open roads, a report."""
    from mage.learning.mapping.findings import Event
    from mage.learning.mapping.inputs import Files, Request, ends_of
    from mage.learning.mapping.run import make_map
    from mage.learning.mapping.water import open_water

    vectors = {"buildings": buildings, "roads": roads, "facilities": facilities, "areas": areas, "aoi": aoi}
    further = {"terrain": terrain, "population": population, "corrections": corrections, "before": before}
    request = Request(
        Files(post, pre, **vectors, **further),
        Event(kind, name, _code(activation), aoi_number, product),
        gsd=_above_0(gsd, "no such pixel", "metres above 0 in --gsd"),
        bands=_numbers(bands),
        named=_named(bands),
        reflectance=_above_0(reflectance, "no such reflectance", "a value above 0 in --reflectance"),
        register=not no_register,
        ecc=ecc,
        route=None if route is None else ends_of(route),
        finetune=finetune,
        taken=_moments(pre=pre_date, post=post_date),
        window=window,
        seed=seed,
    )
    request.files.given()
    try:
        grader = _grader(model, pre, product, device)
        water = open_water(device) if kind is Kind.FLOOD else None
        findings = make_map(request, out, grader, water=water, progress=True, tell=say)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on")
        raise typer.Exit(130) from None
    for line in told(findings):
        say(line)
    typer.echo(str(out))


def told(findings: Findings) -> list[str]:
    """Sentences on what was found."""
    counts = Counter(findings.buildings.verdict.tolist())
    lines = [f"{len(findings.buildings)} buildings" + "".join(f", {n} {word}" for word, n in sorted(counts.items()))]
    if findings.registration is not None and findings.registration.confidence:
        (right, down), off = findings.registration.shift, findings.registration.residual
        known = f", known to {off:.1f} px" if math.isfinite(off) else ""
        lines.append(f"the image after lies {right:.1f} px right and {down:.1f} px down of the one before{known}")
    if findings.access is not None:
        closed = (findings.access.car >= 0.5).sum()
        lines.append(f"{closed} of {len(findings.access.roads)} road edges likely closed to cars")
        if findings.access.asked:
            way = findings.access.route
            lines.append("there is no way" if way is None else f"the way takes {way.seconds / 60:.0f} min")
    return lines


def _grader(model: Path | None, pre: Path | None, product: Product, device: str) -> Grader | None:
    """The model asked for, else the one that comes with MAGE, unless the event's outline alone is wanted of an image
    after it, which that one cannot look at.
    """
    from mage.learning.mapping.grader import open_grader

    if model is None and pre is None and product is Product.DELINEATION:
        say("no image before the event: its extent alone is mapped")
        return None
    return open_grader(model, device)


def _code(text: str) -> str:
    if CODE.fullmatch(text) is None:
        raise DatasetError("no such activation", expected="up to 20 letters, digits and hyphens", found=text[:40])
    return text


def _above_0(value: float | None, problem: str, expected: str) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise DatasetError(problem, expected=expected, found=f"{value}")
    return value


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """Bands that are stated by their numbers alone; None where they are named, or nothing is said."""
    if text is None or "=" in text:
        return None
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise DatasetError("no such bands", expected="numbers from 1, such as 3,2,1", found=text[:40])
    return tuple(int(part) for part in parts)


def _named(text: str | None) -> dict[str, int]:
    """Bands that are stated by name; none where they are not."""
    from mage.learning.mapping.bands import NAMES

    if text is None or "=" not in text:
        return {}
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = (word.strip() for word in part.partition("="))
        if name not in NAMES or name in found or not (number.isdecimal() and int(number) > 0):
            expected = f"{', '.join(NAMES)}, each once with a number from 1, such as red=3,green=2,blue=1,nir=4"
            raise DatasetError("no such bands", expected=expected, found=part[:40])
        found[name] = int(number)
    return found


def _moments(**given: str | None) -> dict[str, datetime]:
    from mage.learning.mapping.inputs import moment

    return {role: moment(text) for role, text in given.items() if text is not None}
