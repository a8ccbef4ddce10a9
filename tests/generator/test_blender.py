"""Blender and the rays see the same world; the photograph lies on the labels pixel by pixel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    out = tmp_path_factory.mktemp("oracle") / "seen.npz"
    script = Path(__file__).with_name("blender_oracle.py")
    done = subprocess.run(
        [sys.executable, script, out],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"PYTHONWARNINGS": ""},
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as data:
        return dict(data)


def test_blender_sees_the_same_building_at_every_pixel_centre(oracle: dict[str, np.ndarray]) -> None:
    differs = oracle["seen"] != oracle["owner"]
    assert (oracle["owner"] >= 0).any()
    assert differs.mean() <= 0.0002


def test_blender_sees_the_same_remains_after(oracle: dict[str, np.ndarray]) -> None:
    """Of heaps, too: all but the pixels at whose centre two small faces meet."""
    assert (oracle["owner_after"] != oracle["owner"]).any()
    assert (oracle["seen_after"] != oracle["owner_after"]).mean() <= 0.002


def test_the_photograph_after_shows_what_is_left_and_the_next_one_the_place_as_it_was(
    oracle: dict[str, np.ndarray],
) -> None:
    changed = np.abs(oracle["photo_after"] - oracle["photo"]).max(axis=-1) > 0.03
    fallen = (oracle["owner"] >= 0) & (oracle["owner"] % 2 == 1)
    standing = (oracle["owner"] >= 0) & (oracle["owner"] % 2 == 0) & (oracle["owner_after"] == oracle["owner"])
    assert changed[fallen].mean() > 0.5
    assert changed[standing].mean() < 0.5 * changed[fallen].mean()
    assert (oracle["photo_again"] == oracle["photo"]).all()


@pytest.mark.parametrize(("view", "margin"), [("", 1.05), ("_aslant", 1.03)])
def test_the_photograph_lies_on_the_labels(oracle: dict[str, np.ndarray], view: str, margin: float) -> None:
    """Labels shifted by a pixel in any direction explain the picture less well than where they are, also where it is
    slanted and rectified to hills.
    """
    luma, owner = oracle[f"photo{view}"].mean(axis=-1), oracle[f"owner{view}"]

    def unexplained(rows: int, columns: int) -> float:
        moved = np.roll(owner, (rows, columns), axis=(0, 1))[2:-2, 2:-2]
        picture = luma[2:-2, 2:-2]
        return sum(picture[moved == i].var() * (moved == i).sum() for i in np.unique(moved))

    at_home = unexplained(0, 0)
    assert all(unexplained(r, c) > margin * at_home for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0))


def test_reflectance_comes_back_as_it_was_painted(oracle: dict[str, np.ndarray]) -> None:
    """A flat roof in full sun shows its own reflectance: the light's normalisation is right."""
    photo, owner = oracle["photo"], oracle["owner"]
    shown = np.array([np.median(photo[owner == i], axis=0) for i in np.unique(owner[owner >= 0])])
    assert shown.min() > 0.005
    assert shown.max() < 1.0
