"""Known displacements come back through noise, change and another light; what cannot be laid together is refused."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from mage.learning.mapping.picture import ArrayPicture
from mage.learning.mapping.register import correlation, peak, register
from mage.scenes.errors import DatasetError
from mage.scenes.grid import Grid

REAL = Path(__file__).parents[4] / "shared" / "data" / "damage"
SHEETS = ("xbd_harvey/00000000_pre.png", "xbd_harvey/00000001_pre.png", "idabd/1-3_pre.png")
SIZE = 384


def town(rng: np.random.Generator, size: int) -> np.ndarray:
    """Roofs of all grays and directions on mottled ground, uint8 (size, size, 3)."""
    image = cv2.GaussianBlur(rng.normal(110, 60, (size, size)), (0, 0), 3)
    for _ in range(size * size // 1800):
        box = cv2.boxPoints((rng.uniform(0, size, 2).tolist(), rng.uniform(10, 30, 2).tolist(), rng.uniform(0, 90)))
        cv2.fillPoly(image, [box.astype(np.int32)], rng.uniform(40, 230))
    return np.repeat(cv2.GaussianBlur(np.clip(image, 0, 255), (0, 0), 0.8).astype(np.uint8)[..., None], 3, 2)


def two_suns(rng: np.random.Generator, size: int) -> list[np.ndarray]:
    """A town twice, uint8 (size, size, 3), its shadows as long as roofs and turned by 40 to 120 degrees."""
    ground = cv2.GaussianBlur(rng.normal(120, 60, (size, size)), (0, 0), 3)
    count, azimuth = size * size // 1800, rng.uniform(0, 2 * np.pi)
    boxes = [
        cv2.boxPoints((rng.uniform(0, size, 2).tolist(), rng.uniform(10, 30, 2).tolist(), rng.uniform(0, 90)))
        for _ in range(count)
    ]
    grays, length, turn = rng.uniform(60, 230, count), rng.uniform(6, 14), rng.uniform(0.7, 2.1)
    pictures = []
    for sun in (azimuth, azimuth + turn):
        image, away = ground.copy(), np.array([np.cos(sun), np.sin(sun)]) * length
        for box in boxes:
            cv2.fillConvexPoly(image, cv2.convexHull(np.concatenate([box, box + away]).astype(np.int32)), 35)
        for box, gray in zip(boxes, grays, strict=True):
            cv2.fillPoly(image, [box.astype(np.int32)], float(gray))
        soft = cv2.GaussianBlur(np.clip(image, 0, 255), (0, 0), 0.8).astype(np.uint8)
        pictures.append(np.repeat(soft[..., None], 3, 2))
    return pictures


def displaced(image: np.ndarray, right: float, down: float) -> np.ndarray:
    matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def changed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A fifth of it another town, other contrast, noise."""
    other = town(rng, len(image))
    out = image.copy()
    for _ in range(10):
        row, column = rng.integers(0, len(image) - 60, 2)
        part = slice(row, row + 60), slice(column, column + 60)
        out[part] = other[part]
    curve = 255 * (out / 255.0) ** rng.uniform(0.6, 1.6) * rng.uniform(0.7, 1.1)
    return np.clip(curve + rng.normal(0, 8, out.shape), 0, 255).astype(np.uint8)


def picture(image: np.ndarray, valid: np.ndarray | None = None) -> ArrayPicture:
    grid = Grid(*image.shape[:2], 0, image.shape[0], 1)
    return ArrayPicture(np.ascontiguousarray(image.transpose(2, 0, 1)), grid, valid)


def error(found, right, down, size=SIZE) -> float:
    columns, rows = np.meshgrid(np.arange(0.0, size, 16), np.arange(0.0, size, 16))
    x, y = found.at(columns, rows)
    return float(np.hypot(x - right, y - down).mean())


def test_known_displacements_come_back_through_noise_and_change():
    rng, misses = np.random.default_rng(0), 0
    for _ in range(10):
        right, down = rng.uniform(-30, 30, 2)
        before = town(rng, SIZE)
        found = register(picture(before), picture(changed(displaced(before, right, down), rng)))
        misses += error(found, right, down) > 0.5
    assert misses == 0


@pytest.mark.parametrize("name", SHEETS)
def test_known_displacements_of_real_images_come_back(name):
    if not (REAL / name).is_file():
        pytest.skip("needs the real imagery of shared/data/damage")
    image, rng = cv2.imread(str(REAL / name)), np.random.default_rng(3)
    before, whole = image[100:484, 100:484], displaced(image, -17.3, 11.8)
    found = register(picture(before), picture(changed(whole[100:484, 100:484], rng)))
    assert error(found, -17.3, 11.8) < 0.5


def test_a_field_that_varies_is_followed():
    rng, size = np.random.default_rng(5), 768
    before = town(rng, size)
    columns, rows = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    # seen at c before, at c + right(c) after: to first order, since the field is smooth
    right, down = 3 * np.sin(rows / 400), 2.0 + columns / 512
    after = cv2.remap(before, (columns - right).astype(np.float32), (rows - down).astype(np.float32), cv2.INTER_CUBIC)
    found = register(picture(before), picture(after))
    x, y = found.at(columns[::32, ::32].astype(float), rows[::32, ::32].astype(float))
    assert np.hypot(x - right[::32, ::32], y - down[::32, ::32]).mean() < 0.5
    assert found.confidence > 0.9
    assert found.residual < 0.5
    single = register(picture(before), picture(after), local=False)
    assert single.at(columns[:1].astype(float), rows[:1].astype(float))[0].std() == 0


