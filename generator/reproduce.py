"""Rendering a sample again from the recipe in its dataset, and saying what differs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mage.generator.generate import versions
from mage.generator.plan import ShardJob, make_plan
from mage.generator.runners.desk import Desk
from mage.generator.runners.local import run_local
from mage.scenes.campaign import whole
from mage.scenes.dataset.codec import decode_sample
from mage.scenes.dataset.index import open_dataset
from mage.scenes.dataset.schema import DatasetRecord, EventRecord, Sample, ShardRecord
from mage.scenes.dataset.store import SHARDS, file_sha256
from mage.scenes.dataset.tar import TarIndex
from mage.scenes.errors import CityError, DatasetError
from mage.scenes.recipe import Recipe

ELSEWHERE = 1e-4  # share of a label raster's pixels that may differ on processors of another family
ALIKE = 35.0  # dB of PSNR above which two renderings of one scene are called alike: devices round differently
MOST = 12  # fields of the record that are named


@dataclass(frozen=True, slots=True)
class Difference:
    """Two versions of a raster: how many pixels differ, as a share of all, and by how much at most; of an image the
    PSNR in dB beside it (None of labels, and of images that are equal).
    """

    member: str
    pixels: int
    share: float
    largest: int
    psnr: float | None = None


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A sample rendered again. ``labels`` and ``images`` hold only what differs, ``record`` the fields that do, and
    ``versions`` the software that is another, as it was and as it is.
    """

    key: str
    labels: tuple[Difference, ...]
    images: tuple[Difference, ...]
    record: tuple[str, ...]
    versions: dict[str, tuple[str | None, str | None]]

    @property
    def exact(self) -> bool:
        """Whether labels and record are equal to the byte."""
        return not self.labels and not self.record

    @property
    def ok(self) -> bool:
        """Whether labels are equal, or differ as little as between processors of two families, and images are alike."""
        close = all(label.share <= ELSEWHERE for label in self.labels)
        return close and all(image.psnr is not None and image.psnr >= ALIKE for image in self.images)

    @property
    def verdict(self) -> str:
        """One sentence: which of the two rules about labels applied."""
        if self.exact:
            return "labels and record are equal to the byte"
        if all(label.share <= ELSEWHERE for label in self.labels):
            return (
                "labels differ in at most 0.01 % of the pixels, as they may on processors of another family; on one "
                "family they would be equal to the byte"
            )
        return "labels differ in more than 0.01 % of the pixels"


def reproduce(
    root: Path,
    key: str,
    *,
    files: Mapping[str, Path] | None = None,
    allow_plugins: bool = False,
    hear: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Reproduction:
    """Render a sample of a dataset or release again, in a process of its own, and compare.

    Args:
        root: the folder.
        key: of the sample.
        files: where files of the recipe are now, by their path or name there; for a folder the file in it that has the
            checksum that the dataset states, or else the name.
        allow_plugins: let the recipe's own hazards run, which are code that it names.
        hear: told of the worker's events.

    Raises:
        MageError: no such sample; a file of the recipe is not there or is another; Blender failed.
    """
    manifest = open_dataset(root)
    shard = _shard_of(manifest, key, root)
    sample = _sample(Path(root) / SHARDS / shard.name, key)
    event = next(event for event in manifest.events if event.name == sample.record.event)
    recipe = relocated(Recipe.model_validate(whole(manifest.recipe, event.recipe)), manifest, files or {}, Path(root))
    job = _job(recipe, manifest, event, sample, shard.name, allow_plugins=allow_plugins)
    with tempfile.TemporaryDirectory(prefix="mage-") as folder:
        _render(job, Path(folder), hear)
        again = _sample(Path(folder) / SHARDS / shard.name, key)
    return compare(sample, again, manifest.versions)


def _shard_of(manifest: DatasetRecord, key: str, root: Path) -> ShardRecord:
    for shard in manifest.shards:
        if key in shard.keys:
            return shard
    near = next((k for shard in manifest.shards for k in shard.keys), "none")
    raise DatasetError("holds no such sample", file=root, expected=f"a key such as {near}", found=key)


def _sample(shard: Path, key: str) -> Sample:
    with TarIndex(shard) as tar:
        return decode_sample(partial(tar.read, key), file=f"{shard.name}: {key}")


def _job(
    recipe: Recipe, manifest: DatasetRecord, event: EventRecord, sample: Sample, name: str, *, allow_plugins: bool
) -> ShardJob:
    plan = make_plan(recipe, allow_plugins=allow_plugins)
    if plan.recipe_hash != event.recipe_hash:
        raise DatasetError(
            "the sample cannot be rendered again: the recipe, or a file that it names, is not what it was"
            + "".join(f"; {line}" for line in told(changed_versions(manifest.versions))),
            expected=f"recipe hash {event.recipe_hash}",
            found=plan.recipe_hash,
        )
    named = event.name if manifest.mixture is not None else None
    index = sample.record.index
    return ShardJob(name, index, 1, recipe, plan.recipe_hash, allow_plugins, event.split, named)


def _render(job: ShardJob, folder: Path, hear: Callable[[dict[str, Any]], None]) -> None:
    """Render a job into a folder, in a process of its own."""
    outcome = run_local(Desk([job], job.recipe.render.device, hear), str(folder), 1)
    for error in outcome.failed.values():
        raise error


def relocated(recipe: Recipe, manifest: DatasetRecord, files: Mapping[str, Path], root: Path) -> Recipe:
    """The recipe with its files where they are now.

    Raises:
        CityError: a file that is not there, or is another than the dataset was made from.
        DatasetError: ``files`` names one that the recipe does not.
    """
    strange = sorted(name for name in files if not any(_is(path, name) for path in recipe.files))
    if strange:
        found = ", ".join(recipe.files) or "no files"
        raise DatasetError("the recipe names no such file", file=root, expected=found, found=strange[0])
    places = {path: str(_find(path, manifest, files)) for path in recipe.files}
    moved = _replaced(recipe.model_dump(mode="json"), {old: new for old, new in places.items() if old != new})
    return Recipe.model_validate(moved)


def _is(path: str, name: str) -> bool:
    return name in (path, Path(path).name)


def _find(path: str, manifest: DatasetRecord, files: Mapping[str, Path]) -> Path:
    """Where a file of the recipe is."""
    digest = next((s.get("sha256") for s in manifest.sources if s.get("name") == Path(path).name), None)
    given = next((place for name, place in files.items() if _is(path, name)), None)
    place = Path(path) if given is None else given
    if place.is_dir():
        place = _search(place, Path(path).name, digest)
    if not place.is_file():
        stated = f" (sha256 {digest})" if digest else ""
        raise CityError(
            f"a file of the recipe is not there{stated}; say where it is by --city-file '{Path(path).name}=PATH'",
            file=place,
        )
    if digest is not None and (found := file_sha256(place)) != digest:
        raise CityError("is another file than the dataset was made from", file=place, expected=digest, found=found)
    return place


def _search(folder: Path, name: str, digest: str | None) -> Path:
    """The file below a folder that has this checksum, those of this name first; without one, that of this name."""
    below = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: (p.name != name, p))
    if digest is None:
        return next((path for path in below if path.name == name), folder / name)
    return next((path for path in below if file_sha256(path) == digest), folder / name)


