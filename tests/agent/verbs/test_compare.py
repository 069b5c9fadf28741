"""Two releases of the tiny model that take turns."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from edgeq.agent.errors import DIED, ENGINE, UNREADABLE_IMAGE, AgentError
from edgeq.agent.measure import gauges
from edgeq.agent.processes.worker import Worker
from edgeq.agent.verbs import compare as verb
from edgeq.agent.verbs.compare import compare
from edgeq.agent.wire.events import Events
from edgeq.agent.wire.job import ComparedRelease, CompareJob

from ..jetsons import ORIN_NANO, plant


def compared(a: Path, b: Path, image: Path, root: Path = Path("/"), **changes: Any) -> Any:
    sides = (ComparedRelease(a, None), ComparedRelease(b, None))
    job = CompareJob(sides, (image, image), 1, 0.05, 0.3, 7)._replace(**changes)
    return json.loads(json.dumps(compare(job, Events(io.BytesIO()), root), allow_nan=False))


def test_both_make_a_pass_of_every_pair(release: Path, red_rectangle: Path) -> None:
    result = compared(release, release, red_rectangle)
    a, b = result["sides"]
    counts = {len(side[stage]) for side in (a, b) for stage in verb.STAGES}
    assert len(counts) == 1 and counts.pop() >= 2
    total_ns = sum(sum(side[stage]) for side in (a, b) for stage in verb.STAGES)
    assert result["duration_ns"] >= 0.3e9 and total_ns <= result["duration_ns"]
    assert a["engine"]["name"] == "onnxruntime" and a["load_ns"] > 0
    assert a["peak_rss_bytes"] > 1 << 20
    assert result["wrong_mode"] == [] and a["power"] is None


def test_a_problem_says_which_side_has_it(
    release: Path, red_rectangle: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(release, broken)
    (broken / "model.onnx").write_bytes(b"no model")
    with pytest.raises(AgentError) as caught:
        compared(release, broken, red_rectangle)
    assert caught.value.kind == ENGINE
    assert caught.value.message.startswith("B: ")


def test_a_missing_image_is_found_before_anything_starts(release: Path, tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        compared(release, release, tmp_path / "none.png")
    assert caught.value.kind == UNREADABLE_IMAGE


def test_a_jetson_has_the_energy_of_each_side_and_its_mode(
    release: Path, red_rectangle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(gauges, "IDLE_S", 0.1)
    monkeypatch.setattr(verb, "ENERGY_S", 0.2)
    root = plant(tmp_path / "board", ORIN_NANO)
    result = compared(release, release, red_rectangle, root, power_mode="7W")
    for side in result["sides"]:
        assert side["power"]["total_mw"] == 4500
        assert side["power"]["energy_with_idle_mj"] > 0
    assert result["power_mode"] == "25W"
    assert result["wrong_mode"][0].startswith("power mode: the board is in '25W'")
    assert any(reason.startswith("throttled: ") for reason in result["slowed"])


def test_a_side_that_is_killed_is_named(release: Path, red_rectangle: Path) -> None:
    job = {"release": str(release), "images": [str(red_rectangle)], "threads": 1}
    worker = Worker("A", "side", job)
    try:
        worker.hear()
        os.kill(worker.pid, 9)
        with pytest.raises(AgentError) as caught:
            worker.ask("0")
        assert caught.value.kind == DIED and caught.value.message.startswith("A: ended")
    finally:
        worker.close()


def test_nothing_is_left_running(release: Path, red_rectangle: Path) -> None:
    worker = Worker("A", "side", {"release": str(release), "images": [], "threads": 1})
    worker.close()
    assert not Path(f"/proc/{worker.pid}").exists()


def test_a_side_rests_before_the_other_begins(release: Path, red_rectangle: Path) -> None:
    """With threads that would spin for 50 ms after an inference."""
    job = {"release": str(release), "images": [str(red_rectangle)], "threads": 2}
    worker = Worker("A", "side", job)
    try:
        worker.hear()
        worker.ask("0")
        worker.rest()
        before = cpu_ticks(worker.pid)
        time.sleep(0.1)
        assert cpu_ticks(worker.pid) - before <= 1
    finally:
        worker.close()


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
