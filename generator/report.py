"""``report.html``: one file that shows what a dataset holds, without scripts, links or a network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
import yaml

from mage.generator.panels import (
    CLOSED,
    DEBRIS,
    DRY,
    FLOOD_TINT,
    HOUSES,
    RIVER,
    SCORCHED,
    Picture,
    deepest_of,
    depth_panel,
    depth_ramp,
    overlay,
    scale_of,
    shrunk,
    trace_panel,
)
from mage.scenes.campaign import whole
from mage.scenes.dataset.codec import decode_sample
from mage.scenes.dataset.fields import CLASS_COLOURS, DAMAGE_COLOURS, LandClass
from mage.scenes.dataset.index import open_dataset
from mage.scenes.dataset.png import encode_png
from mage.scenes.dataset.schema import DatasetRecord, Sample
from mage.scenes.dataset.store import SHARDS, Store, open_store, publish_text
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.grades import JDS_NAMES

REPORT, PREVIEW = "report.html", "preview"
SHOWN = 12  # samples
SIDE = 256  # pixels of a picture
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 85]

# over a sample's pictures, without and with a flood among the hazards
_HEADS = {
    False: ("before", "after", "damage over after", "debris, burn, closed streets"),
    True: ("before", "after", "damage and flood over after", "flood depth"),
}

Colour = Sequence[int]


def write_report(root: Store | str | Path, timings: dict[str, Any] | None) -> None:
    """Write ``report.html`` and ``preview/`` of a finished dataset.

    Args:
        root: the dataset's folder or store.
        timings: of the run that made it: ``seconds`` by stage, ``samples`` rendered, ``wall`` seconds, ``device`` and
            ``workers``; None when they are not known.

    Raises:
        DatasetError: the dataset cannot be read, or the report not written.
    """
    store = open_store(root)
    manifest = open_dataset(store)
    samples = list(_chosen(store, manifest))
    kinds = {"flood" in chain for chain in _chains(manifest)}
    deepest = scale_of([deepest_of(sample) for sample in samples])
    panels = [_panels(sample, deepest if _wet(sample) else None) for sample in samples]
    for number, pictures in enumerate(panels):
        data = encode_png(np.concatenate(pictures, axis=1))
        store.publish(f"{PREVIEW}/{number:03d}.png", partial(Path.write_bytes, data=data))
    page = Template(files("mage.generator").joinpath(REPORT).read_text(encoding="utf-8"))
    inferred = sorted({part for sample in samples for part in sample.record.inferred})
    parts = _facts(manifest, timings, inferred) | {
        "legends": _legends(deepest, kinds, tents=manifest.counts["tents"] > 0),
        "heads": "".join(f"<span>{name}</span>" for name in _heads(kinds)),
        "samples": "\n".join(_sample(s, p, wet=_wet(s)) for s, p in zip(samples, panels, strict=True)),
    }
    publish_text(store, REPORT, page.substitute(parts))


def _chosen(store: Store, manifest: DatasetRecord) -> Iterator[Sample]:
    """Up to twelve samples, spread evenly over the dataset."""
    names = [(shard.name, key) for shard in manifest.shards for key in shard.keys]
    picks = np.unique(np.linspace(0, len(names) - 1, min(SHOWN, len(names))).round().astype(int))
    for name, key in (names[i] for i in picks):
        with store.fetch(f"{SHARDS}/{name}") as path, TarIndex(path) as tar:
            yield decode_sample(partial(tar.read, key), file=f"{name}: {key}")


def _chains(manifest: DatasetRecord) -> list[tuple[str, ...]]:
    """Each chain of hazards that struck, by their kinds in order."""
    chains = []
    for event in manifest.events:
        hazard = whole(manifest.recipe, event.recipe).get("hazard", {})
        parts = hazard if isinstance(hazard, list) else [hazard]
        chains.append(tuple(_name(part) for part in parts))
    return list(dict.fromkeys(chains))


def _wet(sample: Sample) -> bool:
    return "flood" in sample.record.hazard.split("-")


def _heads(kinds: set[bool]) -> tuple[str, ...]:
    """Over the pictures of a dataset with and without floods among its events; of both, what either shows."""
    if len(kinds) == 1:
        return _HEADS[next(iter(kinds))]
    return (*_HEADS[True][:3], f"{_HEADS[True][3]}; or {_HEADS[False][3]}")


def _name(part: dict[str, Any]) -> str:
    """A hazard's kind; of one of the user's own, its function's name."""
    function = str(part.get("function", "")).rpartition(":")[2]
    return function.replace("_", " ") or str(part.get("kind", "disaster"))


