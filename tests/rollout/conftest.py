from __future__ import annotations

from pathlib import Path

import pytest

from .barn import Barn, make


@pytest.fixture
def barn(small_demo: Path, tmp_path: Path, spared: None) -> Barn:
    """Two boards with nothing on them."""
    return make(small_demo, tmp_path / "barn", 2)
