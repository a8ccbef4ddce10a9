"""What all tests share: where the real data lies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# the same examples at every run, so that a change is judged by what it changes; HYPOTHESIS=explore looks for new ones
settings.register_profile("same", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS", "same"))

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cities and imagery that is kept beside the repository and never in it."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared/data, beside the repository")
    return SHARED
