"""MAGE beside the usual libraries, in one run on one machine: ratios of CPU seconds with their spread, losses too.

    python benchmarks/peers.py                  # all parts, five repetitions; kept in results/peers.json
    python benchmarks/peers.py maps readers     # some of generation, readers, windows and maps; others stay as kept
    python benchmarks/peers.py --short          # small, two repetitions, nothing kept: as in `make bench`

Every part is a process of its own. Two ways are checked to give the same before they are timed, but for pictures and
windows, and are timed in turn (pictures one way after the other); the ratio is the median of those of neighbouring
runs, the range from the least to the greatest. A peer that is not installed is skipped, with the reason.
Those that MAGE does not bring along: `pip install rasterstats`; `pip install --no-deps litdata obstore
lightning-utilities filelock tifffile` (with its dependencies it brings torchvision); `pip install --no-deps blenderproc
h5py imageio scikit-image lazy_loader gitpython gitdb smmap pypng trimesh progressbar2 python-utils` (with its
dependencies it is free to change numpy).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from beside.kept import keep
from beside.measure import Row, Rows, circumstances, markdown, row, timed

FILE = "peers.json"  # of results
PACKAGES = (
    *("bpy", "blenderproc", "webdataset", "litdata", "esda", "networkx", "rasterstats"),
    *("numpy", "scipy", "torch", "opencv-python-headless"),
)


def generation(repeats: int, *, short: bool) -> Rows:
    """A labelled pair, beside a plain loop over Blender and BlenderProc."""
    import beside.generation

    return beside.generation.generation(repeats, 48 if short else 96)


def readers(repeats: int, *, short: bool) -> Rows:  # noqa: ARG001 - as short as it is
    """Shards, beside webdataset and litdata."""
    import beside.readers

    return beside.readers.readers(repeats)


def windows(repeats: int, *, short: bool) -> Rows:
    """A scene in windows, beside those that overlap by half, which most of such loops have."""
    import mapping

    side = 64 if short else 256
    way = mapping.windows(None, 3 * side, side)
    yield row(f"{3 * side}² px in windows of {side}", "windows half over", timed((way.theirs, way.ours), repeats))


def maps(repeats: int, *, short: bool) -> Rows:  # noqa: ARG001 - as short as it is
    """Steps of rapid mapping, beside esda, networkx, rasterstats and loops of masks."""
    import mapping

    with TemporaryDirectory() as folder:
        yield from mapping.beside(Path(folder), repeats)


PARTS: dict[str, Callable[..., Rows]] = {
    "generation": generation,
    "readers": readers,
    "windows": windows,
    "maps": maps,
}


def measured(name: str, repeats: int, *, short: bool) -> list[Row]:
    """The rows of a part, out of a process of its own: Blender and the libraries of others share none."""
    end, other = multiprocessing.Pipe(duplex=False)
    worker = multiprocessing.get_context("spawn").Process(target=_part, args=(other, name, repeats, short))
    worker.start()
    other.close()
    try:
        rows: list[Row] = end.recv()
    except EOFError:
        raise SystemExit(f"{name}: broke off, see above") from None
    worker.join()
    return rows


def _part(answer: Connection, name: str, repeats: int, short: bool) -> None:
    try:
        answer.send(list(PARTS[name](repeats, short=short)))
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # Blender may crash while it is torn down


def main() -> None:
    """Measure, print a table, keep the figures."""
    asked = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    asked.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    asked.add_argument("--repeats", type=int)
    asked.add_argument("--short", action="store_true", help="small, and nothing is kept")
    options = asked.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        asked.error(f"no such part: {', '.join(sorted(unknown))}")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = {
        name: measured(name, options.repeats or (2 if options.short else 5), short=options.short)
        for name in options.parts or PARTS
    }
    print(markdown(row for rows in found.values() for row in rows))
    if not options.short:
        about = circumstances(PACKAGES)  # each part says when and with what it was measured
        keep(FILE, {name: about | {"rows": rows} for name, rows in found.items()})


if __name__ == "__main__":
    main()
