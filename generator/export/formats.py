"""What a format is, and which there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from mage.generator.export.tiles import Tile
from mage.scenes.dataset.schema import DatasetRecord
from mage.scenes.doctor import extra_of
from mage.scenes.errors import DatasetError, MageError, MissingExtraError
from mage.scenes.grades import JDS_NAMES

FORMATS = ("xbd", "bright", "coco", "cems", "geotiff", "huggingface", "folder")
# what annotators' grades are called by the `label_policy` that they were given by
SCALES = {"xbd": JDS_NAMES, "roof": JDS_NAMES, "bright": ("intact", "damaged", "destroyed")}

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Labels:
    """Which labels an export takes: the exact ones, or with a ``policy`` what annotators drew and graded by it."""

    policy: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the grades, from the lowest on; a raster holds their place plus 1."""
        return SCALES[self.policy or "xbd"]


@dataclass(frozen=True, slots=True)
class Output:
    """Files by name, and for each sample in them an entry of JSON types: ``key``, ``split``, the ``name`` that the
    format gives it, and what the format needs for its last files.
    """

    files: Mapping[str, bytes]
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Summary:
    """An export whose samples are written, to make its last files from; ``entries`` reads them anew each time."""

    manifest: DatasetRecord
    labels: Labels
    counts: dict[str, int]
    entries: Callable[[], Iterator[Entry]]


SideFiles = Iterator[tuple[str, Iterable[bytes]]]


def nothing_more(_: Summary) -> SideFiles:
    """No last files."""
    return iter(())


def no_card(_: Summary) -> str:
    """Nothing at the head of README.md."""
    return ""


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        about: one line for README.md.
        write: tiles of one shard to files; a pure function.
        finish: the last files, made from all entries.
        notes: where the export differs from what the format's own data hold.
        policies: `label_policy` of annotations that can be exported in it.
        card: what stands at the head of README.md.
    """

    about: str
    write: Callable[[Iterator[Tile], Labels], Iterator[Output]]
    finish: Callable[[Summary], SideFiles] = nothing_more
    notes: tuple[str, ...] = ()
    policies: frozenset[str] = field(default_factory=frozenset)
    card: Callable[[Summary], str] = no_card


def load_format(name: str) -> Format:
    """A format by its name.

    Raises:
        MageError: there is no such format.
        MissingExtraError: it needs a module that is not installed.
    """
    if name not in FORMATS:
        raise MageError("no such format", expected=f"one of {', '.join(FORMATS)}", found=name)
    try:
        found = import_module(f"mage.generator.export.{name}").FORMAT
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "", extra_of(error.name or "") or "cities") from None
    assert isinstance(found, Format)
    return found


def choose_labels(wanted: str, name: str, form: Format, manifest: DatasetRecord) -> Labels:
    """The labels that ``auto``, ``exact`` or ``annotated`` asks for; ``auto`` takes annotations where they fit.

    Raises:
        DatasetError: annotations are asked for, and there are none or they are graded on another scale.
        MageError: another word.
    """
    if wanted not in ("auto", "exact", "annotated"):
        raise MageError("cannot understand --labels", expected="auto, exact or annotated", found=wanted)
    drawn, policy = "post_annotated.png" in manifest.fields, str(manifest.recipe.get("label_policy", "xbd"))
    fits = drawn and policy in form.policies
    if wanted == "annotated" and not fits:
        raise DatasetError(
            f"no annotations for {name}",
            expected=f"label_policy {' or '.join(sorted(form.policies))}" if form.policies else "--labels exact",
            found=f"label_policy {policy}" if drawn else "exact labels only",
        )
    return Labels(policy if fits and wanted != "exact" else None)


def each(write: Callable[[Tile, Labels], Output]) -> Callable[[Iterator[Tile], Labels], Iterator[Output]]:
    """``write`` for one tile as :attr:`Format.write`."""

    def write_all(tiles: Iterator[Tile], labels: Labels) -> Iterator[Output]:
        """The files of each tile in turn."""
        for tile in tiles:
            yield write(tile, labels)

    return write_all


def entry(tile: Tile, name: str, **more: Any) -> Entry:
    """The entry of a tile."""
    return {"key": tile.pick.key, "split": tile.pick.split, "name": name, **more}


def to_json(value: Any, **options: Any) -> bytes:
    """JSON in UTF-8, as short as can be unless ``options`` say otherwise; no NaN."""
    options = {"separators": (",", ":")} | options
    return json.dumps(value, ensure_ascii=False, allow_nan=False, **options).encode()


def json_list(head: Mapping[str, Any], lists: Mapping[str, Iterable[Any]]) -> Iterator[bytes]:
    """A JSON object of ``head`` and of lists that are written one element a line, none of them held in memory."""
    yield b"{" + to_json(head)[1:-1]
    for name, values in lists.items():
        yield b",\n" + to_json(name) + b":["
        between = b"\n"
        for value in values:
            yield between + to_json(value)
            between = b",\n"
        yield b"]"
    yield b"}\n"
