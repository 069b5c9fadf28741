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
    """$EDGEQ_HOME where both releases of a barn were rolled out, each to a board of its own."""
    home = tmp_path_factory.mktemp("rolled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        barn = make(small_demo, home / "barn", 2)
        strategy = barn.strategy(canary=1)
        for name, root in barn.boards.items():
            acquaint(root, known_agent)
            list(edgeq.start_rollout(barn.recipe, barn.fleet, strategy, on=f"name={name}"))
            barn.next_release()
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
