"""A roll-out to boards that compile what they run; TensorRT is a pretended one that computes."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgeq
from tests.verbs.test_jetson import TARGET, install

from .barn import make
from .pretended import states
from .test_boards import INSTALLED


def test_identical_boards_build_an_engine_once_however_many_are_begun_together(
    small_demo: Path, reckoned: Path, spared: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install(tmp_path, monkeypatch)
    barn = make(small_demo, tmp_path / "barn", 3)
    for name, root in barn.boards.items():
        text = TARGET.format(root=root) + "share_engines: true\n"
        (barn.folder / f"{name}.yaml").write_text(text)
    rollout = edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=3))
    seen = states(rollout)
    assert seen == {**dict.fromkeys(barn.boards, INSTALLED), "": ["done"]}
    # Those of the release and of the float model beside it, which one board is judged by.
    assert log.read_text() == "built\n" * 2
    [artifact] = {device.artifact_id for device in edgeq.rollout_status(rollout.id).devices}
    assert barn.current() == dict.fromkeys(barn.boards, artifact)
