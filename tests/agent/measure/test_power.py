"""Energy of an inference against closed forms, and the sampling that it rests on."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.agent.measure.gauges import Gauges, lowest_available_bytes, median_gpu_hz
from edgeq.agent.measure.power import power
from edgeq.agent.measure.rails import Meter
from edgeq.agent.measure.sampling import Point, Sampler, mean_over_time
from edgeq.agent.system.reading import Reader

from ..jetsons import THOR, plant

if TYPE_CHECKING:
    from pathlib import Path

SECOND_NS = 1_000_000_000
Looks = List[Tuple[int, Dict[str, float]]]


def looks(start_mw: float, end_mw: float, at_s: List[float], rail: str = "VDD_IN") -> Looks:
    """Power that goes straight from `start_mw` at 0 s to `end_mw` at 10 s."""
    slope = (end_mw - start_mw) / 10
    return [(int(s * SECOND_NS), {rail: start_mw + slope * s}) for s in at_s]


def test_constant_power() -> None:
    idle, timed = looks(4000, 4000, [0, 1, 2]), looks(10_000, 10_000, [0, 3, 10])
    found = power("INA3221", idle, timed, 10 * SECOND_NS, 100)
    assert found is not None
    # 6 W above idle for 10 s are 60 J, in a hundred inferences 600 mJ each.
    assert found.energy_mj == pytest.approx(600)
    assert found.energy_with_idle_mj == pytest.approx(1000)
    assert (found.total_mw, found.idle_mw) == (10_000, 4000)
    assert (found.total_rails, found.samples) == (("VDD_IN",), 3)


@given(st.lists(st.floats(0, 10), max_size=50))
def test_a_ramp_is_its_middle_however_unevenly_it_was_sampled(between: List[float]) -> None:
    timed = looks(5000, 15_000, sorted([0.0, *between, 10.0]))
    found = power("INA3221", looks(5000, 5000, [0, 2]), timed, 10 * SECOND_NS, 10)
    assert found is not None
    assert found.total_mw == pytest.approx(10_000, abs=0.01)
    assert found.energy_mj == pytest.approx(5000, abs=0.01)


def test_the_total_is_the_sum_of_rails_where_none_measures_the_input() -> None:
    rails = {"VDD_GPU_SOC": 3000.0, "VDD_CPU_CV": 1000.0, "VIN_SYS_5V0": 4000.0, "X": 7.0}
    found = power("INA3221", [(0, rails)], [(0, rails), (SECOND_NS, rails)], SECOND_NS, 4)
    assert found is not None
    assert found.total_rails == ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    assert (found.total_mw, found.energy_mj) == (8000, 0)
    assert found.energy_with_idle_mj == 2000
    assert found.rails_mw == rails


def test_without_idle_power_there_is_no_energy_above_it() -> None:
    found = power("tegrastats", [], looks(1000, 1000, [0, 1]), SECOND_NS, 1)
    assert found is not None
    assert (found.idle_mw, found.energy_mj, found.energy_with_idle_mj) == (None, None, 1000)


def test_rails_without_a_known_total_are_shown_alone() -> None:
    timed = looks(1000, 1000, [0, 1], "SPARE")
    found = power("INA3221", timed, timed, SECOND_NS, 1)
    assert found is not None
    assert found.rails_mw == {"SPARE": 1000}
    assert (found.total_rails, found.total_mw, found.energy_mj) == ((), None, None)


@pytest.mark.parametrize("failed", [2, 10])
def test_rails_that_could_often_not_be_read_give_nothing(failed: int) -> None:
    timed = [
        (ns, rails if n >= failed else {}) for n, (ns, rails) in enumerate(looks(1, 1, [0] * 10))
    ]
    assert power("INA3221", [], timed, SECOND_NS, 1) is None


def test_the_mean_of_nothing_and_of_one_moment() -> None:
    assert mean_over_time([]) is None
    assert mean_over_time([Point(5, 3.0)]) == 3.0
    assert mean_over_time([Point(5, 3.0), Point(5, 5.0)]) == 4.0


def test_a_sampler_looks_first_last_and_in_between() -> None:
    numbers = iter(range(1000))
    start_ns = time.perf_counter_ns()
    with Sampler(lambda: next(numbers), 0.01) as sampler:
        assert [value for _, value in sampler.looks[:1]] == [0]
        time.sleep(0.2)
        count = len(sampler.looks)
    times = [at_ns for at_ns, _ in sampler.looks]
    assert 4 <= count < len(times)
    assert start_ns <= times[0] and times == sorted(times)
    assert times[-1] <= time.perf_counter_ns()
    assert not any(thread.name == "sampler" for thread in threading.enumerate())


def test_gauges_watch_power_clock_and_memory(tmp_path: Path) -> None:
    root = plant(tmp_path, THOR, {"/proc/meminfo": "MemTotal: 900 kB\nMemAvailable:     500 kB\n"})
    closed: List[bool] = []
    meter = Meter("INA3221", lambda: {"VDD_IN": 7000.0}, lambda: closed.append(True))
    gauges = Gauges(Reader(root), meter)
    with gauges.watch() as sampler:
        (root / "proc/meminfo").write_text("MemAvailable:     300 kB\n")
    gauges.close()
    assert closed == [True]
    assert median_gpu_hz(sampler.looks) == 1_575_000_000
    assert lowest_available_bytes(sampler.looks) == 300 * 1024
    assert sampler.looks[0][1].rails_mw == {"VDD_IN": 7000.0}


def test_a_meter_that_fails_leaves_the_rest(tmp_path: Path) -> None:
    def fail() -> Dict[str, float]:
        raise OSError(61, "No data available")

    root = plant(tmp_path, {"/proc/meminfo": "MemAvailable:     500 kB\n"})
    gauges = Gauges(Reader(root), Meter("INA3221", fail, lambda: None))
    with gauges.watch() as sampler:
        pass
    gauges.close()
    assert gauges.power([], sampler.looks, SECOND_NS, 1) is None
    assert lowest_available_bytes(sampler.looks) == 500 * 1024
    assert median_gpu_hz(sampler.looks) is None


def test_without_a_meter_nobody_waits_for_idle_power(tmp_path: Path) -> None:
    gauges = Gauges(Reader(tmp_path), None)
    start_s = time.monotonic()
    assert gauges.watch_idle() == []
    assert time.monotonic() - start_s < 1
    assert gauges.power([], [], SECOND_NS, 1) is None
    gauges.close()
    assert lowest_available_bytes([]) is None
