"""From two images of a real place to maps for the field; every step is a function of its own on arrays.

What makes a whole map of files, ``make_map`` and what it takes, can be had from here; the names are imported when they
are first used. Without the extra ``mapping`` neither this package nor a module of it can be imported.

Raises:
    MissingExtraError: a package of that extra is not installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mage.learning.options import need_mapping

if TYPE_CHECKING:
    from mage.learning.mapping.findings import Event
    from mage.learning.mapping.grader import open_grader
    from mage.learning.mapping.inputs import Files, Request
    from mage.learning.mapping.run import make_map

__all__ = ["Event", "Files", "Request", "make_map", "open_grader"]

_HOME_OF = {"Event": "findings", "Files": "inputs", "Request": "inputs", "make_map": "run", "open_grader": "grader"}

need_mapping()


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
