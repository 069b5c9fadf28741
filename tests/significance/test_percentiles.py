"""Bounds of percentiles: MLPerf's table, the binomial distribution, and drawn samples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.percentiles import above, bound, needed


@pytest.mark.parametrize("q, count", [(50, 11), (90, 64), (95, 130), (97, 219), (99, 662)])
def test_as_few_as_mlperf_says(q: float, count: int) -> None:
    """Those of p90 and p99 are LoadGen's own words, the others its incomplete beta function."""
    from scipy import special

    assert needed(q) == count
    h = next(h for h in range(1, 10_000) if special.betainc(h, 2, q / 100) <= 0.01)
    assert h + 1 == count


@given(st.integers(1, 3000), st.sampled_from([50.0, 90.0, 97.0, 99.0]))
def test_rank_is_the_largest_that_the_binomial_allows(samples: int, q: float) -> None:
    from scipy import stats

    rank = above(samples, q)
    chance = stats.binom(samples, 1 - q / 100)
    assert rank == 0 or chance.cdf(rank) <= 0.01
    assert rank == samples or chance.cdf(rank + 1) > 0.01


@pytest.mark.parametrize("q, count", [(50, 30), (90, 64), (90, 500), (99, 700)])
def test_the_bound_is_above_the_true_percentile_as_often_as_it_says(q: float, count: int) -> None:
    drawn = np.random.default_rng(0).integers(0, 10**9, (1000, count))
    true = q / 100 * 10**9
    held = np.mean([(bound(row.tolist(), q) or 0) >= true for row in drawn])
    assert held >= 0.985


def test_too_few_samples_bound_nothing() -> None:
    assert bound([1] * 63, 90) is None
    assert bound(list(range(64)), 90) == 63
    assert bound([], 50) is None


def test_a_hundred_thousand_samples_are_bounded_closely() -> None:
    assert 50_000 < (bound(range(100_000), 50) or 0) < 51_000
