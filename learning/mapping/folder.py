"""The folder of a product: which steps are whole, so that an interrupted run goes on, and what it was made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from mage.learning.mapping.inputs import checksum
from mage.learning.runs import publish
from mage.scenes.dataset.store import LocalStore
from mage.scenes.errors import DatasetError

STEPS, PROVENANCE = "steps.json", "provenance.json"
CARD, WATER_CARD = "model_card.md", "water_model_card.md"  # of the models that looked
FORMAT = "mage-map/1"


@dataclass(frozen=True, slots=True)
class ProductFolder:
    """Where a product is written.

    ``steps.json`` names the rasters that are whole, each with a digest of what it depends on and its checksum;
    ``provenance.json`` is written last, names all files of the product with theirs, and says what they were made of.
    """

    path: Path

    def step(self, name: str, identity: Mapping[str, Any], make: Callable[[Path], object]) -> Path:
        """The file that ``make`` writes, or the one that an earlier run wrote of the same things.

        Args:
            name: of the file.
            identity: all that it depends on, in JSON types.
            make: writes it whole or not at all.
        """
        path = self.path / name
        digest = hashlib.sha256(json.dumps([FORMAT, identity], sort_keys=True).encode()).hexdigest()
        steps = self._json(STEPS)
        told = steps.get(name, {})
        if path.is_file() and told == {"of": digest, "sha256": checksum(path)}:
            return path
        self._write(STEPS, {key: value for key, value in steps.items() if key != name})
        make(path)
        self._write(STEPS, steps | {name: {"of": digest, "sha256": checksum(path)}})
        return path

    def finish(self, files: Iterable[Path], about: Mapping[str, Any], before: Iterable[str]) -> None:
        """Say what the product was made of and which files it consists of, and remove those of the one ``before``."""
        names = sorted({path.relative_to(self.path).as_posix() for path in files})
        for name in set(before) - set(names):
            with suppress(OSError):
                (self.path / name).unlink()
        self._write(PROVENANCE, {**about, "files": {name: checksum(self.path / name) for name in names}})

    def begin(self, tell: Callable[[str], object] = lambda _: None) -> list[str]:
        """Files of a product that was finished here before, which from now on is not.

        A GeoPackage that somebody changed since is kept under another name, since edits may be in it.

        Args:
            tell: takes a sentence about what was kept.
        """
        LocalStore(self.path).clean_partial()
        files = self._json(PROVENANCE).get("files")
        files = {name: known for name, known in files.items() if self._ours(name)} if isinstance(files, dict) else {}
        for name, known in files.items():
            path = self.path / name
            if path.suffix == ".gpkg" and path.is_file() and checksum(path) != known:
                kept = _free(path)
                path.rename(kept)
                tell(f"{path.name} was changed since it was made: it is kept as {kept.name}")
        with suppress(OSError):
            (self.path / PROVENANCE).unlink(missing_ok=True)
        return list(files)

    def _ours(self, name: str) -> bool:
        """Whether a name is of a file within the folder."""
        return (self.path / name).resolve().is_relative_to(self.path.resolve())

    def _json(self, name: str) -> dict[str, Any]:
        """What a file of ours says; nothing where it is not there or is damaged: then what it tells of is made anew."""
        try:
            found = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) and found.get("format") == FORMAT else {}

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps({"format": FORMAT, **content}, indent=1, ensure_ascii=False, allow_nan=False)
        publish(self.path / name, (text + "\n").encode())


def _free(path: Path) -> Path:
    """A name beside a file that nothing has yet."""
    names = (path.with_name(f"{path.stem}_changed{'' if k == 1 else k}{path.suffix}") for k in count(1))
    return next(name for name in names if not name.exists())


def open_product(path: Path) -> ProductFolder:
    """A folder for a product: a new one, an empty one, or one that holds a product, finished or not.

    Raises:
        DatasetError: something else is there, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        inside = {entry.name for entry in path.iterdir()}
    except OSError as error:
        expected = "a folder that is new, empty, or holds a product"
        raise DatasetError(f"cannot be used for a product: {error.strerror}", file=path, expected=expected) from None
    if inside and not inside & {STEPS, PROVENANCE}:
        raise DatasetError(
            "other files are in the folder of the product",
            file=path,
            expected="a folder that is new, empty, or holds a product",
            found=min(inside),
        )
    return ProductFolder(path)
