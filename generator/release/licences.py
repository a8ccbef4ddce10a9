"""Whose data a dataset is made from, what their licences ask, and whether the release's licence keeps to it.

A rendered image is a work made from a city's data; outlines, road axes and label rasters hold the data's own shapes. So
a source's licence is taken to bind the whole release, images included: the careful reading. ODbL 1.0 would let images
alone, as Produced Works (4.3), go under other terms with a notice, but not the shapes (4.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from mage.generator.release.markdown import plain, table
from mage.scenes.errors import DatasetError
from mage.scenes.yamlio import parse_yaml

OURS = "procedural"  # the name of a city that MAGE drew


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence by its SPDX identifier; see ``assets/licences.yaml``."""

    id: str
    name: str
    url: str
    hub: str
    release: bool
    asks: frozenset[str]
    kept_by: frozenset[str]
    known_as: tuple[str, ...]


def _read() -> dict[str, Licence]:
    text = files("mage.assets").joinpath("licences.yaml").read_text(encoding="utf-8")
    return {
        key: Licence(
            key,
            entry["name"],
            entry["url"],
            entry["hub"],
            entry["release"],
            frozenset(entry["asks"]),
            frozenset((key, *entry.get("kept_by", ()))),
            tuple(entry["known_as"]),
        )
        for key, entry in parse_yaml(text, "licences.yaml").items()
    }


LICENCES = _read()


@dataclass(frozen=True, slots=True)
class SourceTerms:
    """A source's data: its licences (none for what MAGE drew itself), whom to name, and who stated the licence."""

    name: str
    format: str
    sha256: str | None
    licences: tuple[Licence, ...]
    attribution: str
    stated_by_publisher: bool

    @property
    def drawn(self) -> bool:
        """Whether MAGE drew it, so that nobody's terms bind."""
        return not self.licences


def recognise(text: str) -> tuple[Licence, ...]:
    """The licences that a source's words name, in the order of the words; none if there is none that is known."""
    flat = f" {re.sub(r'[^a-z0-9.]+', ' ', text.lower().replace('https://', '').replace('/www.', '/'))} "
    names = {name: licence for licence in LICENCES.values() for name in (_flat(licence.id), *licence.known_as)}
    found: dict[int, Licence] = {}
    for name in sorted(names, key=len, reverse=True):
        while (place := flat.find(f" {name} ")) >= 0:
            found[place] = names[name]
            flat = flat[: place + 1] + "\0" * len(name) + flat[place + 1 + len(name) :]
    return tuple(dict.fromkeys(found[place] for place in sorted(found)))


def _flat(words: str) -> str:
    return re.sub(r"[^a-z0-9.]+", " ", words.lower())


def source_terms(
    sources: Sequence[Mapping[str, Any]], further: Sequence[str], stated: Mapping[str, str]
) -> list[SourceTerms]:
    """The terms of all that a dataset is made from.

    Args:
        sources: as in ``dataset.json``: name, format, licence and sha256 of each.
        further: names of other files of data that the recipe reads (elevation, ShakeMaps ...), of which a dataset
            records no licence.
        stated: the publisher's words for sources by name: ``CC-BY-4.0, © City of Delft``.

    Raises:
        DatasetError: a source without a licence, or with one that is not known, for which the publisher states none.
    """
    known = [*sources, *({"name": name, "format": "file", "licence": None} for name in further)]
    strangers = sorted(set(stated) - {str(source.get("name")) for source in known})
    if strangers:
        names = ", ".join(str(source.get("name")) for source in known) or "none"
        raise DatasetError("a licence is stated for no source", expected=f"one of {names}", found=strangers[0])
    return list(dict.fromkeys(_terms_of(source, stated) for source in known))


def _terms_of(source: Mapping[str, Any], stated: Mapping[str, str]) -> SourceTerms:
    name, kind = str(source.get("name")), str(source.get("format") or "file")
    words = stated.get(name) or str(source.get("licence") or "")
    if name == OURS and kind.startswith("MAGE") and name not in stated:
        return SourceTerms(name, kind, None, (), "", stated_by_publisher=False)
    licences = recognise(words)
    parts = words.partition(",")[0].split(
        " and "
    )  # of files that were read together, see the merging of their metadata
    if not all(recognise(part) for part in parts):
        raise DatasetError(
            f"the source {name} "
            + (f"is under a licence that is not known ({words[:80]!r})" if words else "states no licence")
            + ", so the dataset cannot be released; look it up where the file comes from and say it by "
            f"--source-licence '{name}=CC-BY-4.0, © WHOSE IT IS'"
        )
    attribution = words.partition(",")[2].strip() or name
    return SourceTerms(name, kind, source.get("sha256"), licences, attribution, stated_by_publisher=name in stated)


