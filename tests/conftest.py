"""What every test gets: a folder of its own for what edgeq keeps, and the way to the real data."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.demo_project"]

DATA = Path(__file__).parent.parent.parent / "shared" / "data"


@pytest.fixture(autouse=True)
def edgeq_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $EDGEQ_HOME, so that no test sees a user's targets or another test's cache."""
    home = tmp_path_factory.mktemp("edgeq-home")
    monkeypatch.setenv("EDGEQ_HOME", str(home))
    return home


@pytest.fixture
def real_data() -> Callable[[str], Path]:
    """The path of a real model or set of images; skips where it is absent, fails there on CI."""

    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            reason = f"needs the real data: {path} is absent"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children that SIGINT ends, although a shell's background job has it ignored and passes on."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
