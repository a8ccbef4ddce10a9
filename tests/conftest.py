"""What all tests share: where the real data lies."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cities and imagery that is kept beside the repository and never in it."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared/data, beside the repository")
    return SHARED
