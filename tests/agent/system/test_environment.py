"""Reading the surroundings: parsers on recorded text, and one real look."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.agent.system.environment import environment, parse_meminfo, parse_ticks
from edgeq.agent.system.memory import peak_rss_bytes, reset_peak, rss_bytes
from edgeq.agent.system.reading import Reader

if TYPE_CHECKING:
    import pytest

MEMINFO = """MemTotal:        8245244 kB
MemFree:         5123456 kB
MemAvailable:    6912340 kB
HugePages_Total:       0
Hugepagesize:       2048 kB
"""

# Raspberry Pi 5, kernel 6.6: user nice system idle iowait irq softirq steal guest guest_nice.
STAT = """cpu  110 20 30 40000 50 6 7 8 9 1
cpu0 55 10 15 20000 25 3 3 4 4 0
intr 123456
"""


def test_meminfo_is_in_bytes() -> None:
    assert parse_meminfo(MEMINFO) == {
        "MemTotal": 8245244 * 1024,
        "MemFree": 5123456 * 1024,
        "MemAvailable": 6912340 * 1024,
        "Hugepagesize": 2048 * 1024,
    }


def test_busy_ticks_leave_out_idle_and_waiting_and_count_guests_once() -> None:
    assert parse_ticks(STAT) == (110 + 20 + 30 + 6 + 7 + 8, 8)


def test_busy_ticks_of_old_kernels_with_fewer_columns() -> None:
    assert parse_ticks("cpu  1 2 3 400\n") == (6, 0)
    assert parse_ticks("nothing of the kind") is None


def test_one_look_is_json_and_says_what_it_could_not_read() -> None:
    look = environment()
    fields = json.loads(json.dumps(look.fields(), allow_nan=False))
    assert fields["cores"] >= 1
    assert fields["memory_available_bytes"] > 0
    assert fields["cpu_time"]["busy_s"] > 0
    for name in ("frequencies_khz", "governors", "zones", "throttle_counts"):
        assert fields[name] or name in fields["not_readable"]


def test_a_reader_gives_the_reason_for_each_missing_figure(tmp_path: Path) -> None:
    reader = Reader()
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "temp").write_text("hot\n")
    missing = str(tmp_path / "missing")
    assert reader.text("board", missing, str(tmp_path / "model")) == (
        "Raspberry Pi 5 Model B Rev 1.0"
    )
    assert reader.text("power", missing) is None
    assert reader.integer("temperature", str(tmp_path / "temp")) is None
    assert reader.found("rails", str(tmp_path / "in*_input")) == []
    assert reader.not_readable == {
        "power": f"{missing}: No such file or directory",
        "temperature": f"{tmp_path}/temp holds 'hot', which is not a number",
        "rails": f"this system has no {tmp_path}/in*_input",
    }


def test_what_only_root_may_read_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    # Tests may run as root, whom no file mode keeps out: the operating system's answer is forged.
    monkeypatch.setattr(Path, "read_bytes", refuse)
    reader = Reader()
    assert reader.text("power", str(tmp_path / "in1_input")) is None
    assert reader.not_readable == {"power": "not readable without root"}


def test_peak_memory_covers_what_was_used_after_the_reset() -> None:
    was_reset = reset_peak()
    before = rss_bytes()
    block = bytearray(64 << 20)
    peak, source = peak_rss_bytes(was_reset)
    assert before is not None and peak >= before + len(block) // 2
    expected = "VmHWM since before the load" if was_reset else "ru_maxrss since the process started"
    assert source == expected
