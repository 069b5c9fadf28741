"""What two sides met."""

from __future__ import annotations

from edgeq.stages.surroundings import surroundings

from ..cost.test_turns import turns
from ..device.artifacts import demo


def test_busy_neighbours_and_throttling_are_said_once() -> None:
    loads = [turns(other_cores=cores, slowed=["throttled: hot"]) for cores in (0.1, 1.5, None)]
    assert list(surroundings((demo(), demo()), loads)) == [
        "met by both: throttled: hot",
        "met by both: other programs used up to 1.5 cores on average",
    ]


def test_a_quiet_device_met_nothing() -> None:
    assert list(surroundings((demo(), demo()), [turns()])) == []
