"""One look or two, on loads that are drawn: what is open at first is judged by both."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from edgeq.records.comparison import MetricName
from edgeq.significance.ratios import mean_of
from edgeq.stages.compared import Difference
from edgeq.stages.looks import Grounds, Seen, look

QUIET = (-0.001, 0.001, 0.0, 0.002, -0.002, 0.001, -0.001, 0.0)


def costs(loads: Sequence[float]) -> list[Difference]:
    return [Difference("inference", "ms", 1, 1, mean_of(loads, 0.99), 0.02, "loads of 1 s")]


def looked(*changes: float, meaningless: bool = False) -> tuple[Seen[float], list[int]]:
    """What comes of looks at these changes, with little noise, and which looks were asked for."""
    asked = []

    def turns(number: int) -> list[float]:
        asked.append(number)
        return [changes[number] + noise for noise in QUIET]

    reasons: dict[MetricName, str] = {"inference": "power mode: another"} if meaningless else {}
    grounds = Grounds[float](costs, (), {}, lambda _: reasons)
    return look(turns, grounds), asked


@pytest.mark.parametrize(
    ("change", "outcome"), [(0.0, "same"), (-0.05, "better")], ids=["same", "better"]
)
def test_what_is_clear_and_no_worse_is_looked_at_once(change: float, outcome: str) -> None:
    seen, asked = looked(change)
    assert (asked, seen.again, len(seen.loads)) == ([0], (), 8)
    assert seen.metrics[0].outcome == outcome


def test_worse_is_worse_by_both_looks() -> None:
    seen, asked = looked(0.05, 0.05)
    assert (asked, seen.again, len(seen.loads)) == ([0, 1], ("inference",), 16)
    assert seen.metrics[0].outcome == "worse"
    seen, _ = looked(0.05, 0.0)
    assert seen.metrics[0].outcome == "cannot tell"
    assert "is not when measured again (+5.0% at first, +0.0% again)" in seen.metrics[0].reason


def test_what_is_not_judged_is_not_looked_at_again() -> None:
    seen, asked = looked(0.05, meaningless=True)
    assert asked == [0]
    assert (seen.metrics[0].outcome, seen.metrics[0].reason) == (
        "cannot tell",
        "power mode: another",
    )
