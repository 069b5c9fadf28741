"""The judgement of a measurement, on surroundings made by hand."""

from __future__ import annotations

from typing import Any, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.agent.measure.stability import (
    Conditions,
    disturbances,
    drift,
    instability,
    mode_reasons,
    other_cores,
    steady,
)
from edgeq.agent.system.environment import CpuTime, Environment, Jetson
from edgeq.agent.system.jetson import PowerMode
from edgeq.agent.system.zones import Zone

CALM_NS = [10_000_000 + 1000 * (i % 7) for i in range(60)]
CONDITIONS = Conditions(2, True, 15.0, 50, 120.0)


def look(at_s: float, **changes: Any) -> Environment:
    """A four-core board at `at_s`, where nobody else runs and this process used no CPU."""
    plain = Environment(
        unix_s=1.7e9 + at_s,
        monotonic_ns=int(at_s * 1e9),
        cores=4,
        frequencies_khz={"cpu0": 2_400_000, "cpu1": 2_400_000},
        governors={"policy0": "ondemand"},
        zones=(Zone("cpu-thermal", 61.5), Zone("gpu", None)),
        throttle_counts={"cpu0/core_throttle_count": 3},
        load_average=(0.5, 0.4, 0.3),
        memory_available_bytes=1 << 30,
        cpu_time=CpuTime(1000.0, 10.0),
        not_readable={},
    )
    return plain._replace(**changes)


def judged(
    samples_ns: Optional[List[int]] = None,
    conditions: Conditions = CONDITIONS,
    before: Optional[Environment] = None,
    **after: Any,
) -> List[str]:
    first = before or look(0)
    return [
        *instability(CALM_NS if samples_ns is None else samples_ns, conditions),
        *disturbances(first, first, look(10, **after), conditions.threads),
    ]


def test_a_calm_measurement_gives_no_reason() -> None:
    assert judged(cpu_time=CpuTime(1020.0, 28.0)) == []


def test_a_warm_up_that_never_settled() -> None:
    (reason,) = judged(conditions=CONDITIONS._replace(steady=False))
    assert reason.startswith("warm-up: not steady within 15 s")


def test_too_few_runs() -> None:
    (reason,) = judged(CALM_NS[:20])
    assert reason == "count: 20 runs within 120 s, 50 were asked for"


@pytest.mark.parametrize("factor, reported", [(1.09, False), (1.12, True), (0.88, True)])
def test_drift_between_first_and_last_third(factor: float, reported: bool) -> None:
    samples = [*CALM_NS[:40], *(int(ns * factor) for ns in CALM_NS[40:])]
    reasons = judged(samples)
    assert bool(reasons) == reported
    assert all(
        reason.startswith("drift: median inference went from 10.00 ms") for reason in reasons
    )


def test_drift_that_the_samples_do_not_show_is_none() -> None:
    """A median of few that vary by half differs by 11% without anything having changed."""
    assert drift([10, 16, 10, 16, 16, 10, 16, 10, 10, 16, 16, 10, 16, 10, 16, 16, 10, 16]) == []
    assert drift([10] * 9 + [12] * 9) != []
    assert drift([10, 12]) == []


def test_time_that_a_host_stole_is_lost_on_any_core() -> None:
    (reason,) = judged(cpu_time=CpuTime(1003.0, 10.0, 3.0))
    assert reason == ("stolen: the virtual machine's host took 0.30 cores on average (limit 0.25)")
    assert judged(cpu_time=CpuTime(1002.0, 10.0, 2.0)) == []


def test_a_clock_that_fell_before_is_held_against_that_of_the_warm_up() -> None:
    slow = {"cpu0": 1_000_000, "cpu1": 2_400_000}
    low = (look(0, frequencies_khz=slow), look(10, frequencies_khz=slow))
    (reason,) = disturbances(look(-5), *low, 2)
    assert reason.startswith("frequency: cpu0 went from 2400 MHz to 1000 MHz")


def test_spread_between_median_and_p90() -> None:
    samples = [16_000_000 if i % 5 == 0 else ns for i, ns in enumerate(CALM_NS)]
    (reason,) = judged(samples)
    assert reason.startswith("spread: p50 10.00 ms but p90 16.00 ms (+60%")


@pytest.mark.parametrize("others_s, reported", [(22.0, False), (23.0, True)])
def test_contention_counts_cores_that_the_threads_leave_free(
    others_s: float, reported: bool
) -> None:
    reasons = judged(cpu_time=CpuTime(1000.0 + 20.0 + others_s, 30.0))
    assert bool(reasons) == reported
    if reported:
        assert reasons == [
            "contention: other processes used 2.30 cores on average; "
            "with 2 threads on 4 cores at most 2.25 are free for them"
        ]