def _panels(sample: Sample, deepest: float | None) -> list[Picture]:
    """``deepest`` is the end of the depth scale, None where no flood was asked for."""
    last = trace_panel(sample) if deepest is None else depth_panel(sample, deepest)
    pictures = [sample.images["pre"], sample.images["post"], overlay(sample), last]
    return [shrunk(picture, SIDE) for picture in pictures]


def _facts(manifest: DatasetRecord, timings: dict[str, Any] | None, inferred: list[str]) -> dict[str, str]:
    size, gsds = manifest.size, sorted({event.gsd for event in manifest.events})
    said = [f"{gsd:g} m ({size * gsd:,.0f} m a side)" for gsd in dict.fromkeys((gsds[0], gsds[-1]))]
    side = f"{size} px at {' to '.join(said)}"
    hazard = _disasters(manifest)
    return {
        "title": escape(f"{manifest.name}: {_count(manifest.samples, 'pair')} of images"),
        "subtitle": escape(f"{hazard[0].upper()}{hazard[1:]}, seen before and after, every pixel labelled. {side}."),
        "figures": _figures(manifest),
        "classes": _class_table(manifest),
        "grades": _grade_table(manifest),
        "provenance": _pairs(
            {"seed": manifest.seed, "recipe hash": manifest.recipe_hash, "format": manifest.format}
            | {"bands": ", ".join(manifest.bands), "index sha256": manifest.index_sha256}
            | {"inferred, as no source holds it": ", ".join(inferred) or "nothing"}
        ),
        "timings": _timing_table(timings),
        "sources": _table(
            ("name", "format", "licence"),
            [[escape(_said(source.get(k))) for k in ("name", "format", "licence")] for source in manifest.sources],
        ),
        "versions": _pairs(manifest.versions),
        "recipe": escape(
            yaml.safe_dump(manifest.mixture or manifest.recipe, sort_keys=False, default_flow_style=None).strip()
        ),
        "splits": _split_table(manifest),
        "shards": _shard_table(manifest),
        "footer": "<code>mage verify</code> recomputes every checksum, count and label rule of this dataset.",
    }


def _disasters(manifest: DatasetRecord) -> str:
    """What happened: a flood; an earthquake and then a fire; or how many events there were of what."""
    chains = [["storm" if kind == "wind" else kind for kind in chain] for chain in _chains(manifest)]
    if len(manifest.events) == 1:
        return " and then ".join(("an " if name[0] in "aeiou" else "a ") + name for name in chains[0])
    kinds = ", ".join(" and then ".join(chain) for chain in chains)
    cities = len({event.city for event in manifest.events})
    return f"{_count(len(manifest.events), 'event')} in {cities:,} {'city' if cities == 1 else 'cities'} ({kinds})"


def _split_table(manifest: DatasetRecord) -> str:
    """Of each split: its pairs, cities and events."""
    rows = []
    for split in dict.fromkeys(event.split for event in manifest.events):
        mine = [event for event in manifest.events if event.split == split]
        pairs, cities = sum(event.samples for event in mine), len({event.city for event in mine})
        hazards = ", ".join(dict.fromkeys(event.hazard for event in mine))
        rows.append([escape(split), f"{pairs:,}", f"{cities:,}", f"{len(mine):,}", escape(hazards)])
    return _table(("split", "pairs", "cities", "events", "hazards"), rows, numeric=(1, 2, 3))


