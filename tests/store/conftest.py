from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest

from . import postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    binary_folder = postgresql.binaries()
    if binary_folder is None:
        missing = "PostgreSQL: no initdb on PATH or in /usr/lib/postgresql"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    with postgresql.running(binary_folder) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store, once in each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    server: postgresql.Server = request.getfixturevalue("server")
    return server.create(f"store_{uuid.uuid4().hex}")
