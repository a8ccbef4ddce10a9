"""The cards below the report's map: what was found in figures, how sure that is, and what it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

import numpy as np
import shapely

from mage.learning.buildings import CONFIDENCE
from mage.learning.mapping.access import CLOSED
from mage.learning.mapping.findings import Findings
from mage.learning.mapping.picture import Picture
from mage.learning.mapping.product import names
from mage.learning.mapping.product.drawing import (
    VERDICTS,
    area_group,
    by_probability,
    doubts,
    length,
    likely_wrong,
    percent,
    quantity,
    ranked,
    small,
    verdict_counts,
)
from mage.learning.mapping.product.html import bar_chart, card, pairs_table, photograph, table_head, table_row
from mage.learning.mapping.product.payload import grade_names
from mage.learning.mapping.product.turns import WORD_WORSE, turns
from mage.learning.mapping.summary import Summary

SHOWN, CHIP = 24, 144  # buildings with pictures of their own, and the pictures' pixels
RANKED = 40  # areas in the table


def sections(findings: Findings, table: Summary) -> Iterator[str]:
    """Cards below the map."""
    yield card("Consequences within the area of interest", _summary_table(table))
    yield card("Buildings by verdict", _histogram(findings))
    if findings.differences is not None:
        yield card(f"What changed since {findings.differences.before}", _changed(findings), wide=True)
    if findings.areas:
        yield card("Most affected areas", _area_table(findings))
    yield card("How sure the model is", _sureness(findings))
    if findings.access is not None:
        yield card("Access", _access(findings))
    yield card("Do the images lie on each other?", _registration(findings))
    yield card("What the model is least sure of", _doubtful(findings), wide=True)
    yield card("Model", pairs_table(findings.model) if findings.model else "<p>No model looked at buildings.</p>")
    if findings.water:
        yield card("Where water is", pairs_table(findings.water))
    yield card("Sources", _source_table(findings))
    yield card("Corrections", _corrections(findings))
    yield card("Made with", pairs_table(findings.versions) if findings.versions else "<p>Not stated.</p>")


def _summary_table(table: Summary) -> str:
    rows, group = "", ""
    for row in table.rows:
        if row.group != group:
            group = row.group
            rows += f'<tr class="group"><th scope="colgroup" colspan="4">{escape(group)}</th></tr>'
        total = "" if row.total is None else quantity(row.total, row.unit)
        words = row.item.replace("_", " ")
        cells = [f"{words[:1].upper()}{words[1:]}", quantity(row.affected, row.unit), by_probability(row), total]
        rows += table_row(cells)
    head = table_head(("", "counted", "by probability (95 %)", "of"))
    note = (
        "“Affected” are destroyed, damaged and possibly damaged buildings together. Beside the verdicts' counts stands "
        "how many there are by the model's probabilities, those of doubtful buildings among them; its interval holds "
        "as far as these probabilities do, and for errors that do not go in one direction."
    )
    return f'<table>{head}<tbody>{rows}</tbody></table><p class="note">{note}</p>'


def _histogram(findings: Findings) -> str:
    """Bars by verdict."""
    counts, total = verdict_counts(findings.buildings), len(findings.buildings)
    bars = [(name, counts[name], counts[name] / max(total, 1), VERDICTS[name]) for name in VERDICTS]
    return bar_chart([(name, f"{count:,} ({percent(share)})", share, colour) for name, count, share, colour in bars])


def _changed(findings: Findings) -> str:
    """What is worse and what is better than in the product before, and pictures of the buildings that are worse."""
    found = turns(findings)
    words = "".join(f"<p>{escape(turn.word)}: {escape(turn.amount)}.</p>" for turn in found)
    worse = [k for turn in found if turn.word == WORD_WORSE for k in turn.buildings.tolist()][:SHOWN]
    items = "".join(_building(findings, k) for k in worse)
    return (words or "<p>Nothing became worse or better.</p>") + (f'<ol class="doubts">{items}</ol>' if items else "")


def _sureness(findings: Findings) -> str:
    """How the graded buildings spread over the probability of their likeliest grade, and what follows from it."""
    buildings = findings.buildings
    known = np.isfinite(buildings.grades).all(axis=1)
    counts = verdict_counts(buildings)
    unseen = counts[names.NOT_ANALYSED]
    words = f"{unseen:,} of {len(buildings):,} buildings were not analysed."
    if not known.any():
        return f"<p>{words}</p>"
    best = buildings.grades[known].max(axis=1)
    edges = np.array([0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    number = np.histogram(np.clip(best, 0, 1 - 1e-12), edges)[0]
    bars = [
        (f"{100 * low:.0f}–{100 * high:.0f} %" if low else "below 40 %", f"{count:,}", count / len(best), "")
        for low, high, count in zip(edges[:-1], edges[1:], number, strict=True)
    ]
    committed = sum(counts[name] for name in (names.DESTROYED, names.DAMAGED, names.UNDAMAGED))
    wrong = likely_wrong(buildings)
    sure = (
        "A building is called destroyed, damaged or without visible damage where the model gives that "
        f"{percent(CONFIDENCE)} or more, “damaged” being all grades from minor to destroyed together; "
        f"{counts[names.POSSIBLY]:,} were left at “possibly damaged”. By its own probabilities, checked on images like "
        f"its training alone, about {wrong:,.0f} of the {committed:,} other verdicts are wrong."
    )
    note = '<p class="note">Buildings by the probability of their likeliest grade.</p>'
    paragraphs = [sure, words]
    if findings.unlike is not None:
        paragraphs.append(f"{percent(findings.unlike)} of the image looks unlike the model's training.")
    if findings.threshold is not None:
        paragraphs.append(
            f"A pixel counts as building from a probability of {findings.threshold:.2f} on, found from this place's "
            "own pixels."
        )
    return f"{bar_chart(bars)}{note}{''.join(f'<p>{escape(text)}</p>' for text in paragraphs)}"


def _area_table(findings: Findings) -> str:
    rows, group = "", ""
    for place, (number, area) in enumerate(ranked(findings)[:RANKED]):
        if area_group(area) != group:
            group = area_group(area)
            rows += f'<tr class="group"><th scope="colgroup" colspan="7">{escape(group)}</th></tr>'
        cells = [
            str(number),
            area.name,
            f"{area.damaged:,.1f}",
            f"{area.low:,}–{area.high:,}",
            f"{area.buildings:,}",
            percent(area.share) if area.buildings else "–",
        ]
        button = (
            f'<td><button type="button" data-area="{place}" aria-label="Show {escape(area.name)}">Show</button></td>'
        )
        rows += table_row(cells, button)
    head = table_head(("", "area", "expected damaged", "95 % interval", "of", "share", ""))
    left = len(findings.areas) - RANKED
    more = f'<p class="note">… and {left:,} more, all in the layers.</p>' if left > 0 else ""
    table = f"<table>{head}<tbody>{rows}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="Areas">{table}</div>{more}'


def _access(findings: Findings) -> str:
    access = findings.access
    assert access is not None
    both = np.isfinite(access.before) & np.isfinite(access.now)
    later = access.now[both] - access.before[both]
    cut = int((np.isfinite(access.before) & ~np.isfinite(access.now)).sum())
    facts = {
        "Ways in and facilities that help comes from": f"{len(access.starts):,}",
        "Junctions likely cut off": f"{cut:,} of {len(access.before):,}",
        "Longest detour": f"{later.max() / 60:,.1f} min" if later.size else "–",
        "Parts of the area likely cut off": f"{len(access.isolated):,}",
    }
    if access.route is not None:
        way = access.route
        facts["Route"] = f"{length(way.metres)}, {way.seconds / 60:.1f} min, open with {percent(way.open)}"
    elif access.asked:
        facts["Route"] = "no open way between the places asked for"
    note = f"A road counts as closed where that is at least {percent(CLOSED)} likely; times are with such roads closed."
    return f"{pairs_table(facts)}<p class='note'>{note}</p>"


def _registration(findings: Findings) -> str:
    found = findings.registration
    if found is None:
        return "<p>There was only one image.</p>"
    gsd = findings.grid.gsd
    residual = "not known" if np.isnan(found.residual) else f"{found.residual:.2f} pixels, {found.residual * gsd:.2f} m"
    return pairs_table(
        {
            "Shift of all": f"{found.shift[0]:+.1f} pixels to the right, {found.shift[1]:+.1f} down",
            "Places measured": f"{len(found.places):,}",
            "Residual (root mean square)": residual,
            "Places that agree": percent(found.confidence),
        }
    )


def _doubtful(findings: Findings) -> str:
    chosen = doubts(findings.buildings)[:SHOWN]
    if not len(chosen):
        return "<p>No building was graded.</p>"
    items = "".join(_building(findings, int(k)) for k in chosen)
    note = "The first to look at: buildings whose grades are hardest to tell, in the images' own pixels."
    return f'<p class="note">{note}</p><ol class="doubts">{items}</ol>'


def _building(findings: Findings, k: int) -> str:
    """Pictures of a building, its verdict, that in the product before, and how likely damage and its grade are."""
    buildings = findings.buildings
    pictures = [findings.post] if findings.pre is None else [findings.pre, findings.post]
    chips = "".join(_chip(picture, buildings.outline[k]) for picture in pictures)
    grades, likely = grade_names(findings), buildings.grades[k]
    worst = 1 + int(likely[1:].argmax())
    words = f"damaged at all {percent(1 - likely[0])}, most likely {grades[worst].lower()} ({percent(likely[worst])})"
    name = str(buildings.name[k]) or f"Building {buildings.identity[k]}"
    previous = "" if buildings.previous is None else str(buildings.previous[k])
    before = f"{previous} → " if previous not in ("", buildings.verdict[k]) else ""
    single = " single" if len(pictures) == 1 else ""
    return (
        f'<li><div class="pair{single}">{chips}</div><p><b>{escape(name)}</b></p>'
        f"<p>{escape(f'{before}{buildings.verdict[k]}: {words}')}</p>"
        f'<button type="button" data-building="{k}" aria-label="Show {escape(name)} on the map">Show</button></li>'
    )


def _chip(picture: Picture, outline: shapely.Polygon) -> str:
    """A building in the pixels of the image, with its outline."""
    grid = picture.grid
    west, south, east, north = outline.bounds
    half = max(0.8 * max(east - west, north - south), 16 * grid.gsd)
    x, y = (west + east) / 2, (south + north) / 2
    window = grid.window((x - half, y - half, x + half, y + half))
    if any(part.stop <= part.start for part in window):
        return '<div class="chip"></div>'
    cut = small(picture, window, CHIP)
    rows, columns = cut.grid.shape
    lines = [cut.grid.to_pixel(shapely.get_coordinates(ring)) for ring in shapely.get_rings(shapely.get_parts(outline))]
    path = "".join("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in line) + "Z" for line in lines)
    drawing = (
        f'<svg viewBox="0 0 {columns} {rows}" preserveAspectRatio="none" aria-hidden="true"><path d="{path}"/></svg>'
    )
    return f'<div class="chip"><img alt="" src="{photograph(cut.image)}">{drawing}</div>'


def _source_table(findings: Findings) -> str:
    rows = ""
    for source in findings.sources:
        facts = [f"{source.taken:%Y-%m-%d %H:%M} UTC"] if source.taken else []
        facts += [f"{source.gsd:.3g} m"] if source.gsd else []
        about = ", ".join([*facts, source.licence or "licence not stated"])
        rows += (
            f"<tr><td>{escape(source.role)}</td><td><b>{escape(source.name)}</b><br>{escape(about)}<br>"
            f"<code>{escape(source.sha256)}</code></td></tr>"
        )
    return f"<table><caption>Each file with its SHA-256</caption><tbody>{rows}</tbody></table>"


def _corrections(findings: Findings) -> str:
    if not findings.corrections:
        return "<p>Nobody has corrected this product yet: all of it is automatic.</p>"
    return f'<ul class="scroll">{"".join(f"<li>{escape(line)}</li>" for line in findings.corrections)}</ul>'