def _figures(manifest: DatasetRecord) -> str:
    counts = manifest.counts
    pixels = counts["pixels"]["post_class"]
    trace = "flood" if any("flood" in chain for chain in _chains(manifest)) else "rubble"
    damaged = counts["buildings"] - counts["jds"][JDS_NAMES[0]]
    area = sum(event.samples * (manifest.size * event.gsd) ** 2 for event in manifest.events) / 1e6
    cards = {
        "pairs of images": f"{manifest.samples:,}",
        "buildings": f"{counts['buildings']:,}",
        "of the buildings damaged": _percent(damaged, counts["buildings"]),
        f"of what is seen after is {trace}": _percent(pixels.get(trace, 0), sum(pixels.values())),
        "imaged (tiles may overlap)": f"{area:.2f} km²",
        **({"tents": f"{counts['tents']:,}"} if counts["tents"] else {}),
        "on disk": f"{sum(shard.bytes for shard in manifest.shards) / 1e6:,.1f} MB",
    }
    return "".join(f'<div class="figure"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for k, v in cards.items())


def _legends(deepest: float, kinds: set[bool], *, tents: bool) -> str:
    """Of what the pictures show; ``kinds`` tells whether there are events without and with a flood."""
    damage = list(zip((name.replace("-", " ") for name in JDS_NAMES), DAMAGE_COLOURS[1:], strict=True))
    damage += [("tent", CLASS_COLOURS[LandClass.TENT])] if tents else []
    damage += [("flood water", FLOOD_TINT)] if True in kinds else []
    traces = [("debris", DEBRIS), ("burnt", SCORCHED), ("street closed to cars", CLOSED), ("building", HOUSES)]
    beside = [("dry ground", DRY), ("building", HOUSES), ("permanent water", RIVER)]
    ramp = np.repeat(depth_ramp()[None], 8, axis=0)
    bar = f'0 <img class="ramp" alt="colour scale of depth" src="{_data_uri(ramp, ".png")}"> {deepest:g} m'
    of_kind = {
        False: ("Traces", _keys([*traces, ("permanent water", RIVER)])),
        True: ("Depth", f'<span class="key">{bar}</span>{_keys(beside)}'),
    }
    rows = [("Damage", _keys(damage)), *(of_kind[kind] for kind in sorted(kinds))]
    return "".join(f'<div class="legend"><span class="name">{name}</span>{keys}</div>' for name, keys in rows)


def _keys(entries: Iterable[tuple[str, Colour]]) -> str:
    return "".join(f'<span class="key">{_swatch(colour)}{escape(name)}</span>' for name, colour in entries)


def _sample(sample: Sample, pictures: list[Picture], *, wet: bool) -> str:
    record = sample.record
    images = "".join(
        f'<img alt="{escape(f"{record.key}: {name}")}" src="{_data_uri(picture, ".png" if k == 3 else ".jpg")}">'
        for k, (name, picture) in enumerate(zip(_HEADS[wet], pictures, strict=True))
    )
    grades = [building.jds for building in record.buildings]
    tally = "".join(
        f'<span class="key" title="{escape(JDS_NAMES[g])}">{_swatch(DAMAGE_COLOURS[g + 1])}{grades.count(g)}</span>'
        for g in range(len(JDS_NAMES))
    )
    if record.tents:
        tally += f'<span class="key">{_swatch(CLASS_COLOURS[LandClass.TENT])}{_count(len(record.tents), "tent")}</span>'
    dates = " → ".join(
        f"{taken.capture_date[:16].replace('T', ' ')}, sun {taken.sun_elevation:.0f}°"
        for taken in (record.pre, record.post)
    )
    small = " small" if max(pictures[0].shape) < SIDE else ""
    return (
        f'<figure class="sample{small}"><div class="strip">{images}</div>'
        f"<figcaption><b>{escape(record.key)}</b><span>{escape(dates)}</span>"
        f"<span>{escape(_parameters(record.parameters))}</span>"
        f'<span class="tally">{tally}</span></figcaption></figure>'
    )


def _parameters(parameters: dict[str, float | int | str | None]) -> str:
    shown = {k: f"{v:.2f}" if isinstance(v, float) else str(v) for k, v in parameters.items() if v is not None}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in shown.items())


