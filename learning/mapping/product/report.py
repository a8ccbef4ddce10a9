"""``report.html``: one file that shows what was found, and how sure that is, without a network.

It asks for nothing outside itself: its policy (Content-Security-Policy) lets in only the very script and style that
stand in it, by their checksums, and images from within. All words of users' files are escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import cv2
import numpy as np
import shapely

from mage.learning.mapping.access import CLOSED
from mage.learning.mapping.findings import Findings
from mage.learning.mapping.picture import Picture
from mage.learning.mapping.product import names
from mage.learning.mapping.product.changes import WORD_WORSE, turns
from mage.learning.mapping.product.drawing import (
    DISCLAIMER,
    KINDS,
    PRODUCTS,
    VERDICTS,
    Bytes,
    Small,
    area_group,
    by_probability,
    cautions,
    doubts,
    length,
    likely_wrong,
    percent,
    quantity,
    ranked,
    situation,
    small,
    title,
    verdict_counts,
    version,
)
from mage.learning.mapping.product.payload import grade_names, in_script, payload
from mage.learning.mapping.summary import Summary, summary
from mage.learning.runs import publish
from mage.scenes.grid import Grid

LONGEST = 2048  # pixels of an image: of a scene of 20,000 x 20,000, about 1 MB
SHOWN, CHIP = 24, 144  # doubtful buildings with pictures of their own, and the pictures' pixels
RANKED = 40  # areas in the table
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 82]


def write_report(findings: Findings, folder: Path) -> Path:
    """Write ``report.html`` of what was found.

    Raises:
        DatasetError: an image cannot be read.
    """
    page = {name: files(__package__).joinpath(f"report.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    images = _images(findings)
    table = summary(findings)
    event = findings.event
    lead = (
        f"{event.activation} · AOI {event.aoi:02d} · {KINDS[event.kind]} · {PRODUCTS[event.product]}, {version(event)}"
    )
    parts = {
        "policy": _policy(page["css"], page["js"]),
        "style": page["css"],
        "script": page["js"],
        "title": escape(f"{title(event)} · {event.activation}"),
        "name": escape(title(event)),
        "lead": escape(lead),
        "situation": escape(situation(findings)),
        "before": _badge("Before", findings, "pre"),
        "after": _badge("After", findings, "post"),
        "cautions": "".join(f'<p class="caution"><b>Caution:</b> {escape(words)}</p>' for words in cautions(findings)),
        "figures": _figures(findings, table),
        "sections": "\n".join(_sections(findings, table)),
        "disclaimer": escape(DISCLAIMER),
        "footer": "Made with MAGE. This page is whole in itself and asks for nothing over a network.",
        "images": "".join(f'<img id="{name}" alt="" src="{uri}">' for name, uri in _encoded(findings, images).items()),
        "data": in_script(payload(findings, images)),
    }
    path = folder / "report.html"
    publish(path, Template(page["html"]).substitute(parts).encode())
    return path


def _policy(style: str, script: str) -> str:
    style_sum, script_sum = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style_sum}'; script-src 'sha256-{script_sum}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _images(findings: Findings) -> dict[str, Small | Grid]:
    window = slice(0, findings.grid.rows), slice(0, findings.grid.columns)
    found: dict[str, Small | Grid] = {"post": small(findings.post, window, LONGEST)}
    if findings.pre is not None:
        found["pre"] = small(findings.pre, window, LONGEST)
    if findings.density.max(initial=0) > 0:
        found["density"] = findings.density_grid
    return found


def _encoded(findings: Findings, images: dict[str, Small | Grid]) -> dict[str, str]:
    """Each image as a URI that holds it."""
    return {
        name: photograph(image.image) if isinstance(image, Small) else _density(findings)
        for name, image in images.items()
    }


def photograph(image: Bytes) -> str:
    """A picture (rows, columns, 3) as a URI that holds it, JPEG."""
    data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), QUALITY)[1].tobytes()
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def _density(findings: Findings) -> str:
    """The density from clear to red, as a URI."""
    share = np.sqrt(findings.density / findings.density.max())  # so that what is half as dense can be seen
    longest = max(share.shape)
    if longest > LONGEST:
        size = max(share.shape[1] * LONGEST // longest, 1), max(share.shape[0] * LONGEST // longest, 1)
        share = np.asarray(cv2.resize(share, size, interpolation=cv2.INTER_AREA))
    image = np.empty((*share.shape, 4), np.uint8)
    image[..., 0], image[..., 2] = 255 - 60 * share, 30 * share
    image[..., 1] = 190 * (1 - share)
    image[..., 3] = 235 * np.clip(share * 1.2, 0, 1)
    data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGBA2BGRA))[1].tobytes()
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _badge(word: str, findings: Findings, role: str) -> str:
    taken = next((source.taken for source in findings.sources if source.role == role), None)
    return f"<b>{word}</b>{'' if taken is None else f' {taken:%Y-%m-%d}'}"


def _figures(findings: Findings, table: Summary) -> str:
    counts = verdict_counts(findings.buildings)
    total = len(findings.buildings)
    cards = {
        "buildings": f"{total:,}",
        "destroyed": f"{counts[names.DESTROYED]:,}",
        "damaged": f"{counts[names.DAMAGED]:,}",
        "possibly damaged": f"{counts[names.POSSIBLY]:,}",
        "of the buildings not analysed": percent(counts[names.NOT_ANALYSED] / total) if total else "–",
    }
    for row in table.rows:
        if row.group == "Observed event" and row.affected:
            cards[row.item.lower()] = quantity(row.affected, row.unit)
        if row.group == "Population":
            cards["people affected"] = quantity(row.affected, row.unit)
        if row.item == "Closed for a car":
            cards["of road closed for cars"] = quantity(row.affected, row.unit)
        if row.group == "Access":
            cards["buildings likely cut off"] = quantity(row.affected, row.unit)
    return "".join(f'<div class="figure"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for k, v in cards.items())


def _sections(findings: Findings, table: Summary) -> Iterator[str]:
    """Cards below the map."""
    yield _card("Consequences within the area of interest", _summary_table(table))
    yield _card("Buildings by verdict", _histogram(findings))
    if findings.differences is not None:
        yield _card(f"What changed since {findings.differences.before}", _changed(findings), wide=True)
    if findings.areas:
        yield _card("Most affected areas", _area_table(findings))
    yield _card("How sure the model is", _sureness(findings))
    if findings.access is not None:
        yield _card("Access", _access(findings))
    yield _card("Do the images lie on each other?", _registration(findings))
    yield _card("What the model is least sure of", _doubtful(findings), wide=True)
    yield _card("Model", _pairs(findings.model) if findings.model else "<p>The model says nothing of itself.</p>")
    yield _card("Sources", _source_table(findings))
    yield _card("Corrections", _corrections(findings))
    yield _card("Made with", _pairs(findings.versions) if findings.versions else "<p>Not stated.</p>")


def _summary_table(table: Summary) -> str:
    rows, group = "", ""
    for row in table.rows:
        if row.group != group:
            group = row.group
            rows += f'<tr class="group"><th scope="colgroup" colspan="4">{escape(group)}</th></tr>'
        total = "" if row.total is None else quantity(row.total, row.unit)
        words = row.item.replace("_", " ")
        cells = [f"{words[:1].upper()}{words[1:]}", quantity(row.affected, row.unit), by_probability(row), total]
        rows += _row(cells)
    head = _head(("", "affected", "by probability (95 %)", "of"))
    note = (
        "Beside the verdicts' counts stands how many there are by the probabilities, those of doubtful buildings among "
        "them; its interval is for independent errors."
    )
    return f'<table>{head}<tbody>{rows}</tbody></table><p class="note">{note}</p>'


def _histogram(findings: Findings) -> str:
    """Bars by verdict."""
    counts, total = verdict_counts(findings.buildings), len(findings.buildings)
    bars = [(name, counts[name], counts[name] / max(total, 1), VERDICTS[name]) for name in VERDICTS]
    return _bars([(name, f"{count:,} ({percent(share)})", share, colour) for name, count, share, colour in bars])


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
        f"If the probabilities mean what they say, about {wrong:,.0f} of the {committed:,} verdicts that commit "
        f"themselves are wrong; {counts[names.POSSIBLY]:,} were left at “possibly damaged”."
    )
    note = '<p class="note">Buildings by the probability of their likeliest grade.</p>'
    paragraphs = [sure, words]
    if findings.unlike is not None:
        paragraphs.append(f"{percent(findings.unlike)} of the image looks unlike the model's training.")
    return f"{_bars(bars)}{note}{''.join(f'<p>{escape(text)}</p>' for text in paragraphs)}"


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
        rows += _row(cells, button)
    head = _head(("", "area", "expected damaged", "95 % interval", "of", "share", ""))
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
    return f"{_pairs(facts)}<p class='note'>{note}</p>"


def _registration(findings: Findings) -> str:
    found = findings.registration
    if found is None:
        return "<p>There was only one image.</p>"
    gsd = findings.grid.gsd
    residual = "not known" if np.isnan(found.residual) else f"{found.residual:.2f} pixels, {found.residual * gsd:.2f} m"
    return _pairs(
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
    """Pictures of a building, its verdict, that in the product before, and its likeliest grades."""
    buildings = findings.buildings
    pictures = [findings.post] if findings.pre is None else [findings.pre, findings.post]
    chips = "".join(_chip(picture, buildings.outline[k]) for picture in pictures)
    best = np.argsort(-buildings.grades[k])[:2]
    grades = grade_names(findings)
    words = ", ".join(f"{grades[g].lower()} {percent(float(buildings.grades[k][g]))}" for g in best)
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


def _card(heading: str, content: str, *, wide: bool = False) -> str:
    return f'<section class="card{" wide" if wide else ""}"><h2>{escape(heading)}</h2>{content}</section>'


def _pairs(facts: Mapping[str, str]) -> str:
    rows = "".join(f'<tr><th scope="row">{escape(str(k))}</th><td>{escape(str(v))}</td></tr>' for k, v in facts.items())
    return f'<table class="pairs"><tbody>{rows}</tbody></table>'


def _head(words: Sequence[str]) -> str:
    cells = "".join(f'<th scope="col"{_numeric(k, words)}>{escape(word)}</th>' for k, word in enumerate(words))
    return f"<thead><tr>{cells}</tr></thead>"


def _row(cells: Sequence[str], more: str = "") -> str:
    return f"<tr>{''.join(f'<td{_numeric(k, cells)}>{escape(cell)}</td>' for k, cell in enumerate(cells))}{more}</tr>"


def _numeric(place: int, cells: Sequence[str]) -> str:
    """Columns of figures end at one line; the first, or the first two of a ranking, are words."""
    return ' class="n"' if place >= (1 if len(cells) == 4 else 2) else ""


def _bars(bars: Sequence[tuple[str, str, float, str]]) -> str:
    """Words, a figure and a bar a line, as SVG, which needs no style; without a colour a bar has the page's."""
    high = 24
    lines = ""
    for number, (words, figure, share, colour) in enumerate(bars):
        y = number * high
        paint = f'fill="{colour}"' if colour else 'class="fill"'
        lines += (
            f'<text x="0" y="{y + 15}">{escape(words)}</text>'
            f'<rect class="track" x="140" y="{y + 6}" width="190" height="10" rx="2"/>'
            f'<rect {paint} x="140" y="{y + 6}" width="{190 * share:.1f}" height="10" rx="2"/>'
            f'<text class="soft" x="340" y="{y + 15}">{escape(figure)}</text>'
        )
    label = escape("; ".join(f"{words}: {figure}" for words, figure, _, _ in bars))
    return f'<svg class="bars" viewBox="0 0 440 {high * len(bars)}" role="img" aria-label="{label}">{lines}</svg>'
