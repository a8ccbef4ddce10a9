"""What the benchmarks' page says of itself, the measuring of two ways side by side, and the figures."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import figures
from beside.measure import either, markdown, row, skipped, timed

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"

PAGE = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)


def anchor(heading: str) -> str:
    """What a heading is linked by: small letters, no punctuation, hyphens for spaces."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_within_the_page_leads_to_a_heading():
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert len(links) > 10
    assert set(links) <= {anchor(heading) for heading in HEADINGS}


def test_no_heading_stands_twice():
    assert len(set(HEADINGS)) == len(HEADINGS)


def test_the_page_names_every_script():
    helpers = {"domains.py"}  # what two scripts share
    assert [path.name for path in BENCHMARKS.glob("*.py") if path.name not in PAGE and path.name not in helpers] == []


def test_every_figure_is_there_shown_and_small():
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", PAGE)
    assert shown
    assert [name for name in shown if not (BENCHMARKS / name).is_file()] == []
    drawn = list((BENCHMARKS / "results").glob("*.png"))
    assert {f"results/{path.name}" for path in drawn} <= set(shown)
    assert max(path.stat().st_size for path in drawn) < 80_000


def test_ways_are_timed_in_turn():
    calls: list[str] = []
    spent = timed((lambda: calls.append("theirs"), lambda: calls.append("ours")), 3)
    assert calls == ["theirs", "ours"] * 3
    assert spent.shape == (2, 3)
    assert (spent >= 0).all()


def test_a_ratio_is_that_of_neighbouring_runs_with_its_range():
    found = row("a thing", "a peer", np.array([[4.0, 9.0, 2.0], [2.0, 3.0, 4.0]]))
    assert found["ratio"] == [2.0, 0.5, 3.0]
    assert (found["theirs_s"], found["ours_s"], found["repeats"]) == (4.0, 3.0, 3)


def test_a_peer_that_is_not_installed_is_skipped_with_the_reason():
    def never():
        raise AssertionError("made without what it needs")

    found = either("a thing", "a peer", never, 3, "json", "no_such_module_at_all")
    assert found == skipped("a thing", "a peer", "not installed: no_such_module_at_all")
    assert "not installed: no_such_module_at_all" in markdown([found])


@pytest.mark.parametrize("seeds", [1, 3])
def test_all_figures_are_drawn_of_any_settings_and_seeds(tmp_path, monkeypatch, seeds):
    rng = np.random.default_rng(0)

    def scores():
        value = rng.uniform(0.2, 0.5)
        figure = [value, value - 0.1, value + 0.1]
        graded = dict.fromkeys(("building_iou", "xview2_present", "quadratic_kappa"), figure)
        return {"scores": {"harvey": graded, "ida": graded, "pairs": graded, "kampala": {"building_iou": figure}}}

    names = {"dev": ("plain", "zoom"), "final": ("zoom", "zoom + 5 real", "5 real", "20 real")}
    results = {f"{name}/{s}/{part}": scores() for part, own in names.items() for name in own for s in range(seeds)}
    results["final-of-nothing/0/final"] = {"scores": {"harvey": {"building_iou": [None, None, None]}}}
    results |= {"opened": {"final": "2026"}, "more/dev": {"distances": {"A": {"B": 2.0}, "B": {"A": 2.0}}}}
    peers = {"maps": {"rows": [row("a", "b", np.ones((2, 5))), skipped("c", "d", "no")]}}
    (tmp_path / "sim2real.json").write_text(json.dumps(results))
    (tmp_path / "peers.json").write_text(json.dumps(peers))
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    figures.main()
    drawn = {path.stem for path in tmp_path.glob("*.png")}
    assert drawn == {"peers", "sim2real-dev", "sim2real-final", "sim2real-labels", "sim2real-distances"}


def test_without_results_nothing_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    figures.main()
    assert list(tmp_path.iterdir()) == []
