"""Bands beyond the visible: what the passes of one rendering make of them is what a rendering of the band shows."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mage.generator.bands import Passes, beyond_light, recombined
from mage.generator.blender.exr import read_layers
from mage.generator.sky import clear_light, sun_position
from mage.scenes.errors import RenderError

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "bands.py"


def rendered(out: Path, *numbers: int) -> dict[str, np.ndarray]:
    done = subprocess.run(
        [sys.executable, BENCHMARK, *map(str, numbers), "--save", out],
        capture_output=True,
        text=True,
        timeout=400,
        env=os.environ | {"PYTHONWARNINGS": ""},
    )
    assert done.returncode == 0, done.stderr
    with np.load(out) as data:
        return dict(data)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return rendered(tmp_path_factory.mktemp("bands") / "seen.npz", 64, 8, 16, 160)


def test_each_band_is_what_a_rendering_of_it_shows(seen: dict[str, np.ndarray]) -> None:
    """Noise of eight samples included; with many the error is a third of this, see benchmarks/README.md."""
    error = seen["spectrum"][..., 3:] - seen["truth"]
    mean = seen["truth"].mean(axis=(0, 1))
    assert np.abs(error.mean(axis=(0, 1)) / mean).max() < 0.025
    assert (np.sqrt((error**2).mean(axis=(0, 1))) / mean).max() < 0.17


def test_the_visible_is_not_touched_by_the_bands(seen: dict[str, np.ndarray]) -> None:
    assert (seen["spectrum"][..., :3] == seen["visible"]).all()


@pytest.mark.long
def test_the_error_of_the_method_alone_is_a_few_percent(tmp_path: Path) -> None:
    seen = rendered(tmp_path / "seen.npz", 128, 96, 96, 300)
    error = seen["spectrum"][..., 3:] - seen["truth"]
    mean = seen["truth"].mean(axis=(0, 1))
    assert np.abs(error.mean(axis=(0, 1)) / mean).max() < 0.01
    assert (np.sqrt((error**2).mean(axis=(0, 1))) / mean <= (0.03, 0.07, 0.05, 0.05)).all()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(8, 16), st.floats(0.02, 0.4))
def test_a_plane_in_sun_and_sky_is_exact(sun: float, sky: float, hour: float, aerosol: float) -> None:
    """Half in shadow, under half a sky: the split of three bands into the two lights is their inverse."""
    from datetime import date

    light = clear_light(sun_position(date(2023, 6, 14), hour, 30.0), aerosol)
    other = beyond_light(light)
    shape = (6, 6, 1)
    albedo, beyond = np.full((6, 6, 3), (0.1, 0.15, 0.05)), np.full((6, 6, 4), (0.2, 0.5, 0.3, 0.1))
    irradiance = np.full(shape, sun) * light.direct + np.full(shape, sky) * light.diffuse
    none = np.zeros((6, 6, 3))
    passes = Passes(*(a.astype(np.float32) for a in (albedo * irradiance, albedo, none, beyond, irradiance, none)))
    expected = beyond * (sun * other.direct + sky * other.diffuse) * np.pi / other.horizontal
    assert recombined(passes, light, 0.5) == pytest.approx(expected, rel=2e-3, abs=2e-4)


def exr(channels: dict[str, np.ndarray], compression: int = 0) -> bytes:
    """A scanline file as Blender writes it, by the file layout that openexr.com documents."""
    names = sorted(channels)
    rows, columns = channels[names[0]].shape
    entries = b"".join(n.encode() + b"\0" + struct.pack("<iiii", 2, 0, 1, 1) for n in names) + b"\0"
    attributes = {
        ("channels", "chlist"): entries,
        ("compression", "compression"): bytes([compression]),
        ("dataWindow", "box2i"): struct.pack("<4i", 0, 0, columns - 1, rows - 1),
        ("lineOrder", "lineOrder"): b"\0",
    }
    head = b"v/1\x01" + struct.pack("<i", 2)
    for (name, kind), value in attributes.items():
        head += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
    lines = b"".join(
        struct.pack("<ii", y, 4 * columns * len(names))
        + b"".join(channels[n][y].astype("<f4").tobytes() for n in names)
        for y in range(rows)
    )
    return head + b"\0" + bytes(8 * rows) + lines


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4))
def test_layers_are_read_as_they_were_written(rows: int, columns: int, count: int) -> None:
    import tempfile

    rng = np.random.default_rng(rows)
    layers = {f"ViewLayer.{k}.R": rng.random((rows, columns)).astype(np.float32) for k in range(count)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.exr"
        path.write_bytes(exr(layers))
        found = read_layers(path)
    assert found.keys() == layers.keys()
    assert all((found[k] == layers[k]).all() for k in layers)


@pytest.mark.parametrize("spoil", [lambda d: d[:-3], lambda d: b"PK" + d, lambda d: d[:60], lambda d: d[:40] + d[200:]])
def test_a_damaged_file_of_layers_is_one_clear_error(tmp_path: Path, spoil) -> None:
    path = tmp_path / "x.exr"
    path.write_bytes(spoil(exr({"a.R": np.ones((4, 4))})))
    with pytest.raises(RenderError, match=r"x\.exr"):
        read_layers(path)


def test_a_compressed_file_of_layers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.exr"
    path.write_bytes(exr({"a.R": np.ones((4, 4))}, compression=3))
    with pytest.raises(RenderError, match="no compression"):
        read_layers(path)
