"""Clocks of GPU and memory, and whether they are pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Optional

import pytest

from edgeq.agent.system.clocks import Clock, clocks_pinned, emc_hz, gpu_clocks
from edgeq.agent.system.reading import Reader

from ..jetsons import AGX_ORIN, AGX_XAVIER, ORIN_NANO, THOR, XAVIER_NX, Files, cpu, gpu, plant

if TYPE_CHECKING:
    from pathlib import Path

MHZ = 1_000_000


@pytest.mark.parametrize(
    "board, clocks, pinned",
    [
        (XAVIER_NX, {"17000000.gv11b": 1109.25}, True),
        (AGX_XAVIER, {"17000000.gv11b": 114.75}, False),
        (ORIN_NANO, {"17000000.gpu": 306}, False),
        (AGX_ORIN, {"17000000.ga10b": 1300.5}, True),
        (THOR, {"gpu-gpc-0": 1575, "gpu-gpc-1": 315, "gpu-gpc-2": 315}, False),
    ],
)
def test_clocks_of_known_boards(
    tmp_path: Path, board: Files, clocks: Dict[str, float], pinned: bool
) -> None:
    reader = Reader(plant(tmp_path, board))
    found = gpu_clocks(reader)
    assert {name: clock.current_hz for name, clock in found.items()} == {
        name: mhz * MHZ for name, mhz in clocks.items()
    }
    assert clocks_pinned(reader, found) is pinned
    assert reader.not_readable == {}


@pytest.mark.parametrize(
    "clock, pinned",
    [
        (Clock(1000, 1000, 1000), True),
        (Clock(995, 1000, 1000), True),  # A counter's view of a fixed clock.
        (Clock(980, 1000, 1000), False),  # Pinned, but held back.
        (Clock(1000, 500, 1000), False),
        (Clock(None, 1000, 1000), None),
    ],
)
def test_pinned_is_at_the_only_frequency_there_is(clock: Clock, pinned: Optional[bool]) -> None:
    assert clock.pinned is pinned


def test_a_free_cpu_beside_a_pinned_gpu_is_not_pinned(tmp_path: Path) -> None:
    root = plant(tmp_path, cpu(1000, 1000, 2000), gpu("17000000.gpu", 5, 5, 5))
    reader = Reader(root)
    assert clocks_pinned(reader, gpu_clocks(reader)) is False


def test_an_unknown_gpu_leaves_it_open(tmp_path: Path) -> None:
    files = {**cpu(1000, 1000, 1000), "/sys/class/devfreq/15340000.vic/cur_freq": "1\n"}
    reader = Reader(plant(tmp_path, files))
    assert clocks_pinned(reader, gpu_clocks(reader)) is None
    assert reader.not_readable["gpu_clocks"] == "/sys/class/devfreq has no clock of a GPU"
    assert "clocks_pinned" in reader.not_readable


def test_the_memory_clock_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "/sys/kernel/debug/bpmp/debug/clk/emc/rate"
    assert emc_hz(Reader(plant(tmp_path, {path: "2133000000\n"}))) == 2133 * MHZ

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    reader = Reader(tmp_path)
    assert emc_hz(reader) is None
    assert reader.not_readable == {"emc_hz": "not readable without root"}
