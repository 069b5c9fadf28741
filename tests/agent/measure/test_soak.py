"""A long run, whose minutes last as long as the test says."""

from __future__ import annotations

import time
from typing import Any, Iterator, List, Tuple

from edgeq.agent.measure.soak import MinuteRun, soak
from edgeq.agent.system.environment import CpuTime, Environment
from edgeq.agent.system.zones import Zone

from .test_stability import look


def run(
    looks: Iterator[Environment], slow: Any = lambda n: 1.0
) -> Tuple[List[MinuteRun], List[float]]:
    told: List[float] = []

    def take(number: int) -> Tuple[int, int]:
        time.sleep(0.002)
        ns = int(10_000_000 * slow(number))
        return ns, ns + 3_000_000

    return soak(take, lambda: next(looks), 2, 0.32, told.append, 0.1), told


def hotter() -> Iterator[Environment]:
    """A board that is slowed down in its third minute."""
    for minute, celsius in enumerate((50.0, 70.0, 85.0, 96.0, 97.0, 97.0)):
        khz = 2_400_000 if minute < 3 else 1_800_000
        yield look(
            60.0 * minute,
            zones=(Zone("cpu", celsius), Zone("gpu", None)),
            frequencies_khz={"cpu0": khz, "cpu1": khz},
            cpu_time=CpuTime(1000.0 + minute, 10.0 + minute),
        )


def test_minutes_tell_when_the_device_was_slowed_down() -> None:
    minutes, told = run(hotter(), slow=lambda n: 1.0 + n / 1000)
    assert len(minutes) == 4  # three whole ones, and the rest
    assert [minute.hottest_c for minute in minutes] == [70.0, 85.0, 96.0, 97.0]
    assert [minute.slowest_khz for minute in minutes[1:3]] == [2_400_000, 1_800_000]
    assert minutes[0].reasons == minutes[1].reasons == []
    assert set(minutes[2].reasons) == {"frequency", "temperature"}
    assert minutes[0].median_ns < minutes[2].median_ns <= minutes[2].p99_ns
    assert minutes[0].frame_median_ns == minutes[0].median_ns + 3_000_000
    assert sum(minute.passes for minute in minutes) == len(told) and max(told) <= 0.32


def test_a_device_that_tells_nothing_has_no_figures_for_it() -> None:
    silent = iter(look(60.0 * n, zones=(), frequencies_khz={}, cpu_time=None) for n in range(9))
    minutes, _ = run(silent)
    assert {(m.hottest_c, m.slowest_khz, tuple(m.reasons)) for m in minutes} == {(None, None, ())}
