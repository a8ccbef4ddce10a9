"""Contact sheets: what they show of further sensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fake_dataset import fake_sample, with_sensor

from mage.generator.preview import contact_sheet


def test_a_sensors_image_is_shown_alike_however_large_its_numbers_are() -> None:
    sample = with_sensor(fake_sample(0, 64))
    dim, bright = (
        contact_sheet(replace(sample, bands={n: b // 100 * np.uint16(k) for n, b in sample.bands.items()})).astype(int)
        for k in (1, 2000)  # of 20 at most, and of 40,000
    )
    assert np.abs(dim - bright).max() <= 1
