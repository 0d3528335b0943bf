"""What every test of the package may ask for."""

from __future__ import annotations

import pytest
from hypothesis import settings

from tests.backends import Backend, run_flex_attention_uncompiled

# `make test` tries the same examples everywhere; `--hypothesis-profile=thorough` tries new ones, and more
settings.register_profile("course", max_examples=500, deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", max_examples=20_000, deadline=None)
settings.load_profile("course")


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Backend:
    """One of `tests.backends.BACKENDS`, ready to run."""
    if request.param.name == "flex":
        run_flex_attention_uncompiled(monkeypatch)
    return request.param