def test_more_threads_than_cores_leave_a_quarter_core_for_others() -> None:
    crowded = CONDITIONS._replace(threads=8)
    assert judged(conditions=crowded, cpu_time=CpuTime(1002.0, 10.0)) == []
    assert judged(conditions=crowded, cpu_time=CpuTime(1003.0, 10.0)) != []


def test_unknown_cpu_time_is_no_reason() -> None:
    assert other_cores(look(0, cpu_time=None), look(10)) is None
    assert judged(before=look(0, cpu_time=None)) == []


def test_a_fallen_frequency() -> None:
    (reason,) = judged(frequencies_khz={"cpu0": 2_000_000, "cpu1": 2_100_000})
    assert reason == "frequency: cpu0 went from 2400 MHz to 2000 MHz (limit 85% of the start)"


def test_heat() -> None:
    (reason,) = judged(zones=(Zone("cpu-thermal", 95.0), Zone("gpu", None)))
    assert reason == "temperature: cpu-thermal at 95.0 C (limit 95 C)"


def test_a_throttle_counter_that_rose() -> None:
    (reason,) = judged(throttle_counts={"cpu0/core_throttle_count": 5, "cpu9/new_count": 1})
    assert reason == "throttled: cpu0/core_throttle_count rose from 3 to 5"


def test_an_alert_that_throttles_all_the_while() -> None:
    throttled = Jetson({"gpu-throttle-alert": 2, "cpu-throttle-alert": 0}, {}, None, None)
    (reason,) = judged(before=look(0, jetson=throttled), jetson=throttled)
    assert reason == "throttled: gpu-throttle-alert is at 2 (0: not)"


def test_over_current_events_that_happened_meanwhile() -> None:
    counts = {"soctherm_oc/oc3_event_cnt": 27}
    (reason,) = judged(
        before=look(0, throttle_counts=counts), throttle_counts={"soctherm_oc/oc3_event_cnt": 29}
    )
    assert reason == "throttled: soctherm_oc/oc3_event_cnt rose from 27 to 29"


KNOWN = (PowerMode(0, "MAXN"), PowerMode(1, "15W"))


@pytest.mark.parametrize("wanted", [None, "15W", "15w"])
def test_the_power_mode_that_is_wanted_gives_no_reason(wanted: Optional[str]) -> None:
    assert mode_reasons(wanted, KNOWN[1], KNOWN[1], KNOWN) == []


def test_another_power_mode_names_both_and_what_to_do() -> None:
    assert mode_reasons("15W", KNOWN[0], KNOWN[0], KNOWN) == [
        "power mode: the board is in 'MAXN', the recipe asks for '15W'; "
        "set it with `sudo nvpmodel -m 1`"
    ]


def test_a_power_mode_that_the_board_does_not_have_lists_those_it_has() -> None:
    (reason,) = mode_reasons("25W", KNOWN[0], KNOWN[0], KNOWN)
    assert reason.endswith("`sudo nvpmodel -m ID`; it has MAXN (0), 15W (1)")


def test_a_power_mode_that_is_not_readable_is_not_taken_for_granted() -> None:
    (reason,) = mode_reasons("15W", None, None, ())
    assert reason == (
        "power mode: the board's is not readable, the recipe asks for '15W'; "
        "set it with `sudo nvpmodel -m ID`, with the ID that /etc/nvpmodel.conf gives it"
    )
    assert mode_reasons(None, None, None, ()) == []


def test_a_power_mode_that_changed_meanwhile() -> None:
    assert mode_reasons(None, KNOWN[0], KNOWN[1], KNOWN) == [
        "power mode: went from 'MAXN' to '15W' during the measurement"
    ]


def test_all_reasons_are_given_together() -> None:
    reasons = judged(
        CALM_NS[:20],
        CONDITIONS._replace(steady=False),
        zones=(Zone("soc", 101.0),),
        cpu_time=CpuTime(1050.0, 10.0),
    )
    assert [reason.split(":")[0] for reason in reasons] == [
        "warm-up",
        "count",
        "contention",
        "temperature",
    ]


def test_steadiness_needs_two_full_windows() -> None:
    assert not steady([])
    assert not steady([1_000_000_000] * 5)
    assert steady([1_000_000_000] * 6)
    assert not steady([1_000_000] * 99)
    assert steady([1_000_000] * 100)


def test_a_falling_series_is_not_steady_until_it_settles() -> None:
    settling = [int(20e6 * 0.9**i + 10e6) for i in range(40)]
    assert not steady(settling)
    assert steady(settling + [settling[-1]] * 50)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=80))
def test_any_samples_can_be_judged(samples_ns: List[int]) -> None:
    assert isinstance(steady(samples_ns), bool)
    assert all(isinstance(reason, str) for reason in judged(samples_ns))
