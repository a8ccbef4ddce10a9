"""``DATASHEET.md``: the questions of Datasheets for Datasets (Gebru et al. 2021), answered from what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from mage.generator.release.licences import SourceTerms
from mage.generator.release.markdown import count, listed, plain, share, span, table
from mage.generator.release.survey import Group, Survey
from mage.generator.release.words import Words, hazard_names
from mage.scenes.dataset.fields import CLASS_COLOURS
from mage.scenes.dataset.released import LICENCES, SUMS, ReleaseRecord
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.grades import JDS_NAMES


def datasheet(
    record: ReleaseRecord, manifest: DatasetRecord, survey: Survey, words: Words, sources: Sequence[SourceTerms]
) -> str:
    """The document."""
    where = f"https://doi.org/{record.doi}" if record.doi else "no DOI yet"
    parts = [
        f"# Datasheet of {plain(record.title)} {record.version}",
        "The questions are those of Gebru et al., *Datasheets for Datasets* (Communications of the ACM 64(12), 2021). "
        "Numbers are counted over every sample of this release.",
        "## Motivation",
        _asked("For what purpose was the dataset created?", f"{plain(record.description)} {words.uses[0]}"),
        _asked("Who created it?", plain("; ".join(record.authors))),
        "## Composition",
        *_composition(manifest, survey, words),
        "## Collection",
        *_collection(manifest, words, sources),
        "## Preprocessing and labelling",
        _asked("Was any preprocessing, cleaning or labelling done?", words.labelled),
        _asked("What was inferred?", plain(words.inferred)),
        "## Uses",
        _asked("What could it be used for?", "\n".join(f"- {use}" for use in words.uses)),
        _asked("What might go wrong in use?", words.impact),
        "## Distribution",
        _asked("Under which terms?", f"{record.licence}; [{LICENCES}]({LICENCES}) names all sources and their terms."),
        _asked("When, and where from?", f"{record.date}; {where}."),
        "## Maintenance",
        _asked("How is it maintained?", plain(words.maintenance)),
        _asked("How can it be checked?", _CHECKS),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _asked(question: str, answer: str) -> str:
    return f"**{question}**\n\n{answer}"


def _composition(manifest: DatasetRecord, survey: Survey, words: Words) -> list[str]:
    sensors = listed(f"{s.name} ({len(s.bands)} bands)" for s in manifest.sensors)
    further = f", and images of further sensors: {sensors}" if manifest.sensors else ""
    return [
        _asked(
            "What are the instances?",
            f"Pairs of RGB images, {manifest.size} x {manifest.size} px at {span(min(survey.gsd), max(survey.gsd))} m"
            f"{further}; for each, label rasters and a JSON record with buildings, roads and tents as vectors.",
        ),
        _asked("How many are there?", table(_SPLIT_HEADS, _split_rows(survey))),
        _asked("How are the buildings graded (Joint Damage Scale)?", _grades(survey)),
        _asked("And by EMS-98, the physical grade?", _ems98(survey)),
        _asked("What covers the ground, in pixels of `class`?", _covers(survey.all)),
        _asked("What do the samples span?", _spans(survey)),
        _asked("Do splits overlap?", _splits(survey)),
        _asked("Are there errors, noise or gaps?", "\n".join(f"- {plain(limit)}" for limit in words.limits)),
        _asked("Is it balanced?", "\n".join(f"- {plain(bias)}" for bias in words.biases)),
        _asked("Does it hold personal or confidential data?", words.privacy),
    ]


_CHECKS = (
    f"`sha256sum -c {SUMS}` and `mage verify .`; `mage reproduce . --tile KEY` renders a sample again and compares."
)
_SPLIT_HEADS = (
    "split", "samples", "cities", "events", "buildings", "damaged buildings", "samples with damage", "roads",
    "closed to cars", "tents",
)  # fmt: skip


def _split_rows(survey: Survey) -> list[tuple[object, ...]]:
    return [_split_row(name, group) for name, group in [*survey.splits.items(), ("all", survey.all)]]


def _split_row(name: str, group: Group) -> tuple[object, ...]:
    damaged = group.buildings - group.jds[0]
    return (
        name, group.samples, len(group.cities), len(group.events), group.buildings,
        f"{damaged:,} ({share(damaged, group.buildings)})", group.damaged_samples, group.roads, group.closed,
        group.tents,
    )  # fmt: skip


def _grades(survey: Survey) -> str:
    rows = [
        (name, *(f"{number:,} ({share(number, group.buildings)})" for number in group.jds))
        for name, group in [*survey.splits.items(), ("all", survey.all)]
    ]
    return table(("split", *JDS_NAMES), rows)


def _ems98(survey: Survey) -> str:
    rows = [(name, *group.ems98) for name, group in [*survey.splits.items(), ("all", survey.all)]]
    return table(("split", *(f"grade {grade}" for grade in range(6))), rows)


def _covers(whole: Group) -> str:
    before, after = (whole.pixels[f"{date}_class"] for date in ("pre", "post"))
    names = [kind.name.lower() for kind in CLASS_COLOURS if before[kind.name.lower()] or after[kind.name.lower()]]
    totals = sum(before.values()), sum(after.values())
    rows = [(name, share(before[name], totals[0]), share(after[name], totals[1])) for name in names]
    return table(("class", "before", "after"), rows)


def _spans(survey: Survey) -> str:
    ranges, hazards = survey.ranges, sorted(survey.all.hazards.items())
    named = zip(hazard_names(survey), hazards, strict=True)
    shown = {
        "disasters": listed(f"{name} ({number:,})" for name, (_, number) in named),
        "date before": _days(survey.dates[0]),
        "date after": _days(survey.dates[1]),
        "sun above the horizon": f"{span(ranges['sun_elevation'].low, ranges['sun_elevation'].high)}°",
        "off nadir": f"{span(ranges['off_nadir_angle'].low, ranges['off_nadir_angle'].high)}°",
        "shift of the image after": span(ranges["shift"].low, ranges["shift"].high, "px"),
        "cloud over a tile": f"{share_span(ranges['cloud_cover'].low, ranges['cloud_cover'].high)}",
        "haze": share_span(ranges["haze"].low, ranges["haze"].high),
        "smoke over the image after": share_span(ranges["smoke"].low, ranges["smoke"].high),
        "maps": listed(f"{crs} ({number:,})" for crs, number in sorted(survey.crs.items())) if survey.crs else "none",
        "samples that lie nowhere on the Earth": f"{survey.unplaced:,}",
    }  # fmt: skip
    return table(("what", "from, to"), [(name, plain(value)) for name, value in shown.items()])


def share_span(low: float, high: float) -> str:
    """Two shares in percent, or the one."""
    return span(round(100 * low, 1), round(100 * high, 1), "%")


def _days(days: set[str]) -> str:
    first, last = min(days), max(days)
    return first if first == last else f"{first} to {last} ({len(days)} dates)"


def _splits(survey: Survey) -> str:
    if not survey.overlaps:
        return "There is one split."
    rows = [
        (
            f"{o.first}, {o.second}",
            len(o.cities),
            len(o.events),
            o.overlapping,
            "–" if o.apart is None else f"{o.apart:,.1f} m",
        )
        for o in survey.overlaps
    ]
    return (
        table(("splits", "cities in both", "events in both", "samples that overlap", "nearest"), rows)
        + "\n\nOverlap and distance are measured between tiles on one map; splits without a common map have neither."
    )


def _collection(manifest: DatasetRecord, words: Words, sources: Sequence[SourceTerms]) -> list[str]:
    rows = [
        (plain(s.name), plain(s.format), "MAGE's own" if s.drawn else listed(x.id for x in s.licences)) for s in sources
    ]
    text = f"`recipe.yaml` with seed {manifest.seed}: {count(len(manifest.events), 'event')}."
    made = table(("software", "version"), sorted(manifest.versions.items()))
    return [
        _asked("How was the data acquired?", plain(words.made)),
        _asked("From which sources?", table(("source", "format", "licence"), rows) if rows else "None is stated."),
        _asked("How were instances chosen?", plain(words.sampling)),
        _asked("What made it?", f"{text}\n\n{made}"),
        _asked("Over what time?", "None: no image was taken. Dates are chosen, and sun and season computed for them."),
        _asked("Were people involved, or an ethical review?", "No person is shown or took part in labelling."),
    ]  # fmt: skip