def test_unlike_images_are_left_where_they_are_and_say_so():
    found = register(picture(town(np.random.default_rng(1), SIZE)), picture(town(np.random.default_rng(2), SIZE)))
    assert found.confidence < 0.5
    flat = np.full((SIZE, SIZE, 3), 90, np.uint8)
    nothing = register(picture(flat), picture(flat))
    assert (nothing.shift, nothing.confidence) == ((0.0, 0.0), 0.0)


def test_a_place_too_small_for_a_field_is_measured_as_one():
    rng = np.random.default_rng(3)
    before = town(rng, 200)
    same = register(picture(before), picture(before))
    assert same.confidence == 1
    assert np.hypot(*same.shift) < 0.05
    moved = register(picture(before), picture(displaced(before, 5, -3)))
    assert moved.confidence == 1
    assert error(moved, 5, -3, 200) < 0.5
    other = register(picture(before), picture(town(np.random.default_rng(8), 200)))
    assert (other.shift, other.confidence) == ((0.0, 0.0), 0.0)


def test_images_that_share_no_place_are_refused():
    image = town(np.random.default_rng(0), SIZE)
    left, right = np.zeros((2, SIZE, SIZE), bool)
    left[:, :190], right[:, 195:] = True, True
    with pytest.raises(DatasetError, match="do not overlap"):
        register(picture(image, left), picture(image, right))


def test_pictures_on_different_grids_are_refused():
    image = town(np.random.default_rng(0), 128)
    with pytest.raises(DatasetError, match="different grids"):
        register(picture(image), picture(image[:100]))


def test_nodata_does_not_pull():
    rng = np.random.default_rng(4)
    before = town(rng, SIZE)
    seen = np.ones((SIZE, SIZE), bool)
    seen[:, 250:] = False  # the outline of the data stands still; the town moves
    found = register(picture(before, seen), picture(displaced(before, 6.5, -4.25), seen))
    assert error(found, 6.5, -4.25, 240) < 0.5


def test_small_images_and_large_displacements_are_measured_on_what_both_show():
    rng = np.random.default_rng(6)
    before = town(rng, 160)
    assert error(register(picture(before), picture(displaced(before, 24, -20))), 24, -20, 160) < 0.7


def test_an_edge_whose_sides_change_places_in_brightness_is_the_same_edge():
    image = town(np.random.default_rng(8), 256)[..., 0]
    right, down, sure = peak(correlation(image, 255 - displaced(image, 5, 3)), 20)
    assert (round(right), round(down)) == (5, 3)
    assert sure > 6


def test_the_correlation_coefficient_finds_fractions_of_a_pixel():
    rng = np.random.default_rng(11)
    before = town(rng, SIZE)
    after = picture(changed(displaced(before, 7.37, -3.81), rng))
    for local in (True, False):
        found = register(picture(before), after, local=local, ecc=True)
        assert error(found, 7.37, -3.81) < 0.15
        assert 0 <= found.residual < 0.3
        assert found.note == ""


def test_where_the_coefficient_does_not_converge_phase_correlation_counts(monkeypatch):
    def diverges(*_: object) -> None:
        raise cv2.error("no convergence")

    rng = np.random.default_rng(11)
    before = town(rng, SIZE)
    after = picture(displaced(before, 7.37, -3.81))
    plain = register(picture(before), after)
    monkeypatch.setattr(cv2, "findTransformECC", diverges)
    found = register(picture(before), after, ecc=True)
    columns, rows = np.meshgrid(np.arange(0.0, SIZE, 64), np.arange(0.0, SIZE, 64))
    np.testing.assert_allclose(found.at(columns, rows), plain.at(columns, rows), atol=1e-4)
    assert found.note == "ECC did not converge in 4 of 4 windows: there phase correlation counts."


@pytest.mark.long
@pytest.mark.parametrize("ecc", [False, True])
def test_in_95_of_100_trials_a_displacement_comes_back_to_half_a_pixel(ecc):
    """Up to 30 pixels, noise, other contrast, a fifth of the town another one, and another sun; and real images."""
    rng, misses = np.random.default_rng(2026), []
    there = [cv2.imread(str(REAL / name)) for name in SHEETS if (REAL / name).is_file()]
    for trial in range(100):
        right, down = rng.uniform(-30, 30, 2)
        if there and trial % 2:
            image = there[trial // 2 % len(there)]
            row, column = rng.integers(40, np.array(image.shape[:2]) - SIZE - 40)
            part = slice(row, row + SIZE), slice(column, column + SIZE)
            before, after = image[part], displaced(image, right, down)[part]
        else:
            before, under_another_sun = two_suns(rng, SIZE)
            after = displaced(under_another_sun, right, down)
        found = register(picture(before), picture(changed(after, rng)), ecc=ecc)
        misses.append(error(found, right, down) > 0.5)
    assert np.mean(misses[::2]) <= 0.05
    assert np.mean(misses[1::2]) <= 0.05
