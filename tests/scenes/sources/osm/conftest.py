"""The map that each test of OpenStreetMap's readers draws on."""

from __future__ import annotations

from pathlib import Path

import pytest
from osmmaps import Map


@pytest.fixture
def town(tmp_path: Path) -> Map:
    """An empty map."""
    return Map(tmp_path)
