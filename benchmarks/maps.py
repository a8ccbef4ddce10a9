"""Whole maps against what is known: what `mage map` makes of real and simulated pairs, out of the box, scored.

Run: ``OMP_NUM_THREADS=1 python benchmarks/maps.py [--model PATH] [--folder FOLDER] [--short] [NAME ...]``. One command
scores all anew, by the model that comes with MAGE or by a run or a saved model, prints the table of README.md and
writes `results/maps.json`; NAMEs do so for some places and keep the figures of the others. Products stay in the folder
(`out/maps`), to be looked at.

A place is mapped twice, as a user would: with the model's own buildings, then with the footprints of the labels. Real
pairs are those of `shared/data/damage`, and are left out where that is not there; simulated ones are rendered where
they are missing (minutes). ``--short``, as in `make bench`, maps one small simulated flood and keeps nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from beside.kept import RESULTS, keep, rounded
from mapped.cases import Case, real_cases, simulated
from mapped.scores import agreement, closures, detection, water, worst_places

from mage.learning.mapping.findings import Event, Findings
from mage.learning.mapping.folder import open_product
from mage.learning.mapping.grader import Grader, open_grader
from mage.learning.mapping.inputs import Files, Request
from mage.learning.mapping.run import find, make_map, prepare

HERE = Path(__file__).resolve().parent
FILE = "maps.json"  # of results
SIDE, SMALL = 800, 192  # pixels of simulated places
HEAD = (
    "| place | truth | buildings, F1 by IoU 0.5 | by centre | κ, own | κ, given | macro F1, own | given | all sound "
    "| cells, ρ | flood IoU | closed streets F1 | CPU s |"
)


def cases(folder: Path, names: list[str], *, short: bool) -> Iterator[Case]:
    """The places that are named, or all, real ones first."""
    if short:
        yield simulated(folder, "flood", SMALL)
        return
    yield from (case for case in real_cases() if not names or case.name in names)
    for recipe in ("flood", "earthquake"):
        if not names or f"simulated-{recipe}" in names:
            yield simulated(folder, recipe, SIDE)


def scored(case: Case, grader: Grader, folder: Path) -> dict[str, Any]:
    """Map a place twice, and score both maps."""
    begin = time.process_time()
    request = Request(Files(case.post, case.pre, **case.files), Event(case.kind, case.name), gsd=case.gsd)
    own = make_map(request, folder / case.name, grader, tell=lambda words: print(f"  {words}"))
    seconds = time.process_time() - begin
    given = graded(request, case, grader, folder)
    return {
        "truth": case.truth,
        "model": dict(grader.facts),
        "registered": None if own.registration is None else list(own.registration.shift),
        "unlike": own.unlike,
        "buildings": detection(own.buildings, case),
        "own": agreement(own.buildings, case) | worst_places(own.buildings, case),
        "given": agreement(given.buildings, case) | worst_places(given.buildings, case),
        "flood": water(own, case),
        "roads": closures(own.access, case.roads, own.grid),
        "seconds": seconds,
    }


def graded(request: Request, case: Case, grader: Grader, folder: Path) -> Findings:
    """What is found with the labels' footprints; the rasters of the model are those of the map before."""
    files = replace(request.files, buildings=case.footprints(folder))
    return find(prepare(replace(request, files=files), grader), open_product(folder / case.name))


def row(name: str, found: dict[str, Any]) -> str:
    """A line of the table."""
    own, given, drawn = found["own"], found["given"], found["buildings"]
    figures = [
        *(drawn[by]["f1"] for by in ("iou", "centre")),
        *(maps["kappa"] for maps in (own, given)),
        *(maps["macro_f1"] for maps in (own, given)),
        given["macro_f1_of_calling_all_sound"],
        given["rank_correlation"],
        found["flood"].get("iou"),
        found["roads"].get("f1"),
    ]
    cells = " | ".join("–" if value is None else f"{value:.2f}" for value in figures)
    return f"| {name} | {found['truth']} | {cells} | {found['seconds']:.0f} |"


def main() -> None:
    """Print the table, and keep the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", help="places, such as harvey-0; all by default")
    parser.add_argument("--model", type=Path, help="a run or a saved model")
    parser.add_argument("--folder", type=Path, default=HERE.parent / "out" / "maps", help="of products")
    parser.add_argument("--short", action="store_true", help="one small place; nothing is kept")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if not arguments.names and not arguments.short:
        (RESULTS / FILE).unlink(missing_ok=True)
    grader = open_grader(arguments.model, "cpu")
    print(f"{HEAD}\n|{'---|' * (HEAD.count('|') - 1)}")
    for case in cases(arguments.folder, arguments.names, short=arguments.short):
        found = rounded(scored(case, grader, arguments.folder))
        print(row(case.name, found), flush=True)
        if not arguments.short:
            keep(FILE, {case.name: found})


if __name__ == "__main__":
    main()
