"""What a step wins, held against what it costs on the device."""

from __future__ import annotations

import pytest

from edgeq.records.accuracy import Interval
from edgeq.records.trial import LatencyRatio
from edgeq.tuning.contract import Contract
from edgeq.tuning.taking import is_faster, refused

from .trials import interval, latency, trial

SURE, UNSURE = [interval(0.02), interval(0.0)], [interval(0.004), interval(0.006)]
START = LatencyRatio(estimate=1.0, low=1.0, high=1.0)


@pytest.mark.parametrize(
    ("took", "limit", "words"),
    [
        (latency(1.06), 1.05, "over the 1.05 allowed, though not for sure"),
        (latency(1.07), 1.05, "over the 1.05 allowed"),
        (latency(1.04), 1.05, ""),
        (latency(1.06), None, ""),
        (START, 0.01, ""),  # costs nothing more than what there is
        (latency(0.97), 0.01, ""),
        (None, 1.05, "is not known"),
        (None, None, ""),
    ],
)
def test_step_over_the_budget_is_refused(
    took: LatencyRatio | None, limit: float | None, words: str
) -> None:
    found = refused(trial(took=START), trial(took=took), SURE, limit)
    assert bool(found) == bool(words) and found.endswith(words)


@pytest.mark.parametrize(
    ("took", "won", "is_refused"),
    [
        (latency(1.03), UNSURE, True),
        (latency(1.03), SURE, False),
        (latency(1.03), [], True),
        (latency(1.005), UNSURE, False),  # whether it is slower is not sure either
        (START, UNSURE, False),
        (None, UNSURE, False),
    ],
)
def test_slower_step_has_to_win_for_sure(
    took: LatencyRatio | None, won: list[Interval], is_refused: bool
) -> None:
    before = trial(took=START)
    assert bool(refused(before, trial(took=took), won)) == is_refused


def test_step_is_held_against_the_one_before_it() -> None:
    assert refused(trial(took=latency(1.03)), trial(took=latency(1.035)), UNSURE) == ""
    assert refused(trial(took=latency(1.03)), trial(took=latency(1.08)), UNSURE)


@pytest.mark.parametrize(
    ("took", "is_enough"), [(1.05, True), (1.051, False), (1.0, True), (None, False)]
)
def test_contract_has_a_latency(took: float | None, is_enough: bool) -> None:
    tried = trial(took=None if took is None else latency(took))
    assert Contract(0.003, 0.003, 0.9, 1.05).is_fast_enough(tried) == is_enough
    assert Contract(0.003, 0.003, 0.9).is_fast_enough(tried)


@pytest.mark.parametrize(
    ("took", "won", "expected"),
    [
        (latency(0.96), UNSURE, True),
        (latency(0.96), [interval(-0.004), interval(0.001)], True),
        (latency(0.96), [interval(-0.02), interval(0.02)], False),  # loses masks for sure
        (latency(0.995), UNSURE, False),  # whether it is faster is not
        (latency(1.02), SURE, False),
        (latency(0.96), [], False),
        (None, SURE, False),
    ],
)
def test_faster_step_may_win_nothing_but_must_not_lose(
    took: LatencyRatio | None, won: list[Interval], expected: bool
) -> None:
    assert is_faster(trial(took=START), trial(took=took), won) == expected
