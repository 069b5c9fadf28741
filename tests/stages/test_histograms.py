"""Histograms that a page shows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeq.calibrators.histogram import of
from edgeq.stages.histograms import equal_bins


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_equal_bins_count_as_numpy_does(seed: int, is_silu: bool) -> None:
    values = np.random.default_rng(seed).standard_normal(50_000).astype(np.float32)
    if is_silu:
        values = (values / (1 + np.exp(-values))).astype(np.float32)
    low, high = float(values.min()), float(values.max())

    found = equal_bins(of(values), 40)

    wanted, _ = np.histogram(values, 40, (low, high))
    assert np.isclose(sum(found), len(values))
    # A value may lie on the other side of an edge, as its bin is as wide as a 512th of it.
    assert np.abs(np.array(found) - wanted).sum() < 0.02 * len(values)
