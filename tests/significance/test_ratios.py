"""Ratios of what was taken in turns: beside all averages, SciPy's interval, and drawn data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeq.significance import ratios
from edgeq.significance.ratios import hodges_lehmann, log_ratios, mean_of

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@pytest.mark.parametrize("few", [0, 10**5])
@given(values=VALUES)
def test_hodges_lehmann_is_the_median_of_all_averages(few: int, values: list[float]) -> None:
    averages = [(a + b) / 2 for i, a in enumerate(values) for b in values[i:]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ratios, "_FEW", few)  # counted, or sorted
        found = hodges_lehmann(values)
    assert found == pytest.approx(float(np.median(averages)), rel=1e-9, abs=1e-9)


def test_of_nothing_there_is_none() -> None:
    assert math.isnan(hodges_lehmann([]))


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=30), st.floats(0.5, 2))
def test_a_ratio_that_all_pairs_have_is_found(times: list[float], factor: float) -> None:
    found = hodges_lehmann(log_ratios(times, [factor * time for time in times]))
    assert math.exp(found) == pytest.approx(factor)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20, unique=True))
def test_the_interval_is_students(values: list[float]) -> None:
    from scipy import stats

    found = mean_of(values, 0.99)
    test = stats.ttest_1samp(values, 0.0)
    low, high = test.confidence_interval(0.99)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)
    assert found.p == pytest.approx(test.pvalue, rel=1e-6, abs=1e-12)


def test_what_never_varies_has_no_width() -> None:
    assert mean_of([0.1, 0.1, 0.1], 0.99)[:3] == pytest.approx((0.1, 0.1, 0.1))
    assert mean_of([0.0, 0.0], 0.99).p == 1.0


def correlated(rng: np.random.Generator, shape: tuple[int, ...], lag: float) -> NDArray[np.float64]:
    """Unit normal noise along the last axis, each value correlated with the one before."""
    noise = rng.standard_normal(shape)
    for i in range(1, shape[-1]):
        noise[..., i] = lag * noise[..., i - 1] + math.sqrt(1 - lag * lag) * noise[..., i]
    return noise


@pytest.mark.parametrize("lag", [0.0, 0.8])
@pytest.mark.parametrize("placement", [0.0, 0.02])
def test_the_interval_holds_the_true_ratio_as_often_as_it_says(
    lag: float, placement: float
) -> None:
    """2,000 comparisons of 5 loads with 30 pairs each; `placement` is what a load adds to all."""
    rng, true, loads, pairs = np.random.default_rng(1), math.log(1.05), 5, 30
    shape = (2000, loads, pairs)
    drawn = true + 0.1 * correlated(rng, shape, lag)
    drawn += placement * rng.standard_normal((2000, loads, 1))
    found = [mean_of([hodges_lehmann(load) for load in one], 0.99) for one in drawn]
    held = np.mean([one.low <= true <= one.high for one in found])
    assert 0.98 <= held <= 1.0
