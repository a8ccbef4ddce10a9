"""``report.html``: one file that shows what was found, and how sure that is, without a network.

It asks for nothing outside itself: its policy (Content-Security-Policy) lets in only the very script and style that
stand in it, by their checksums, and images from within. All words of users' files are escaped.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import cv2
import numpy as np

from mage.learning.mapping.findings import Findings
from mage.learning.mapping.product import names
from mage.learning.mapping.product.drawing import (
    DISCLAIMER,
    KINDS,
    PRODUCTS,
    Small,
    cautions,
    outlines_given,
    percent,
    quantity,
    situation,
    small,
    title,
    verdict_counts,
    version,
)
from mage.learning.mapping.product.html import photograph
from mage.learning.mapping.product.payload import in_script, payload
from mage.learning.mapping.product.sections import sections
from mage.learning.mapping.summary import Summary, summary
from mage.learning.runs import publish
from mage.scenes.grid import Grid

LONGEST = 2048  # pixels of an image: of a scene of 20,000 x 20,000, about 1 MB


def write_report(findings: Findings, folder: Path) -> Path:
    """Write ``report.html`` of what was found.

    Raises:
        DatasetError: an image cannot be read.
    """
    page = {name: files(__package__).joinpath(f"report.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    theme = files("mage.scenes.dataset.browse").joinpath("page/theme.css").read_text("utf-8")
    page["css"] = theme + page["css"]
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
        "sections": "\n".join(sections(findings, table)),
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
        "buildings" if outlines_given(findings) else "buildings, as the model draws them": f"{total:,}",
        "destroyed": f"{counts[names.DESTROYED]:,}",
        "damaged": f"{counts[names.DAMAGED]:,}",
        "possibly damaged": f"{counts[names.POSSIBLY]:,}",
        "of the buildings not analysed": percent(counts[names.NOT_ANALYSED] / total) if total else "–",
    }
    if not findings.model and not outlines_given(findings):
        cards = {}  # nobody looked for buildings
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
