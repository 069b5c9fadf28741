from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeq.calibrators.entropy import entropy, kl_threshold
from edgeq.calibrators.histogram import of

from .reference import entropy_divergences, entropy_threshold

Counts = NDArray[np.float64]


@st.composite
def histograms(draw: st.DrawFn) -> Counts:
    """Counts of 160 to 400 bins: falling, flat or spiky, with empty bins, and tails of nothing."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(160, 400))
    decay = draw(st.sampled_from([0.0, 1.0, 5.0, 20.0]))
    counts = rng.poisson(
        draw(st.sampled_from([0.3, 5, 1000])) * np.exp(-decay * np.arange(size) / size)
    )
    counts[rng.random(size) < draw(st.sampled_from([0.0, 0.3, 0.9]))] = 0
    if draw(st.booleans()):
        counts[rng.integers(size, size=3)] += 10_000
    if draw(st.booleans()):
        counts[size // 2 :] = 0
    counts[0] = max(counts[0], 1)
    counts[draw(st.integers(1, 5))] += 3
    return counts.astype(np.float64)


@given(histograms())
@settings(max_examples=40)
def test_the_search_from_prefix_sums_is_the_published_loop(counts: Counts) -> None:
    found = kl_threshold(counts, 128)

    divergences = entropy_divergences(counts)
    # Rounding decides between thresholds that are equally good; the last of them is right.
    best = np.flatnonzero(divergences <= divergences.min() + 1e-11)
    assert found == 128 + best[-1]


def test_the_search_over_2048_bins_is_the_published_loop() -> None:
    values = np.random.default_rng(0).laplace(size=100_000)
    counts = np.histogram(np.abs(values), 2048)[0].astype(np.float64)

    assert kl_threshold(counts, 128) == entropy_threshold(counts)


@given(st.integers(129, 300), st.floats(1, 1e6))
@settings(max_examples=20)
def test_of_equally_good_thresholds_the_largest_is_taken(size: int, count: float) -> None:
    counts = np.zeros(size)
    counts[:2] = count

    assert kl_threshold(counts, 128) == size == entropy_threshold(counts)


def test_fractions_that_do_not_add_up_in_floats_leave_no_phantom_outliers() -> None:
    # 0.1 is no binary fraction: the total differs by rounding from the sum of the parts.
    counts = np.zeros(256)
    counts[:200] = 0.1

    assert kl_threshold(counts, 128) == entropy_threshold(counts)


def test_nothing_counted_keeps_everything() -> None:
    assert kl_threshold(np.zeros(2048), 128) == 2048


def test_an_outlier_far_away_is_clipped() -> None:
    values = np.random.default_rng(0).normal(size=200_000)
    values[0] = 50

    found = entropy(of(values.astype(np.float32)))

    assert 3 < found < 10


@pytest.mark.parametrize("kind", ["normal", "laplace", "exponential"])
def test_thresholds_of_smooth_distributions_are_those_of_an_exact_linear_histogram(
    kind: str,
) -> None:
    rng = np.random.default_rng(1)
    values = np.asarray(getattr(rng, kind)(size=1_000_000), np.float32)
    limit = float(np.abs(values).max())
    counts = np.histogram(np.abs(values).astype(np.float64), 2048, (0, limit))[0]

    found = entropy(of(values))

    assert found == pytest.approx(kl_threshold(counts.astype(float), 128) * limit / 2048, rel=0.03)
