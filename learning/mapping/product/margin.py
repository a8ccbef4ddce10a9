"""What stands around the map of a sheet: title, legend, figures, sources, method, and what it must not be used for."""

from __future__ import annotations

import numpy as np
import shapely

from mage.learning.buildings import CONFIDENCE
from mage.learning.mapping.assessment import RADIUS
from mage.learning.mapping.findings import Findings, Product, Source
from mage.learning.mapping.product import names
from mage.learning.mapping.product.drawing import (
    AREA,
    DISCLAIMER,
    EXTENTS,
    HOT,
    ISOLATED,
    KINDS,
    PRODUCTS,
    ROADS,
    ROUTE,
    VERDICTS,
    area_group,
    by_probability,
    cautions,
    degrees,
    extent_hectares,
    length,
    likely_wrong,
    outlines_given,
    percent,
    printable,
    quantity,
    ranked,
    road_states,
    situation,
    symbol,
    tinted,
    title,
    verdict_counts,
    version,
)
from mage.learning.mapping.product.layers import hot_spots
from mage.learning.mapping.product.locator import draw_locator
from mage.learning.mapping.product.paper import BAND, INK, SOFT, Column, Key, Paper
from mage.learning.mapping.product.turns import turns
from mage.learning.mapping.summary import Row, summary

LEFT, TOP, WIDE, FLOOR = 308.0, 289.0, 104.0, 54.0  # mm: of the column to the right of the map
MOST = 5  # areas of a kind in the table, as on the map of a first estimate
FOOT = 50.0  # mm: top of the band below the map
OVERVIEW = 36.0  # mm: side of the overview


def draw_margin(paper: Paper, findings: Findings, scale: int) -> None:
    """All that stands around the map."""
    column = Column(paper, LEFT, TOP, WIDE, FLOOR)
    _title(column, findings)
    for words in cautions(findings):
        _caution(column, words)
    _legend(column, findings)
    _figures(column, findings)
    _ranking(column, findings)
    _foot(paper, findings, scale)


def source_line(source: Source) -> str:
    """A file that went in, its date, pixel size and licence."""
    parts = [printable(source.name, 48)]
    if source.taken is not None:
        parts.append(f"{source.taken:%Y-%m-%d %H:%M} UTC")
    if source.gsd is not None:
        parts.append(f"GSD {source.gsd:.3g} m")
    parts.append(printable(source.licence, 60) or "licence not stated")
    return f"{source.role.capitalize()}: {', '.join(parts)}"


def _title(column: Column, findings: Findings) -> None:
    event, paper = findings.event, column.paper
    lines = paper.wrapped(title(event), 15, column.width - 8, "bold")[:3]
    high = 15.5 + 6.8 * len(lines)
    paper.rectangle(column.x, column.y - high, column.width, high, facecolor=BAND, linewidth=0)
    for number, line in enumerate(lines):
        paper.text(column.x + 4, column.y - 3 - 6.8 * number, line, 15, color="white", weight="bold")
    facts = f"{printable(event.activation, 20)}  ·  AOI {event.aoi:02d}  ·  {KINDS[event.kind]}"
    paper.text(column.x + 4, column.y - high + 10.2, facts, 8, color="white")
    words = f"{PRODUCTS[event.product]}  ·  {version(event)}"
    paper.text(column.x + 4, column.y - high + 5.6, words, 8, color="white", weight="bold")
    column.y -= high + 2.2
    paper.text(column.x, column.y, situation(findings), 8.5, weight="bold")
    column.y -= 4.0


def _caution(column: Column, words: str) -> None:
    lines = column.paper.wrapped(f"Caution: {words}", 6.8, column.width - 5)
    high = 3.1 * len(lines) + 2.4
    column.y -= 1.4
    column.paper.rectangle(
        column.x, column.y - high, column.width, high, facecolor="#fff1d6", edgecolor="#b35c00", linewidth=0.7
    )
    for number, line in enumerate(lines):
        column.paper.text(column.x + 2.5, column.y - 1.4 - 3.1 * number, line, 6.8, color="#5c2f00")
    column.y -= high


def _legend(column: Column, findings: Findings) -> None:
    column.heading("Legend")
    half = (column.width - 4) / 2
    top = column.y
    sides = [
        [("Buildings", _building_keys(findings)), ("Observed event", _event_keys(findings))],
        [("Roads within the area", _road_keys(findings)), ("On the map", _other_keys(findings))],
    ]
    lowest = top
    for number, groups in enumerate(sides):
        side = Column(column.paper, column.x + number * (half + 4), top, half, column.floor)
        for words, keys in groups:
            if keys:
                column.paper.text(side.x, side.y, words, 6.8, weight="bold", color=SOFT)
                side.y -= 3.6
                for key in keys:
                    side.key(key)
                side.y -= 0.8
        lowest = min(lowest, side.y)
    column.y = lowest


