"""Sensors: what a table says they do is what their images show."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mage.generator.plan import make_plan
from mage.generator.sensors import Sensor, chosen_sensors, read_sensor, take
from mage.generator.sensors.imaging import band_weights, blur_of, resampled
from mage.generator.sensors.table import Band, _content
from mage.generator.spectra import centres
from mage.scenes.errors import RecipeError
from mage.scenes.recipe import Recipe

BUNDLED = tuple(_content()["sensors"])


def sensor(**settings) -> Sensor:
    """A monochrome sensor of 1 m, nearly without noise."""
    plain = {"name": "s", "source": "test", "gsd": 1.0, "bits": 16, "snr": 1e6, "bands": {"g": G}}
    return Sensor.model_validate(plain | settings)


G = {"centre": 560, "width": 1}


def flat(value=0.25, size=64, bands=7):
    return np.full((size, size, bands), value, np.float32)


def recipe(**parts) -> Recipe:
    return Recipe.model_validate({"name": "r"} | parts)


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_sensor_sees_a_flat_scene_flat(name: str) -> None:
    entry = read_sensor(name)
    images = take(flat(size=128), entry.gsd / 2 if entry.gsd else 0.5, entry, np.random.default_rng(0))
    assert list(images) != []
    for band, image in images.items():
        linear = entry.product == "reflectance"
        assert image.pixels.dtype == (np.uint16 if linear else np.uint8)
        assert image.gsd == (entry.delivered(band) if entry.gsd else 0.5)
        if linear:
            seen = image.pixels / entry.scale
            noise = 0.25 / (entry.bands[band].snr or entry.snr)
            assert seen.mean() == pytest.approx(0.25, abs=0.01)
            assert seen.std() < 4 * noise + 1.5 * entry.saturation / 2**entry.bits


@pytest.mark.parametrize("mtf", [0.05, 0.15, 0.3])
def test_a_wave_at_the_nyquist_frequency_keeps_the_share_that_the_table_states(mtf: float) -> None:
    """Bars of one pixel each, sampled at their middles: contrast out over contrast in, of the first harmonic."""
    fine = 32  # steps to a pixel
    x = (np.arange(24 * fine) + 0.5) / fine
    wave = (0.3 + 0.2 * np.cos(np.pi * (x - 0.5))).astype(np.float32)
    scene = np.repeat(np.repeat(wave[None, :, None], 7, axis=2), 8 * fine, axis=0)
    image = take(scene, 1 / fine, sensor(mtf=mtf), np.random.default_rng(0))["g"].pixels[4, 8:16] / 1e4
    assert (image[::2] - image[1::2]).mean() / 0.4 == pytest.approx(mtf, rel=0.06)


@settings(max_examples=25)
@given(st.integers(8, 40), st.floats(1.0, 5.0), st.integers(0, 1000))
def test_larger_pixels_are_area_means(size: int, ratio: float, seed: int) -> None:
    image = np.random.default_rng(seed).random((size, size), np.float32)
    count = int(size / ratio)
    coarse = resampled(image, 1.0, ratio, (count, count))
    # an integral image at fractional corners is the closed form of an area mean
    whole = np.zeros((size + 1, size + 1))
    whole[1:, 1:] = image.cumsum(0).cumsum(1)
    edge = np.minimum(np.arange(count + 1) * ratio, size)
    low = np.minimum(edge.astype(int), size - 1)
    part = edge - low
    along = whole[low] * (1 - part)[:, None] + whole[low + 1] * part[:, None]
    both = along[:, low] * (1 - part) + along[:, low + 1] * part
    mean = np.diff(np.diff(both, axis=0), axis=1) / ratio**2
    assert coarse == pytest.approx(mean, abs=2e-4)


def test_noise_is_what_the_signal_to_noise_ratio_says() -> None:
    for value in (0.1, 0.25, 0.6):
        image = take(flat(value, 256), 1.0, sensor(snr=50, scale=60_000), np.random.default_rng(3))["g"].pixels / 60_000
        assert image.std() == pytest.approx(0.25 / 50 * np.sqrt(value / 0.25), rel=0.03)


def test_what_saturates_stays_at_the_saturation_and_bits_make_steps() -> None:
    scene = flat()
    scene[:, :, :] = np.linspace(0, 3, 64)[:, None, None]
    image = take(scene, 1.0, sensor(bits=6, saturation=1.5), np.random.default_rng(0))["g"].pixels
    assert image.max() == 15_000
    assert len(np.unique(image)) <= 64


@given(st.floats(420, 2250), st.floats(1, 150))
def test_weights_of_a_band_add_up_and_are_linear_between_known_bands(centre: float, width: float) -> None:
    weights = band_weights(Band(centre=centre, width=width), 7)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    if centre - width / 2 > 500 and centre + width / 2 < 2180 and width < 2:
        assert weights @ centres() == pytest.approx(centre / 1000, abs=2e-3)


def test_sharpened_bands_have_the_detail_of_pan_and_the_colour_of_their_own() -> None:
    """A checkerboard of 1 m squares in pan and bands; colours differ between the halves of the scene only."""
    board = (np.indices((64, 64)) // 4).sum(0) % 2
    scene = np.repeat((0.15 + 0.2 * board)[..., None], 7, axis=2).astype(np.float32)
    scene[:, 32:, 0] *= 2  # red
    pan = {"centre": 600, "width": 250}
    bands = {"r": {"centre": 665, "width": 2, "gsd": 4.0}, "g": {"centre": 560, "width": 2, "gsd": 4.0}}
    images = take(scene, 0.25, sensor(pan=pan, bands=bands, mtf=0.4), np.random.default_rng(0))
    red, green = (images[k].pixels / 1e4 for k in "rg")
    assert red.shape == green.shape == (16, 16)
    assert green.std() > 0.025  # 4 m pixels alone would average the squares away
    assert np.median(red[:, :4] / green[:, :4]) == pytest.approx(1, rel=0.05)
    assert np.median(red[:, 12:] / green[:, 12:]) == pytest.approx(2, rel=0.1)


def test_sharpening_bursts_nowhere_in_the_dark() -> None:
    """Deep shade beside white roofs: no band exceeds what is there by more than its noise and pan's contrast."""
    rng = np.random.default_rng(8)
    scene = np.where(rng.random((40, 40)) < 0.12, 0.7, 0.004).repeat(6, 0).repeat(6, 1)[:240, :240]
    spectrum = np.repeat(scene[..., None], 7, axis=2).astype(np.float32)
    for name in ("worldview-3-50cm", "pleiades-neo"):
        entry = read_sensor(name)
        images = take(spectrum, entry.gsd / 2, entry, np.random.default_rng(0))
        for image in images.values():
            assert image.pixels.max() / entry.scale < 0.85


