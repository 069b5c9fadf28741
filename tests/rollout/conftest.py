from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import edgeq

from ..demo_project import acquaint
from .barn import Barn, make


@pytest.fixture(scope="session")
def rolled_out(
    small_demo: Path, known_agent: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """$EDGEQ_HOME where both releases of a barn were built, and rolled out to a board each."""
    home = tmp_path_factory.mktemp("rolled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        first, second = (make(small_demo, home / name, 1) for name in ("first", "second"))
        for barn in (first, second):
            acquaint(barn.boards["cam0"], known_agent)
        list(edgeq.start_rollout(first.recipe, first.fleet, first.strategy(canary=1)))
        second.next_release()
        list(edgeq.start_rollout(second.recipe, second.fleet, second.strategy(canary=1)))
    return home


@pytest.fixture
def barn(
    small_demo: Path, tmp_path: Path, edgeq_home: Path, known_agent: Path, rolled_out: Path
) -> Barn:
    """Two boards with nothing but the agent; what is computed here of their releases is known."""
    shutil.copytree(rolled_out / "cache", edgeq_home / "cache")
    acquaint(edgeq_home / "host", known_agent)
    barn = make(small_demo, tmp_path / "barn", 2)
    for board in barn.boards.values():
        acquaint(board, known_agent)
    return barn
