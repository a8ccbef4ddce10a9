"""A generated dataset with further sensors and clouds: what its images show is what its labels say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import mage, samples_of
from scipy.ndimage import distance_transform_edt

from mage.scenes.dataset.fields import LandClass
from mage.scenes.dataset.schema import Sample
from mage.scenes.dataset.verify import verify_dataset

SIZE = 96
OWN = """
name: full-range
source: a sensor of the test's own, at the labels' pixels
gsd: 1.0
bits: 14
mtf: 0.5
snr: 1000
bands:
  red: {centre: 665, width: 30}
  nir: {centre: 842, width: 100}
  swir1: {centre: 1610, width: 90}
  swir2: {centre: 2190, width: 180}
"""
RECIPE = """
name: several-sensors
city: {{extent: 160}}
hazard:
  {{kind: fire, wind: [14, 18], minutes: [500, 600], ignitions: 14, crowns: [0, 0], cured: [0.9, 0.9], smoke: [0, 0]}}
between: {{changes: [0, 0], season: held}}
atmosphere: {{cloud: [0.1, 0.15], thin: [0, 0.02], haze: [0.02, 0.05], height: [300, 400]}}
sensors: ["{file}", sentinel-2, planetscope]
radiometry: mixture
output: {{size: {size}, gsd: 1.0}}
render: {{spp: 1}}
count: 1
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sensors")
    own, recipe = folder / "own.yaml", folder / "recipe.yaml"
    own.write_text(OWN, encoding="utf-8")
    recipe.write_text(RECIPE.format(file=own, size=SIZE), encoding="utf-8")
    mage("generate", recipe, "--out", folder / "dataset")
    return folder / "dataset"


@pytest.fixture(scope="module")
def sample(dataset: Path) -> Sample:
    return samples_of(dataset)[0]


def index(sample: Sample, date: str, one: str, other: str) -> np.ndarray:
    """Normalised difference of two bands of the test's own sensor."""
    a, b = (sample.bands[f"{date}_full-range_{name}"] / 1e4 for name in (one, other))
    return (a - b) / np.maximum(a + b, 1e-4)


def clear(sample: Sample, date: str) -> np.ndarray:
    return sample.labels[f"{date}_cloud"] < 10


def test_it_verifies_and_says_which_sensors_it_holds(dataset: Path, sample: Sample) -> None:
    assert verify_dataset(dataset).problems == ()
    manifest = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    assert [s["name"] for s in manifest["sensors"]] == ["full-range", "sentinel-2", "planetscope"]
    sides = {image.member: (image.rows, image.gsd) for image in sample.record.images}
    assert sides["pre_sentinel-2_b02"] == (9, 10.0)
    assert sides["pre_sentinel-2_b11"] == (4, 20.0)
    assert sides["post_planetscope_nir"] == (32, 3.0)
    assert len(sample.bands) == 2 * (4 + 10 + 8)


def test_plants_are_bright_in_the_nir_and_what_is_built_is_not(sample: Sample) -> None:
    ndvi, cover = index(sample, "pre", "nir", "red"), sample.labels["pre_class"]
    own = clear(sample, "pre")
    assert np.median(ndvi[own & (cover == LandClass.TREE)]) > 0.5
    assert np.median(ndvi[own & (cover == LandClass.GRASS)]) > 0.3
    assert np.median(ndvi[own & (cover == LandClass.BUILDING)]) < 0.3
    if (cover == LandClass.WATER).any():
        assert np.median(ndvi[own & (cover == LandClass.WATER)]) < 0


def test_ground_that_burnt_hard_has_lost_its_burn_ratio(sample: Sample) -> None:
    """Key & Benson: a difference above 0.44 is moderate-high or high; what burns beside it spoils pixels of 1 m a
    little, so that spared ground is told apart by far, not unchanged.
    """
    dnbr = index(sample, "pre", "nir", "swir2") - index(sample, "post", "nir", "swir2")
    grass = (sample.labels["pre_class"] == LandClass.GRASS) & (sample.labels["post_class"] == LandClass.GRASS)
    own = grass & clear(sample, "pre") & clear(sample, "post")
    hard = own & (sample.labels["post_burn"] >= 75)
    assert hard.sum() > 20
    assert np.median(dnbr[hard]) > 0.44
    burnt = (sample.labels["post_burn"] == 100) & (sample.labels["post_building"] > 0)
    ashen = distance_transform_edt(~burnt) < 12  # what burnt houses strew
    spared = own & (sample.labels["post_burn"] == 0) & ~ashen
    if spared.sum() > 20:
        assert np.median(dnbr[spared]) < np.median(dnbr[hard]) - 0.2


def test_the_same_ground_has_the_same_reflectance_at_every_gsd(sample: Sample) -> None:
    """Means of one band over the tile agree between 1, 3 and 10 m."""
    for date in ("pre", "post"):
        own = sample.bands[f"{date}_full-range_nir"][:90, :90].mean() / 1e4
        coarse = sample.bands[f"{date}_sentinel-2_b08"].mean() / 1e4
        between = sample.bands[f"{date}_planetscope_nir"][:30, :30].mean() / 1e4
        assert coarse == pytest.approx(own, rel=0.05)
        assert between == pytest.approx(own, rel=0.05)


def test_clouds_are_where_the_label_says_and_buildings_below_keep_theirs(sample: Sample) -> None:
    for date, taken in (("pre", sample.record.pre), ("post", sample.record.post)):
        cloud = sample.labels[f"{date}_cloud"]
        assert 0.08 < taken.cloud_cover < 0.25
        assert taken.cloud_cover == pytest.approx((cloud >= 50).mean(), abs=1e-5)
        bright = sample.bands[f"{date}_full-range_red"] / 1e4
        assert np.median(bright[cloud > 75]) > 0.4 > np.median(bright[cloud < 10])
        luma = sample.images[date].mean(axis=-1)
        assert luma[cloud > 75].mean() > luma[cloud < 10].mean() + 40
    assert (sample.labels["pre_building"] > 0).any()