def _building_keys(findings: Findings) -> list[Key]:
    buildings, product = findings.buildings, findings.event.product
    if product is Product.FIRST_ESTIMATE:
        most = max((area.damaged for _, area in tinted(findings)), default=0.0)
        if most <= 0:
            return []
        return [
            Key("tint", f"{VERDICTS[names.DESTROYED]}:0.58", f"area with {most:,.0f} damaged buildings expected"),
            Key("tint", f"{VERDICTS[names.DESTROYED]}:0.12", "area with few expected; numbers as in the table"),
        ]
    if product is Product.DELINEATION:
        return [Key("fill", "#4a4a4a", f"building, not graded in this product ({len(buildings):,})")]
    counts = verdict_counts(buildings)
    return [Key("fill", colour, f"{name} ({counts[name]:,})") for name, colour in VERDICTS.items()]


def _event_keys(findings: Findings) -> list[Key]:
    keys = []
    for extent in findings.observed.extents:
        words, colour = EXTENTS[extent.what]
        if len(extent.outline):
            within = shapely.intersection(extent.outline, findings.area)
            told = f"{words} ({extent_hectares(within):,.3g} ha)"
            form = ("dots", colour) if extent.what == "debris" else ("tint", f"{colour}:0.4")
            keys.append(Key(*form, told))
        else:
            keys.append(Key("none", colour, f"{words}: none observed"))
    return keys


def _road_keys(findings: Findings) -> list[Key]:
    access = findings.access
    if access is None:
        return [Key("none", INK, "no roads were given")]
    states = road_states(access)
    lines = np.array(access.roads.lines, object)
    within = shapely.length(shapely.intersection(lines, findings.area)) / 1000
    shown = [(state, colour, float(within[states == state].sum())) for state, colour in ROADS.items()]
    return [
        Key("line", colour, f"{state} ({quantity(km, 'km')})") for state, colour, km in shown if (states == state).any()
    ]


def _other_keys(findings: Findings) -> list[Key]:
    keys = [Key("ring", AREA, "Area of interest")]
    keys += [Key("ring", turn.colour, f"{turn.word} since {turn.since}: {turn.amount}") for turn in turns(findings)]
    if len(hot_spots(findings)):
        keys.append(Key("ring", HOT, f"Hot spot: graded damage clusters beyond chance within {RADIUS:.0f} m (Gi*)"))
    unseen = shapely.difference(findings.area, findings.seen)
    if unseen.area > 1e-4 * findings.area.area:
        share = percent(unseen.area / findings.area.area)
        keys.append(Key("stripes", "#666666", f"Not seen: cloud or no image ({share} of the area)"))
    access = findings.access
    if access is None:
        return keys
    if len(access.isolated):
        keys.append(Key("hatch", ISOLATED, "Likely cut off from all ways in"))
    if access.route is not None:
        words = f"Best route: {length(access.route.metres)}, {percent(access.route.open)} likely open"
        keys.append(Key("line", ROUTE, words))
    elif access.asked:
        keys.append(Key("none", ROUTE, "No open route between the places asked for"))
    if access.facilities is not None:
        kinds, number = np.unique(access.facilities.kind, return_counts=True)
        for kind, count in list(zip(kinds, number, strict=True))[:6]:
            words = printable(str(kind).replace("_", " ").capitalize(), 30)
            keys.append(Key("mark", ROUTE, f"{words} ({count})", symbol(kind)))
    return keys


def _figures(column: Column, findings: Findings) -> None:
    """The summary table, without what says that nothing happened."""
    column.heading("Consequences within the area of interest")
    shares = (0.62, 0.84, 1.0)
    column.row(("", "counted", "by probability", "of"), shares, 5.8, color=SOFT)
    group = ""
    for row in summary(findings).rows:
        if _silent(row):
            continue
        total = "" if row.total is None else quantity(row.total, row.unit)
        if row.group != group:
            group = row.group
            column.y -= 0.6
            if not column.row((group,), (), weight="bold", color=SOFT):
                break
        words = printable(row.item.replace("_", " "), 60)
        if not column.row(
            (f"  {words[:1].upper()}{words[1:]}", quantity(row.affected, row.unit), by_probability(row), total), shares
        ):
            break


def _silent(row: Row) -> bool:
    """Whether a row says that a kind of facility was not hit, that there are no buildings of a use, or that nothing
    changed.
    """
    told = row.group == "Facilities" and row.item != "All"
    told |= row.group == "Built-up" and row.total == 0
    return not row.affected and (told or row.group.startswith("Since "))


