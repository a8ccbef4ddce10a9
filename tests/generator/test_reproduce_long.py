"""A release of a rendered dataset, and one of its samples rendered again by Blender."""

from __future__ import annotations

import pytest

pytest.importorskip("bpy")

from mage.generator.generate import generate
from mage.generator.release.publication import Publication
from mage.generator.release.publish import release
from mage.generator.reproduce import reproduce
from mage.scenes.dataset.verify import verify_dataset
from mage.scenes.dataset.verify_release import verify_release
from mage.scenes.recipe import read_recipe

pytestmark = pytest.mark.long


def test_a_released_sample_is_rendered_again_to_the_byte(tmp_path):
    small = {"count": 2, "output.size": 64, "render.spp": 1, "city.extent": 160, "render.device": "cpu"}
    generate(read_recipe("flood", small), tmp_path / "dataset")
    publication = Publication("rendered", "0.1.0", "CC0-1.0", "2026-01-02")
    release(tmp_path / "dataset", tmp_path / "out", publication, full=True)
    assert verify_dataset(tmp_path / "out").ok
    assert verify_release(tmp_path / "out") == []
    key = (tmp_path / "out/splits/train.txt").read_text().split()[1]
    found = reproduce(tmp_path / "out", key)
    assert found.exact
    assert found.images == ()
    assert found.versions == {}