def _replaced(content: Any, places: Mapping[str, str]) -> Any:
    """JSON content with each text that is a key of ``places`` put for another."""
    if isinstance(content, dict):
        return {key: _replaced(value, places) for key, value in content.items()}
    if isinstance(content, list):
        return [_replaced(value, places) for value in content]
    return places.get(content, content) if isinstance(content, str) else content


def compare(sample: Sample, again: Sample, made_with: Mapping[str, str]) -> Reproduction:
    """Two versions of a sample; ``made_with`` are the versions of software that the first was made with."""
    return Reproduction(
        sample.record.key,
        tuple(_differing(sample.labels, again.labels)),
        tuple(_differing(sample.images | sample.bands, again.images | again.bands, photographs=True)),
        tuple(_fields(sample.record.model_dump(), again.record.model_dump()))[:MOST],
        changed_versions(made_with),
    )


def _differing(
    first: Mapping[str, NDArray[Any]], second: Mapping[str, NDArray[Any]], *, photographs: bool = False
) -> Iterator[Difference]:
    for member in sorted({*first, *second}):
        a, b = first.get(member), second.get(member)
        if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
            yield Difference(member, 0, 1.0, 0)  # one of them lacks it
        elif not np.array_equal(a, b):
            apart = np.abs(a.astype(np.int64) - b)
            pixels = int((apart.max(axis=2) if apart.ndim == 3 else apart).astype(bool).sum())
            psnr = round(psnr_of(apart, np.iinfo(a.dtype).max), 2) if photographs else None
            yield Difference(member, pixels, pixels / (a.shape[0] * a.shape[1]), int(apart.max()), psnr)


def psnr_of(apart: NDArray[np.int64], peak: int) -> float:
    """PSNR in dB from the differences, not all zero, of two images whose values reach ``peak``."""
    return float(10 * np.log10(float(peak) ** 2 / np.mean(apart.astype(np.float64) ** 2)))


def _fields(first: Any, second: Any, place: str = "") -> Iterator[str]:
    """Places of all values that differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted({*first, *second}):
            yield from _fields(first.get(key), second.get(key), f"{place}.{key}" if place else key)
    elif isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        for k, pair in enumerate(zip(first, second, strict=True)):
            yield from _fields(*pair, f"{place}[{k}]")
    elif first != second:
        yield place


def changed_versions(made_with: Mapping[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Software of another version than a dataset was made with: that, and this."""
    now = versions()
    pairs = {name: (made_with.get(name), now.get(name)) for name in sorted({*made_with, *now})}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def told(changed: Mapping[str, tuple[str | None, str | None]]) -> Sequence[str]:
    """A line for each version that is another."""
    return [f"{name} was {old or 'not there'}, is {new or 'not there'}" for name, (old, new) in changed.items()]
