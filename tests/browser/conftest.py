"""A real browser for the tests, from the system's packages; without it they are skipped, in CI they fail."""

import os
import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def chromium() -> str:
    """Where the browser is."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None and os.environ.get("CI", "false") != "false":
        pytest.fail(f"CI must run the browser tests, and there is none of {', '.join(BROWSERS)}")
    return path or pytest.skip(f"needs one of {', '.join(BROWSERS)} from the system's packages")
