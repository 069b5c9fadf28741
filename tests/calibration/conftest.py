"""Hypothesis without deadlines, and the real data for what is prepared once for several tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("edgeq", deadline=None)
settings.load_profile("edgeq")

REAL = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_folder() -> Path:
    """The folder of the real model and images; skips where it is absent, fails there on CI."""
    if not REAL.is_dir():
        what = f"needs the real data: {REAL} is absent"
        if os.environ.get("CI") == "true":
            pytest.fail(what)
        pytest.skip(what)
    return REAL