def _class_table(manifest: DatasetRecord) -> str:
    before, after = (manifest.counts["pixels"][f"{date}_class"] for date in ("pre", "post"))
    totals = sum(before.values()), sum(after.values())
    rows = []
    for name, colour in manifest.colours.items():
        counts = before.get(name, 0), after.get(name, 0)
        if any(counts):
            cells = [f"{_swatch(colour)} {escape(name)}"]
            for count, total in zip(counts, totals, strict=True):
                cells += [_percent(count, total), _bar(count, total, colour)]
            rows.append(cells)
    return _table(("class", "before", "", "after", ""), rows, numeric=(1, 3), bars=(2, 4))


def _grade_table(manifest: DatasetRecord) -> str:
    counts, total = manifest.counts["jds"], manifest.counts["buildings"]
    rows = []
    for grade, name in enumerate(JDS_NAMES):
        colour, count = DAMAGE_COLOURS[grade + 1], counts[name]
        label = f"{_swatch(colour)} {grade} {escape(name.replace('-', ' '))}"
        rows.append([label, f"{count:,}", _percent(count, total), _bar(count, total, colour)])
    return _table(("grade", "buildings", "share", ""), rows, numeric=(1, 2), bars=(3,))


def _timing_table(timings: dict[str, Any] | None) -> str:
    if not timings:
        return "<p>The run that made this dataset left no timings.</p>"
    samples = int(timings.get("samples") or 0)
    seconds: dict[str, float] = timings.get("seconds") or {}
    rows = [
        [escape(stage), f"{spent:,.1f} s", f"{spent / samples:.2f} s" if samples else "–"]
        for stage, spent in seconds.items()
    ]
    wall = float(timings.get("wall") or 0.0)
    rows.append(["wall clock", f"{wall:,.1f} s", f"{wall / samples:.2f} s" if samples else "–"])
    where = f"{_count(samples, 'pair')} in this run, {_count(int(timings.get('workers') or 1), 'worker')}"
    device = f", on {timings['device']}" if timings.get("device") else ""
    return _table(("stage", "in all", "per pair"), rows, numeric=(1, 2)) + f"<p>{escape(where + device)}.</p>"


def _shard_table(manifest: DatasetRecord) -> str:
    rows = [
        [escape(s.name), f"{s.samples:,}", f"{s.bytes / 1e6:,.1f} MB", f"<code>{s.labels_sha256[:16]}</code>"]
        for s in manifest.shards[:SHOWN]
    ]
    more = len(manifest.shards) - len(rows)
    rest = f"<p>… and {more:,} more, all in dataset.json.</p>" if more else ""
    return _table(("shard", "pairs", "size", "labels sha256"), rows, numeric=(1, 2)) + rest


def _table(
    heads: Sequence[str], rows: list[list[str]], *, numeric: Sequence[int] = (), bars: Sequence[int] = ()
) -> str:
    """An HTML table; the cells are HTML already."""
    kinds = ["n" if k in numeric else "b" if k in bars else "t" for k in range(len(heads))]
    head = "".join(f'<th class="{kind}">{escape(text)}</th>' for kind, text in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f'<td class="{k}">{cell}</td>' for k, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _pairs(facts: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(str(name))}</td><td><code>{escape(_said(value))}</code></td></tr>"
        for name, value in facts.items()
    )
    return f'<table class="pairs"><tbody>{rows}</tbody></table>'


def _bar(count: int, total: int, colour: Colour) -> str:
    if not count:
        return ""
    return f'<span class="bar" style="width:{100 * count / max(total, 1):.2f}%;background:{_css(colour)}"></span>'


def _swatch(colour: Colour) -> str:
    return f'<span class="swatch" style="background:{_css(colour)}"></span>'


def _css(colour: Colour) -> str:
    return "rgb({},{},{})".format(*(int(c) for c in colour))


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _said(value: Any) -> str:
    return "not stated" if value is None else str(value)


def _data_uri(picture: Picture, suffix: str) -> str:
    """The picture inside a URI: JPEG for photographs, PNG for what has few colours."""
    if suffix == ".png":
        data = encode_png(picture)
    else:
        data = cv2.imencode(suffix, np.ascontiguousarray(picture[..., ::-1]), JPEG)[1].tobytes()
    kind = "png" if suffix == ".png" else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