def _ranking(column: Column, findings: Findings) -> None:
    """The most affected areas, those with names of their own first, as many as there is room for."""
    areas = [area for area in findings.areas if area.damaged > 0]
    if not areas or column.y - 16 < column.floor:
        return
    column.heading("Most affected areas: buildings expected damaged")
    shares = (0.62, 0.84, 1.0)
    column.row(("", "expected", "95 % interval", "of"), shares, 5.8, color=SOFT)
    group = ""
    for number, area in ranked(findings):
        if area_group(area) != group:
            group = area_group(area)
            column.y -= 0.6
            if not column.row((group,), (), weight="bold", color=SOFT):
                break
        if number > MOST:
            continue
        cells = f"{area.damaged:,.0f}", f"{area.low:,}–{area.high:,}", f"{area.buildings:,}"
        if not column.row((f"  {number}  {printable(area.name, 60)}", *cells), shares):
            break


def _foot(paper: Paper, findings: Findings, scale: int) -> None:
    """Four columns below the map."""
    paper.page.plot([8, 412], [FOOT] * 2, color=BAND, lw=1.0)
    widths, x = (100.0, 146.0, 101.0, OVERVIEW), 8.0
    columns = []
    for width in widths:
        columns.append(Column(paper, x, FOOT, width, 6.0))
        x += width + 7
    columns[0].heading("Sources")
    for source in findings.sources:
        columns[0].paragraph(source_line(source))
    columns[1].heading("Method and uncertainty")
    columns[1].paragraph(_method(findings))
    columns[1].paragraph(_doubt(findings))
    columns[2].heading("Map information")
    columns[2].paragraph(_place(findings, scale))
    columns[2].heading("Disclaimer")
    columns[2].paragraph(DISCLAIMER)
    columns[3].heading("Overview")
    draw_locator(paper, findings, columns[3].x, columns[3].y - OVERVIEW, OVERVIEW)


def _method(findings: Findings) -> str:
    name = printable(findings.model.get("name", ""), 60)
    model = f"the model “{name}”" if name else "a model"
    pair = "the images before and after the event" if findings.pre is not None else "the image after the event alone"
    corrected = int((findings.buildings.method == "Photo-interpretation").sum())
    drawn = "" if outlines_given(findings) else " It drew their outlines as well, which miss some and join others."
    by_hand = f" An analyst corrected {corrected:,} buildings." if corrected else ""
    return (
        f"Automatic extraction: {model} graded each building from {pair}; probabilities are means over the building's "
        "outline. A building is called destroyed, damaged or without visible damage where that is at least "
        f"{percent(CONFIDENCE)} likely, else possibly damaged.{drawn}{by_hand}"
    )


def _doubt(findings: Findings) -> str:
    buildings, parts = findings.buildings, []
    if len(buildings):
        counts = verdict_counts(buildings)
        committed = sum(counts[name] for name in (names.DESTROYED, names.DAMAGED, names.UNDAMAGED))
        wrong = likely_wrong(buildings)
        parts.append(
            f"By the model's own probabilities, checked on images like its training alone, about {wrong:,.0f} of "
            f"{committed:,} verdicts are wrong."
        )
        parts.append(
            "Beside verdicts stands how many there are by the probabilities, with 95 % intervals; these hold for "
            "independent errors, and a model that errs in one direction exceeds them."
        )
    registration = findings.registration
    if registration is not None and registration.confidence > 0:
        residual = registration.residual
        off = "not known" if np.isnan(residual) else f"{residual:.1f} pixels ({residual * findings.grid.gsd:.2g} m)"
        sure = percent(registration.confidence)
        parts.append(f"Images were laid on each other with a residual of {off}; {sure} of the places measured agree.")
    if findings.unlike is not None:
        parts.append(f"{percent(findings.unlike)} of the image looks unlike the model's training.")
    return " ".join(parts)


def _place(findings: Findings, scale: int) -> str:
    grid = findings.grid
    thousands = f"{scale:,}".replace(",", "\u202f")
    if grid.crs is None:
        nowhere = "The images do not say where they lie: coordinates are metres of a frame of their own."
        return f"Scale 1 : {thousands} on A3. {nowhere}"
    longitude, latitude = degrees(grid.centre, grid.crs)
    north, east = "N" if latitude >= 0 else "S", "E" if longitude >= 0 else "W"
    middle = f"{abs(latitude):.4f}° {north}, {abs(longitude):.4f}° {east}"
    name = _crs_name(grid.crs)
    return f"Scale 1 : {thousands} on A3. {name}, metres. Middle of the images: {middle} (WGS 84)."


def _crs_name(crs: str) -> str:
    from pyproj import CRS

    known = CRS.from_user_input(crs)
    code = known.to_epsg()
    return f"{printable(known.name, 60)} (EPSG:{code})" if code else printable(known.name, 60)
