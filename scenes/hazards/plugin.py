"""A hazard of the user's own: a function that a recipe names by its import path, run only where that was allowed."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from mage.scenes.city import City
from mage.scenes.errors import HazardError, RecipeError
from mage.scenes.parts import PluginPart
from mage.scenes.strike import Burn, Collapse, Stand, Strike

ALLOW = "--allow-plugins"
NEAR = 1e-6  # by how much the probabilities of a building's grades may miss 1

_Function = Callable[[np.random.Generator, City, Mapping[str, Any]], Strike]


def sample_plugin(rng: np.random.Generator, city: City, part: PluginPart, *, allowed: bool = False) -> Strike:
    """What a recipe's own function does to a completed city, checked; the strike bears the function's name.

    Args:
        rng: handed to the function, which takes all randomness from it.
        city: completed.
        part: which function, and what it is called with besides.
        allowed: whether code that a recipe names may run; nothing is imported where it may not.

    Raises:
        RecipeError: not allowed, or no such function.
        HazardError: the function raised something, or returned no strike on this city; see :func:`checked`.
    """
    function = load_plugin(part.function, allowed=allowed)
    try:
        strike = function(rng, city, part.parameters)
    except (Exception, SystemExit) as error:  # whatever it is, it is the function's
        raise HazardError(f"the hazard {part.function} failed: {type(error).__name__}: {error}") from error
    return replace(checked(strike, city, part.function), hazard=part.name)


def load_plugin(path: str, *, allowed: bool) -> _Function:
    """The function of an import path, ``package.module:function``.

    Raises:
        RecipeError: not allowed; the module cannot be imported, or has no such function.
    """
    require(path, allowed=allowed)
    module, _, name = path.partition(":")
    try:
        function = getattr(_imported(module), name, None)
    except (Exception, SystemExit) as error:
        raise _unusable(path, error) from error
    if not callable(function):
        raise RecipeError(
            f"the hazard {path} cannot be used", expected=f"a function `{name}` in {module}", found="none"
        )
    return function  # what it returns is checked when it does


def plugin_source(path: str, *, allowed: bool) -> Path:
    """The source file of an import path's module; the module itself is not imported, the packages it is in are.

    Raises:
        RecipeError: not allowed, no such module, or one without a source file.
    """
    require(path, allowed=allowed)
    module = path.partition(":")[0]
    try:
        spec = find_spec(module)
    except (Exception, SystemExit) as error:
        raise _unusable(path, error) from error
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise RecipeError(
            f"the hazard {path} cannot be used",
            expected=f"a module {module} of Python source, installed or on PYTHONPATH",
            found="none" if spec is None else f"{spec.origin}",
        )
    return Path(spec.origin)


def require(path: str, *, allowed: bool) -> None:
    """Refuse code that a recipe names where it was not allowed.

    Raises:
        RecipeError: not allowed.
    """
    if not allowed:
        raise RecipeError(
            f"the recipe's hazard {path} is code of its own, which is not run unasked",
            expected=f"{ALLOW}, if you trust that code",
        )


def checked(strike: object, city: City, path: str) -> Strike:
    """A strike that fits a completed city.

    Args:
        strike: what a function returned.
        city: that it was called with.
        path: the function's, for the error.

    Raises:
        HazardError: no :class:`~mage.scenes.strike.Strike`, an array of another shape or dtype than its docstring says,
            NaN, or a value out of range; the message names the function and the first such array.
    """
    if not isinstance(strike, Strike):
        raise _wrong(path, "no strike", "a mage.scenes.strike.Strike", type(strike).__name__)
    for name, bounds in _bounds(city).items():
        _check_array(path, name, getattr(strike, name), bounds)
    if (np.abs(strike.p_grade.sum(axis=1) - 1) > NEAR).any():
        raise _wrong(path, "p_grade", "rows that sum to 1", f"a row of {strike.p_grade.sum(axis=1).max():g}")
    if not isinstance(strike.parameters, Mapping):
        raise _wrong(path, "parameters", "a mapping", type(strike.parameters).__name__)
    for key, value in strike.parameters.items():
        plain = value is None or isinstance(value, str | int | float)
        if not isinstance(key, str) or not plain or (isinstance(value, float) and not math.isfinite(value)):
            raise _wrong(path, "parameters", "names with finite numbers, text or None", f"{key!r}: {value!r:.80}")
    return strike


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What an array of a strike must be: shape, kind of dtype as numpy writes it, least and largest value."""

    shape: tuple[int, ...]
    kind: str
    least: float = 0.0
    most: float = 1.0


def _bounds(city: City) -> dict[str, _Bounds]:
    b, t, vertices = (len(city.buildings),), (len(city.trees),), city.ground.heights.shape
    return {
        "intensity": _Bounds(b, "float", -math.inf, math.inf),
        "p_grade": _Bounds((*b, 6), "float"),
        "ems98": _Bounds(b, "uint8", 0, 5),
        "loss": _Bounds(b, "float"),
        "collapse": _Bounds(b, "uint8", 0, max(Collapse)),
        "direction": _Bounds(b, "float", -1e6, 1e6),
        "covering_lost": _Bounds(b, "float"),
        "deck_lost": _Bounds(b, "float"),
        "swept": _Bounds(b, "bool"),
        "tarped": _Bounds(b, "bool"),
        "burn": _Bounds(b, "uint8", 0, max(Burn)),
        "trees": _Bounds(t, "uint8", 0, max(Stand)),
        "tree_heading": _Bounds(t, "float", -1e6, 1e6),
        "severity": _Bounds(vertices, "float"),
    }


def _check_array(path: str, name: str, array: object, bounds: _Bounds) -> None:
    dtype = "float64" if bounds.kind == "float" else bounds.kind
    fits = isinstance(array, np.ndarray) and array.shape == bounds.shape and array.dtype == np.dtype(dtype)
    if not fits:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise _wrong(path, name, f"{dtype} {bounds.shape}", found)
    assert isinstance(array, np.ndarray)
    if np.isnan(array.astype(float)).any():
        raise _wrong(path, name, "numbers", "NaN")
    if array.size and (array.min() < bounds.least or array.max() > bounds.most):
        raise _wrong(path, name, f"{bounds.least:g} to {bounds.most:g}", f"{array.min():g} to {array.max():g}")


def _wrong(path: str, what: str, expected: str, found: str) -> HazardError:
    return HazardError(f"the hazard {path} returned a strike that cannot be: {what}", expected=expected, found=found)


def _unusable(path: str, error: BaseException) -> RecipeError:
    return RecipeError(f"the hazard {path} cannot be used: {type(error).__name__}: {error}")


@cache
def _imported(module: str) -> Any:
    return importlib.import_module(module)
