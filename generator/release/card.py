"""``README.md``: the card of the dataset, with the front matter that Hugging Face reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mage.generator.release.licences import LICENCES as KNOWN
from mage.generator.release.markdown import front_matter, plain, table
from mage.generator.release.survey import Survey
from mage.generator.release.words import Words
from mage.scenes.dataset.index import TABLE
from mage.scenes.dataset.released import (
    BASELINE_TABLE,
    CITATION,
    CROISSANT,
    DATACITE,
    DATASHEET,
    LICENCES,
    SPLITS,
    SUMS,
    ZENODO,
    ReleaseRecord,
)
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.dataset.store import SHARDS

SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def card(
    record: ReleaseRecord,
    manifest: DatasetRecord,
    survey: Survey,
    words: Words,
    shards: Mapping[str, Sequence[str]],
    pictures: Mapping[str, str],
) -> str:
    """The document.

    Args:
        record: of the release.
        manifest: of its dataset.
        survey: what the dataset holds.
        words: sentences about it.
        shards: names of the shards that hold each split's samples.
        pictures: paths of previews by what they show.
    """
    parts = [
        f"# {plain(record.title)}",
        plain(record.description),
        *(f"![{text}]({path})" for text, path in pictures.items()),
        "Damage is green where there is none, yellow minor, orange major, red destroyed; flood water is blue.",
        "## Splits",
        _splits(record),
        "## Load",
        _load(record, manifest),
        "## What a sample holds",
        _fields(manifest),
        "## Limits",
        "\n".join(f"- {plain(limit)}" for limit in [*words.limits, *words.biases]),
        "## Licence and citation",
        f"{record.licence}; [{LICENCES}]({LICENCES}) names every source and what it asks.",
        f"> {plain(_citation(record))}",
        "## Trust",
        _trust(),
    ]
    return front_matter(_head(record, survey, shards)) + "\n" + "\n\n".join(parts) + "\n"


def _head(record: ReleaseRecord, survey: Survey, shards: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    licence = KNOWN[record.licence]
    files = [{"split": _word(split), "path": _paths(split, shards)} for split in record.splits]
    size = next((name for most, name in SIZES if survey.all.samples < most), "n>1T")
    return {
        "license": licence.hub,
        "pretty_name": record.title,
        "task_categories": ["image-segmentation"],
        "tags": ["remote-sensing", "disaster", "damage-assessment", "change-detection", "synthetic", "webdataset"],
        "size_categories": [size],
        "configs": [
            {"config_name": "default", "data_files": files, "default": True},
            {"config_name": "index", "data_files": [{"split": "all", "path": TABLE}]},
        ],
        "mage": {
            "release": f"{record.name} {record.version}",
            "licence": record.licence,
            "samples": {name: split.samples for name, split in record.splits.items()},
        },
    }


def _word(split: str) -> str:
    """A split's name as Hugging Face allows it: no hyphens."""
    return split.replace("-", "_")


def _paths(split: str, shards: Mapping[str, Sequence[str]]) -> str | list[str]:
    """The shards of a split: one pattern where their names say which they are, else each of them."""
    mine, others = shards[split], [name for k, names in shards.items() if k != split for name in names]
    pattern = all(name.startswith(f"{split}-") for name in mine) and not any(n.startswith(f"{split}-") for n in others)
    return f"{SHARDS}/{split}-*.tar" if pattern else [f"{SHARDS}/{name}" for name in mine]


def _splits(record: ReleaseRecord) -> str:
    rows = [(name, s.samples, s.buildings, s.damaged, f"`{SPLITS}/{name}.txt`") for name, s in record.splits.items()]
    return table(("split", "samples", "buildings", "damaged", "keys"), rows)


def _load(record: ReleaseRecord, manifest: DatasetRecord) -> str:
    first = next(iter(record.splits))
    name = manifest.shards[0].name
    return "\n\n".join(
        (
            f"Shards are plain tars in the layout of WebDataset; `{TABLE}` is the index, a row a sample.",
            "```python\n"
            "import webdataset\n"
            f'for sample in webdataset.WebDataset("{SHARDS}/{name}", shardshuffle=False).decode("rgb8"):\n'
            '    before, after, damage = sample["pre.png"], sample["post.png"], sample["post_damage.png"]\n'
            "```",
            "```python\n"
            "from mage.learning import ShardDataset  # pip install 'mage-eo[learning]'\n"
            'pair = ShardDataset(".")[0]\n'
            "```",
            f"`datasets.load_dataset` finds the splits (`{_word(first)}` …) by the head of this file, and "
            f"[{CROISSANT}]({CROISSANT}) describes index and files to any reader of Croissant.",
        )
    )


def _fields(manifest: DatasetRecord) -> str:
    rows = [
        (f"`KEY.{name}`", f["dtype"], f.get("unit", ""), plain(f["meaning"]).replace("\\`", "`"))
        for name, f in manifest.fields.items()
    ]
    return table(("member", "type", "unit", "meaning"), rows)


def _citation(record: ReleaseRecord) -> str:
    where = f" https://doi.org/{record.doi}" if record.doi else ""
    authors = "; ".join(record.authors)
    return f"{authors} ({record.date[:4]}). {record.title} (version {record.version}) [Data set].{where}"


def _trust() -> str:
    return (
        f"- [{DATASHEET}]({DATASHEET}): how it was made, what it holds, what it does not; "
        f"[{BASELINE_TABLE}]({BASELINE_TABLE}): what "
        "methods that learn nothing reach.\n"
        f"- `sha256sum -c {SUMS}` checks every file; `mage verify .` recomputes every count and label rule as well, "
        f"and compares "
        "the documents with the data.\n"
        "- `mage reproduce . --tile KEY` renders a sample again and compares it with the one here.\n"
        f"- [{CITATION}]({CITATION}), [{DATACITE}]({DATACITE}), [{ZENODO}]({ZENODO}) and the STAC collection in "
        f"`stac/` "
        "are made from the same figures."
    )
