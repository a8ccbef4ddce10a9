"""What the commands of learning share: options, words on standard error, and a check of the extra."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from mage.learning.names import SetName
from mage.scenes.errors import MissingExtraError

SetOption = Annotated[
    SetName,
    typer.Option(
        "--set",
        help="What --data is: what `mage generate` wrote, as pairs, or as images after with a mask of one theme; a "
        "published set, and what its masks are read as; or a folder with masks/ and images/, or with masks/, pre/ and "
        "post/, for damage with the values 0 and 1 + grade.",
    ),
]
DataFolder = Annotated[Path, typer.Option("--data", help="A dataset: the folder that `mage generate` wrote.")]
Split = Annotated[str | None, typer.Option(help="Samples of this split only; all by default.")]
DeviceName = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def say(line: str) -> None:
    """A line on standard error."""
    typer.echo(line, err=True)


def need_torch() -> None:
    """MissingExtraError where torch or safetensors are not installed, or cannot be imported."""
    _need("learning", ("torch", "safetensors"))


def need_mapping() -> None:
    """MissingExtraError where a package of the extra ``mapping`` is not installed, or cannot be imported."""
    need_torch()
    _need("mapping", ("rasterio", "scipy", "shapely", "pyproj", "pyogrio", "matplotlib"))


def _need(extra: str, modules: tuple[str, ...]) -> None:
    for module in modules:
        try:
            found = importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):  # blocked, or half-removed
            found = False
        if not found:
            raise MissingExtraError(module, extra)


def is_dataset(folder: Path) -> bool:
    """Whether a folder is a dataset of MAGE's, and not one of pictures."""
    return (folder / "dataset.json").is_file()
