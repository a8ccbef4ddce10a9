"""README.md of an export: what it is, what is in it, how it differs from the format's own data, whose data it holds."""

from __future__ import annotations

from mage.generator.export.formats import Format
from mage.generator.export.output import ExportRecord
from mage.scenes.dataset.schema import DatasetRecord


def readme(form: Format, record: ExportRecord, manifest: DatasetRecord) -> str:
    """The text, Markdown."""
    made = f"{record.samples} samples of the simulated dataset `{record.dataset}`, {record.labels} labels"
    counts = [f"| {split} | {count} |" for split, count in record.counts.items()]
    notes = [f"- {note}." for note in record.notes]
    sources = [f"- {s.get('name')}: {s.get('licence') or 'licence not stated'}" for s in manifest.sources]
    lines = [f"# {record.dataset}", "", f"{form.about}. {made}, written by MAGE {record.mage}.", ""]
    lines += ["| split | samples |", "|---|---|", *counts, ""]
    lines += ["## Differences", "", *notes, ""] if notes else []
    lines += ["## Sources", "", *(sources or ["- none stated"]), ""]
    lines += [
        "Images are rendered, not taken: they show simulated disasters. `samples.jsonl` gives each sample's key in"
    ]
    lines += [f"the dataset, whose recipe has the hash `{manifest.recipe_hash}` and seed {manifest.seed}.", ""]
    return "\n".join(lines)
