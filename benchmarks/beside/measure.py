"""Two ways to do one thing, timed in turn: CPU seconds, their ratio and how far it spreads."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# theirs and ours
Ways = tuple[Callable[[], object], Callable[[], object]]
# what, beside whom, and either figures or why there are none; plain values, as JSON has them
Row = dict[str, Any]
Rows = Iterator[Row]


def timed(ways: Ways, repeats: int) -> NDArray[np.float64]:
    """CPU seconds of each way, (2, repeats); in turn, so that what else the machine does meets both."""
    spent = np.zeros((2, repeats))
    for k in range(repeats):
        for row, way in zip(spent, ways, strict=True):
            began = time.process_time()
            way()
            row[k] = time.process_time() - began
    return spent


def row(what: str, peer: str, spent: NDArray[np.float64]) -> Row:
    """Medians, and the median and range of the ratios of runs that were next to each other."""
    theirs, ours = np.median(spent, axis=1)
    ratios = spent[0] / spent[1]
    spread = [float(f"{value:.3g}") for value in (np.median(ratios), ratios.min(), ratios.max())]
    figures = {"theirs_s": float(f"{theirs:.3g}"), "ours_s": float(f"{ours:.3g}"), "ratio": spread}
    return {"what": what, "peer": peer, "repeats": spent.shape[1], **figures}


def either(what: str, peer: str, make: Callable[[], Ways], repeats: int, *needs: str) -> Row:
    """A row of what is made and timed where the modules that it needs are installed; else the reason."""
    absent = [name for name in needs if find_spec(name) is None]
    if absent:
        return skipped(what, peer, f"not installed: {', '.join(absent)}")
    return row(what, peer, timed(make(), repeats))


def skipped(what: str, peer: str, reason: str) -> Row:
    """A row without figures."""
    return {"what": what, "peer": peer, "skipped": reason}


def circumstances(packages: Iterable[str]) -> dict[str, Any]:
    """The date, the processor, and versions of what took part, for beside the figures."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{processor()}, {platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version()} | {name: of(name) for name in packages},
    }


def of(package: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def processor() -> str:
    """What Linux calls the processor; elsewhere what Python does."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text(encoding="utf-8").splitlines() if about.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} processors" if names else platform.processor()


def markdown(rows: Iterable[Row]) -> str:
    """A table of rows."""
    lines = ["| | beside | theirs, CPU s | ours, CPU s | ratio | range |", "|---|---|---|---|---|---|"]
    for one in rows:
        if "skipped" in one:
            lines.append(f"| {one['what']} | {one['peer']} | {one['skipped']} | | | |")
            continue
        middle, low, high = one["ratio"]
        times = f"{one['theirs_s']:.3g} | {one['ours_s']:.3g}"
        lines.append(f"| {one['what']} | {one['peer']} | {times} | {middle:.3g} | {low:.3g} to {high:.3g} |")
    return "\n".join(lines)
