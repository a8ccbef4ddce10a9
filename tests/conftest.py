"""What all tests share: where the real data lies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

# the same examples at every run, so that a change is judged by what it changes; HYPOTHESIS=explore looks for new ones;
# none has a deadline, which a machine that does other work as well would miss
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS", "same"))

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real cities and imagery that is kept beside the repository and never in it."""
    if not SHARED.is_dir():
        pytest.skip("needs the real data in ../shared/data, beside the repository")
    return SHARED


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, without a window."""
    api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs the program chromium")
    with api.sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()
