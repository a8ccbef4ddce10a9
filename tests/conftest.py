"""What all tests share: where the real data lies."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cities and imagery that is kept beside the repository and never in it."""
    if not SHARED.is_dir():
        pytest.skip(f"the real data is not at {SHARED.name}/ beside the repository")
    return SHARED