def test_compression_leaves_traces_of_its_blocks_and_little_else() -> None:
    base = read_sensor("drone").model_dump()
    scene = np.random.default_rng(5).uniform(0.1, 0.3, (64, 64, 7)).astype(np.float32)
    plain, packed = (
        take(scene, 0.05, Sensor.model_validate(base | {"jpeg": quality}), np.random.default_rng(0))["green"].pixels
        for quality in (None, 40)
    )
    difference = plain.astype(float) - packed
    assert 1 < difference.std() < 12
    assert abs(difference.mean()) < 1


def test_a_sensor_too_coarse_for_a_tile_is_refused_in_one_sentence() -> None:
    small = recipe(sensors=["sentinel-2"], output={"size": 64, "gsd": 0.5})
    with pytest.raises(RecipeError, match=r"tile is too small for the pixels of sentinel-2, 20 m a side.*80 m.*32 m"):
        make_plan(small)
    assert [s.name for s in chosen_sensors(recipe(sensors=["sentinel-2"], output={"size": 160}))] == ["sentinel-2"]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"sensors": ["landsat-9"]}, "no such sensor"),
        ({"sensors": ["pleiades-neo"]}, "sees more than is rendered"),
        ({"sensors": ["spot-6-7", "spot-6-7"]}, "stands twice"),
        ({"sensors": ["satellite-rgb"]}, "every dataset has"),
        ({"sensors": ["nowhere.yaml"]}, "no such file"),
        ({"radiometry": "sepia"}, "no such kind"),
    ],
)
def test_sensors_that_cannot_be_are_refused(parts: dict, reason: str) -> None:
    with pytest.raises(RecipeError, match=reason):
        make_plan(recipe(**parts))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("gsd: -1", "gsd"),
        ("mtf: 0.7", "mtf"),
        ("bands: {}", "bands"),
        ("bands: {Red: {centre: 665, width: 30}}", "bands"),
        ("bands: {r: {centre: 5000, width: 30}}", "centre"),
        ("bands: {r: {centre: 665, width: 30, gsd: 0.1}}", "finer than its sensor"),
        ("product: display", "radiometry"),
        ("nonsense: 1", "no such key"),
        ("- a list", "not a sensor"),
    ],
)
def test_a_file_that_is_no_sensor_is_refused_with_its_name(tmp_path: Path, change: str, reason: str) -> None:
    lines = {"name": "mine", "source": "me", "gsd": 1.0, "bits": 10, "bands": "{r: {centre: 665, width: 30}}"}
    key = change.partition(":")[0]
    text = "\n".join(f"{k}: {v}" for k, v in lines.items() if k != key) + f"\n{change}\n"
    file = tmp_path / "mine.yaml"
    file.write_text(change if change.startswith("-") else text, encoding="utf-8")
    with pytest.raises(RecipeError, match=reason) as caught:
        read_sensor(str(file))
    assert "mine.yaml" in str(caught.value)


def test_a_sensor_of_ones_own_counts_by_its_content(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.yaml", "b.yaml")]
    text = "name: mine\nsource: me\ngsd: 1.0\nbits: 10\nbands: {r: {centre: 665, width: 30}}\n"
    for file in files:
        file.write_text(text, encoding="utf-8")
    one, same = (make_plan(recipe(sensors=[str(file)])).recipe_hash for file in files)
    files[1].write_text(text.replace("bits: 10", "bits: 11"), encoding="utf-8")
    assert one == same != make_plan(recipe(sensors=[str(files[1])])).recipe_hash


def test_blur_alone_never_undercuts_a_detector() -> None:
    assert blur_of(0.6366, 1.0) == pytest.approx(0, abs=0.01)
    assert blur_of(0.1, 2.0) == 2 * blur_of(0.1, 1.0)