def conflicts(licence: Licence, sources: Sequence[SourceTerms]) -> list[str]:
    """Why a release cannot be under ``licence``: a sentence for each term of a source that it would break."""
    return [
        f"{source.name} is under {theirs.id}, which {reason}"
        for source in sources
        for theirs in source.licences
        if (reason := _conflict(licence, theirs))
    ]


def _conflict(ours: Licence, theirs: Licence) -> str | None:
    if "no-derivatives" in theirs.asks:
        return "lets nobody publish what is made from it"
    if "share-alike" in theirs.asks and ours.id not in theirs.kept_by:
        return f"asks that what is made from it be under {' or '.join(sorted(theirs.kept_by))}, not {ours.id}"
    if "non-commercial" in theirs.asks - ours.asks:
        return f"excludes commercial use, while {ours.id} allows it"
    if "attribution" in theirs.asks - ours.asks:
        return f"asks that its authors be named, while {ours.id} frees users from that"
    return None


def warnings(sources: Sequence[SourceTerms]) -> list[str]:
    """What a publisher should know: terms that bind those who use the release."""
    binding = [s for s in sources if any("share-alike" in licence.asks for licence in s.licences)]
    return [
        f"{s.name} ({' and '.join(licence.id for licence in s.licences)}) is share-alike: whoever publishes what they "
        "make from this release must do so under the same licence"
        for s in binding
    ]


def licences_document(licence: Licence, sources: Sequence[SourceTerms]) -> str:
    """``LICENSES.md``."""
    bound = [source for source in sources if not source.drawn]
    parts = [
        "# Licences",
        f"This release is under **{licence.id}**, [{licence.name}]({licence.url}). It asks: "
        f"{', '.join(sorted(licence.asks)) or 'nothing'}.",
        "## Sources",
        table(
            ("source", "format", "licence", "asks", "name them as", "sha256 of the file"),
            [_row(source) for source in sources],
        ),
    ]
    if any(source.drawn for source in sources):
        parts.append("Cities of MAGE's own are drawn by rules and a random seed; nobody else's data is in them.")
    if any(source.stated_by_publisher for source in sources):
        parts.append(
            "† as the publisher of this release states it; the file itself does not say, or says it otherwise."
        )
    if bound:
        names = "\n".join(f"- {plain(source.attribution)}" for source in bound)
        parts += ["## Whom to name", f"Wherever this release, or what is made from it, is shown:\n\n{names}"]
        parts += ["## How the sources' terms are read", _reading(bound)]
    parts.append("This page says how the publisher reads these licences. It is no legal advice.")
    return "\n\n".join(parts) + "\n"


def _row(source: SourceTerms) -> tuple[str, ...]:
    if source.drawn:
        return source.name, plain(source.format), "none needed", "nothing", "–", "–"
    mark = " †" if source.stated_by_publisher else ""
    named = " and ".join(f"[{licence.id}]({licence.url})" for licence in source.licences)
    asks = sorted({term for licence in source.licences for term in licence.asks})
    digest = f"`{source.sha256}`" if source.sha256 else "–"
    return (
        plain(source.name),
        plain(source.format),
        named + mark,
        ", ".join(asks) or "nothing",
        plain(source.attribution),
        digest,
    )


def _reading(bound: Sequence[SourceTerms]) -> str:
    text = (
        "The images show, and the outlines, road axes and label rasters repeat, what the sources hold; so the terms "
        "of each "
        "source are taken to bind the whole release."
    )
    if any(licence.id == "ODbL-1.0" for source in bound for licence in source.licences):
        text += (
            " Under ODbL 1.0 the images are Produced Works (4.3), which need a notice; the vectors and label rasters "
            "are "
            "taken for a Derivative Database (4.4), which stays under ODbL. One licence for all keeps both."
        )
    if any("share-alike" in licence.asks for source in bound for licence in source.licences):
        text += " Share-alike terms pass on to whoever publishes an adapted dataset."
    return text
