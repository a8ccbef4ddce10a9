"""The layers of a product as arrays: what was found, under the names and attributes of Copernicus EMS.

A first estimate (FEP) has sources, areas, footprints, the observed event and what is most affected; a delineation (DEL)
also the assets and the table, without grades; a grading (GRA) everything. Layers of what was not looked for are not
there, of what was not found they are empty. Attributes that the service does not know are ours: probabilities,
statistics, access.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from mage.learning.mapping.findings import Findings, Geometries, Product, Source
from mage.learning.mapping.product import names
from mage.learning.mapping.product.assets import GRADE_FIELDS, built_up, facilities, transportation
from mage.learning.mapping.product.changes import changes
from mage.learning.mapping.product.table import AREA, LINE, Layer, number, polygons, source_of, text, whole
from mage.learning.mapping.summary import HECTARE, summary

ASSETS = ("builtUp", "facilities", "transportation")
AROUND = 25.0  # metres about a hot building that belong to its hot spot


def layers(findings: Findings) -> tuple[Layer, ...]:
    """All layers of a product, in the order in which a GIS lists them."""
    found = [sources(findings), *areas(findings), observed_event(findings), *crisis(findings)]
    if findings.event.product is not Product.FIRST_ESTIMATE:
        found += [*built_up(findings), *facilities(findings), *transportation(findings), summary_table(findings)]
    if findings.event.product is Product.DELINEATION:
        found = [_ungraded(layer) if layer.feature in ASSETS else layer for layer in found]
    return (*found, *changes(findings), provenance(findings))


def sources(findings: Findings) -> Layer:
    """A0: the files that went in."""
    every = findings.sources
    columns = {
        "source_nam": text(source.name for source in every),
        "src_date": text(
            source.taken.strftime("%d/%m/%Y") if source.taken else names.NOT_APPLICABLE for source in every
        ),
        "source_tm": text(source.taken.strftime("T%H:%M:%SZ") if source.taken else "" for source in every),
        "sensor_gsd": text(f"{source.gsd:g} m" if source.gsd else "" for source in every),
        "eventphase": text(_phase(source) for source in every),
        "src_id": whole(range(1, len(every) + 1)),
        "role": text(source.role for source in every),
        "licence": text(source.licence for source in every),
        "sha256": text(source.sha256 for source in every),
    }
    return Layer("source", None, None, columns, "A0: images and other files that the product is made of")


def areas(findings: Findings) -> list[Layer]:
    """A1, A2 and what of the area no image shows."""
    event, area = findings.event, findings.area
    interest = {
        "name": text([event.name or names.UNKNOWN]),
        "emsr_id": text([event.activation]),
        "area_id": whole([event.aoi]),
        "map_type": text([event.product]),
        "area": number([area.area / HECTARE]),
    }
    images = [k for k, source in enumerate(findings.sources, 1) if source.role in ("pre", "post")]
    footprints = polygons([findings.seen] * len(images))
    footprint = {
        "obj_type": text(["Image Footprint"] * len(images)),
        "or_src_id": whole(images),
        "area": number([findings.seen.area / HECTARE] * len(images)),
    }
    hidden = polygons([part for part in [area.difference(findings.seen)] if part.area > findings.grid.gsd**2])
    missing = {
        "obj_type": text([names.NOT_ANALYSED] * len(hidden)),
        "area": number(shapely.area(hidden) / HECTARE),
    }
    return [
        Layer("areaOfInterest", AREA, polygons([area]), interest, "A1: the area of interest"),
        Layer("imageFootprint", AREA, footprints, footprint, "A2: the part of the area that all images show"),
        Layer("notAnalysed", AREA, hidden, missing, "the part of the area that some image does not show"),
    ]


def observed_event(findings: Findings) -> Layer:
    """B1: flood, burnt ground and debris."""
    every = [
        (f"{extent.what}/{k}", extent.what, outline, value, word)
        for extent in findings.observed.extents
        for k, (outline, value, word) in enumerate(zip(extent.outline, extent.value, extent.words, strict=True), 1)
    ]
    words = [names.event_words(findings.event.kind, what, str(word)) for _, what, _, _, word in every]
    outlines = polygons([outline for _, _, outline, _, _ in every])
    value = np.array([value for _, _, _, value, _ in every], float)
    of = {what: np.array([w == what for _, w, _, _, _ in every], bool) for what in names.OBSERVED}
    columns = {
        "id": text(identity for identity, *_ in every),
        "event_type": text(event for event, _, _ in words),
        "obj_desc": text(description for _, description, _ in words),
        "det_method": text([names.AUTOMATIC] * len(every)),
        "notation": text(note for _, _, note in words),
        "dmg_src_id": source_of(findings.sources, len(every), "post"),
        "area": number(shapely.area(outlines) / HECTARE),
        "depth_m": number(np.where(of["flood"], value, np.nan)),
        "severity": number(np.where(of["burn"], value, np.nan)),
        "p_debris": number(np.where(of["debris"], value, np.nan)),
    }
    return Layer("observedEvent", AREA, outlines, columns, "B1: what the images show of the event")


def crisis(findings: Findings) -> list[Layer]:
    """B2: hot spots, the most affected areas, what is cut off, and the way between two places that was asked for."""
    spots = hot_spots(findings)
    cut_off = [] if findings.access is None else list(findings.access.isolated)
    ranked = findings.areas
    shapes = [*spots, *(area.outline for area in ranked), *cut_off]
    kinds = [names.HOT_SPOT] * len(spots) + [names.MOST_AFFECTED] * len(ranked) + [names.ISOLATED] * len(cut_off)
    blank = [np.nan]
    before, after = blank * len(spots), blank * len(cut_off)
    columns = {
        "id": text(_numbered(kinds)),
        "obj_desc": text(kinds),
        "name": text([""] * len(spots) + [area.name for area in ranked] + [""] * len(cut_off)),
        "det_method": text([names.AUTOMATIC] * len(shapes)),
        "dmg_src_id": source_of(findings.sources, len(shapes), "post"),
        "rank": number([*before, *range(1, len(ranked) + 1), *after]),
        "buildings": number([*before, *(area.buildings for area in ranked), *after]),
        "damaged": number([*before, *(area.damaged for area in ranked), *after]),
        "damaged_low": number([*before, *(area.low for area in ranked), *after]),
        "damaged_high": number([*before, *(area.high for area in ranked), *after]),
        "share": number([*before, *(area.share for area in ranked), *after]),
    }
    found = [Layer("ancillaryCrisisInfo", AREA, polygons(shapes), columns, "B2: where the damage is")]
    return [*found, *_route(findings)]


def summary_table(findings: Findings) -> Layer:
    """E: the figures."""
    rows = summary(findings).rows
    columns = {
        "category": text(row.group for row in rows),
        "item": text(row.item for row in rows),
        "unit": text(row.unit for row in rows),
        "affected": number([row.affected for row in rows]),
        "total_aoi": number([_or_nan(row.total) for row in rows]),
        "expected": number([_or_nan(row.expected) for row in rows]),
        "low_95": number([_or_nan(row.low) for row in rows]),
        "high_95": number([_or_nan(row.high) for row in rows]),
    }
    return Layer("summaryTable", None, None, columns, "E: consequences within the area of interest")


def provenance(findings: Findings) -> Layer:
    """What it was made with, line by line."""
    grid, register = findings.grid, findings.registration
    lines = [
        ("frame", grid.crs or "local metres, nowhere on Earth: there is no GeoJSON of the layers"),
        ("pixel, m", f"{grid.gsd:g}"),
        *((f"model: {key}", value) for key, value in sorted(findings.model.items())),
        *((f"water model: {key}", value) for key, value in sorted(findings.water.items())),
        *((f"version: {key}", value) for key, value in sorted(findings.versions.items())),
    ]
    if register is not None:
        lines.append(("registration: shift, pixels", ", ".join(f"{step:.3f}" for step in register.shift)))
        lines.append(("registration: residual, pixels", f"{register.residual:.3f}"))
        lines.append(("registration: confidence", f"{register.confidence:.3f}"))
    if findings.unlike is not None:
        lines.append(("share of windows unlike the training data", f"{findings.unlike:.3f}"))
    if findings.threshold is not None:
        lines.append(("probability from which a pixel is of a building", f"{findings.threshold:.3f}"))
    lines += [(f"correction {k}", line) for k, line in enumerate(findings.corrections, 1)]
    columns = {"name": text(name for name, _ in lines), "value": text(value for _, value in lines)}
    return Layer("provenance", None, None, columns, "model, versions, registration and corrections")


def _ungraded(layer: Layer) -> Layer:
    """An asset as a delineation has it: whether the event came to it, not how it fared."""
    kept = {
        name: values
        for name, values in layer.columns.items()
        if name not in GRADE_FIELDS and not name.startswith(("p_grade_", "p_damaged", "entropy", "z_gi", "q_gi", "hot"))
    }
    return replace(layer, columns={**kept, "damage_gra": text([names.NOT_ANALYSED] * len(layer))})


def hot_spots(findings: Findings) -> Geometries:
    """(k,) polygons: what of the area lies about hot buildings, joined where it meets, from north to south."""
    hot = findings.buildings.hot
    if hot is None or not hot.hot.any():
        return polygons([])
    around = shapely.union_all(shapely.buffer(findings.buildings.outline[hot.hot], AROUND, quad_segs=4))
    spots = [part for part in shapely.get_parts(around.intersection(findings.area)) if part.area > 0]
    return polygons(sorted(spots, key=lambda spot: (-spot.bounds[3], spot.bounds[0])))


def _route(findings: Findings) -> list[Layer]:
    if findings.access is None or not findings.access.asked:
        return []
    ways = [] if findings.access.route is None else [findings.access.route]
    lines = np.array([way.line for way in ways], dtype=object)
    columns = {
        "id": text(_numbered([names.ROUTE] * len(ways))),
        "obj_desc": text([names.ROUTE] * len(ways)),
        "det_method": text([names.AUTOMATIC] * len(ways)),
        "dmg_src_id": source_of(findings.sources, len(ways), "post"),
        "minutes": number([way.seconds / 60 for way in ways]),
        "length_m": number([way.metres for way in ways]),
        "p_open": number([way.open for way in ways]),
    }
    return [Layer("ancillaryCrisisInfo", LINE, lines, columns, "B2: the way between two places that was asked for")]


def _phase(source: Source) -> str:
    return {"pre": names.PHASES[0], "post": names.PHASES[1]}.get(source.role, names.PHASES[2])


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _numbered(kinds: Sequence[str]) -> list[str]:
    """``Hot spot of damage/1`` and so on, counted kind by kind."""
    met: Counter[str] = Counter()
    numbered = []
    for kind in kinds:
        met[kind] += 1
        numbered.append(f"{kind}/{met[kind]}")
    return numbered
