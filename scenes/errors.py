"""One tree of errors: every message says which file, what was expected and what was found."""

from __future__ import annotations

from pathlib import Path


class MageError(Exception):
    """Base of all errors that MAGE raises on purpose; the command line prints it as one sentence."""

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        self.message, self.file, self.expected, self.found = message, file, expected, found
        parts = [f"{file}: {message}" if file is not None else message]
        if expected is not None:
            parts.append(f"expected {expected}")
        if found is not None:
            parts.append(f"found {found}")
        super().__init__("; ".join(parts))


class CityError(MageError):
    """A city file cannot be read, or holds nothing that can be built."""


class RecipeError(MageError):
    """A recipe is not valid YAML, has unknown keys, or asks for what cannot be."""


class HazardError(MageError):
    """A hazard cannot strike this city with these parameters."""


class DatasetError(MageError):
    """A dataset on disk is not what its manifest says, or cannot be written."""


class RenderError(MageError):
    """Blender failed, or a worker died."""


class DeviceError(RenderError):
    """A GPU, or what drives it, failed while rendering; another device may do."""


class ModelError(MageError):
    """A model or checkpoint is not what was expected."""


class MissingExtraError(MageError):
    """A command needs an optional part of MAGE that is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"this needs the Python module '{module}', which is not installed: pip install 'mage-eo[{extra}]'"
        )
        self.module, self.extra = module, extra
