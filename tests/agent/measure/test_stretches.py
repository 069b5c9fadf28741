"""Measuring in stretches, on surroundings made by hand."""

from __future__ import annotations

import time
from typing import Any, Callable, List

from edgeq.agent.measure.stretches import Extent, Timed, timed
from edgeq.agent.system.environment import CpuTime, Environment

from .test_stability import look

EXTENT = Extent(2, 0.1, 1.0, 5, 5)
HOT = {"cpu0/core_throttle_count": 4}


def ran(
    looks: Callable[[int], Environment],
    extent: Extent = EXTENT,
    take: Callable[[int], int] = lambda n: 10_000,
) -> Timed:
    """Looks are numbered from 0; the n-th stretch lies between n and n + 1."""
    numbers = iter(range(10**6))

    def one(number: int) -> int:
        time.sleep(0.005)
        return take(number)

    return timed(one, lambda ns: ns, lambda: looks(next(numbers)), extent, lambda count: None)


def burnt(at: int, cores: float) -> Environment:
    """Others used so many cores all the while."""
    return look(at, cpu_time=CpuTime(1000.0 + at * cores, 10.0))


def test_calm_stretches_all_count() -> None:
    found = ran(look)
    assert len(found.counted) == 1 and found.left_out == [] and found.unstable == []
    assert len(found.samples) >= 5 and 0.1e9 <= found.duration_ns < 1e9
    assert found.fields() == {"stretches": 0, "samples": 0, "duration_ns": 0, "reasons": {}}


def test_a_disturbed_stretch_is_left_out_and_replaced() -> None:
    found = ran(lambda at: look(at) if at < 1 else look(at, throttle_counts=HOT))
    assert [len(found.counted), len(found.left_out), found.unstable] == [1, 1, []]
    fields = found.fields()
    assert fields["reasons"] == {"throttled": 1} and fields["samples"] >= 5
    assert fields["duration_ns"] >= 0.1e9
    middle_ns = (found.left_out[0].start_ns + found.left_out[0].end_ns) // 2
    assert not found.covers(middle_ns) and found.covers(found.counted[0].start_ns)


def test_without_a_calm_stretch_it_is_unstable_with_every_reason_once() -> None:
    found = ran(lambda at: burnt(at, 3.5)._replace(throttle_counts=HOT if at else {}))
    assert found.left_out == [] and len(found.counted) >= 3
    (contention,) = found.unstable
    assert contention.startswith("contention: other processes used 3.50 cores on average; ")
    assert contention.endswith(f"(in {len(found.counted)} of {len(found.counted)} stretches)")


def test_it_does_not_wait_for_calm_where_there_is_none() -> None:
    patient = EXTENT._replace(max_duration_s=60.0)
    found = ran(lambda at: burnt(at, 3.5), patient)
    assert found.unstable and len(found.counted) <= 4


def test_a_clock_that_fell_for_good_is_no_calm() -> None:
    slow = {"cpu0": 1_000_000, "cpu1": 2_400_000}
    found = ran(lambda at: look(at) if at < 1 else look(at, frequencies_khz=slow))
    assert [reason.split(":")[0] for reason in found.unstable] == ["frequency"]


def test_samples_before_it_settled_are_left_out() -> None:
    long = EXTENT._replace(max_duration_s=5.0, min_duration_s=0.2, aim_count=60)
    found = ran(look, long, lambda n: 20_000 if n < 25 else 10_000)
    assert found.unstable == [] and found.fields()["reasons"] == {"drift": len(found.left_out)}
    assert found.samples[-1] == 10_000 and found.samples.count(20_000) < len(found.samples) / 3


def test_samples_that_never_settle_drift() -> None:
    found = ran(look, EXTENT._replace(max_duration_s=0.4), lambda n: 10_000 + 500 * n)
    assert found.unstable or len(found.left_out) > 0


def test_it_ends_in_the_middle_of_a_stretch_when_the_time_is_up() -> None:
    found = ran(look, EXTENT._replace(max_duration_s=0.1, min_count=10**6))
    assert len(found.counted) == 1 and found.duration_ns < 0.5e9


def test_images_are_numbered_on_over_stretches() -> None:
    numbers: List[Any] = []

    def take(number: int) -> int:
        numbers.append(number)
        return 10_000

    ran(look, EXTENT._replace(aim_count=50), take)
    assert numbers == list(range(len(numbers))) and len(numbers) >= 50
