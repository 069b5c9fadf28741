"""Verdicts: what an interval says beside a limit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.outcome import Outcome, more_data, outcome
from edgeq.significance.ratios import Estimate


@pytest.mark.parametrize(
    "loss, expected",
    [
        (Estimate(0.05, 0.02, 0.08, 0.001), "worse"),
        (Estimate(-0.05, -0.08, -0.02, 0.001), "better"),
        (Estimate(0.0, -0.01, 0.01, 1.0), "same"),
        (Estimate(0.01, 0.005, 0.015, 0.001), "same"),  # resolved, and too little to matter
        (Estimate(0.05, -0.01, 0.11, 0.05), "cannot tell"),
        (Estimate(0.05, 0.001, 0.1, 0.02), "cannot tell"),  # not beside the other tests
        (Estimate(0.015, 0.005, 0.025, 0.001), "cannot tell"),  # more than 0, not more than 2%
    ],
)
def test_what_an_interval_says(loss: Estimate, expected: Outcome) -> None:
    assert outcome(loss, limit=0.02, level=0.01) == expected


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(1e-3, 0.5), st.sampled_from([1e-4, 0.005, 0.02, 1])
)
def test_a_change_of_sign_turns_worse_into_better(
    mean: float, half: float, limit: float, p: float
) -> None:
    mirror = {"worse": "better", "better": "worse"}
    found = outcome(Estimate(mean, mean - half, mean + half, p), limit, 0.01)
    other = outcome(Estimate(-mean, -mean - half, half - mean, p), limit, 0.01)
    assert other == mirror.get(found, found)


def test_twice_too_wide_needs_four_times_the_data() -> None:
    assert more_data(Estimate(0.04, -0.04, 0.12, 0.1), 0.02) == pytest.approx(4)
    assert more_data(Estimate(0.0, -0.04, 0.04, 1.0), 0.02) == pytest.approx(4)
    assert more_data(Estimate(0.02, 0.01, 0.03, 0.1), 0.02) == math.inf
