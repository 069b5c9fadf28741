"""Processor time of this process and its children."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeq.tuning.processor import spent_s

BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)\n"


def test_time_of_children_counts_living_and_ended() -> None:
    before = spent_s()
    program = [sys.executable, "-c", CHILD + "print(flush=True); input()", BURN]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # its own child has ended by now, and it lives
        living = spent_s()
        child.communicate(b"\n")
    ended = spent_s()
    if sys.platform == "linux":
        assert living - before >= 0.25
    assert ended - before >= 0.25


def test_own_time_counts_and_waiting_does_not() -> None:
    before = spent_s()
    time.sleep(0.2)
    waited = spent_s()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert spent_s() - waited >= 0.15
    assert waited - before < 0.15


def stat(root: Path, pid: int, parent: int, name: str = "python", ticks: int = 100) -> None:
    (root / str(pid)).mkdir()
    text = f"{pid} ({name}) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} {ticks} {ticks} {ticks} 20 0 1\n"
    (root / str(pid) / "stat").write_text(text)


def test_only_descendants_count_whatever_they_are_called(tmp_path: Path) -> None:
    own, a_tick = os.getpid(), 1 / os.sysconf("SC_CLK_TCK")
    stat(tmp_path, own, 1)
    stat(tmp_path, own + 1, own, name="a) S 1 (b")
    stat(tmp_path, own + 2, own + 1)
    stat(tmp_path, own + 3, 1)
    (tmp_path / f"{own + 4}").mkdir()  # ended meanwhile
    assert spent_s(tmp_path) == pytest.approx(3 * 400 * a_tick)


def test_numbers_that_go_round_end(tmp_path: Path) -> None:
    own = os.getpid()
    stat(tmp_path, own, 1)
    stat(tmp_path, own + 1, own + 2)
    stat(tmp_path, own + 2, own + 1)
    assert spent_s(tmp_path) == pytest.approx(400 / os.sysconf("SC_CLK_TCK"))


def test_without_any_such_folder_it_is_what_the_system_says(tmp_path: Path) -> None:
    assert spent_s(tmp_path) == pytest.approx(sum(os.times()[:4]), abs=0.5)
