"""Student's t beside SciPy's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.student import quantile, two_sided


@given(st.floats(-50, 50), st.integers(1, 200))
def test_two_sided_p_is_scipys(t: float, freedom: int) -> None:
    from scipy import stats

    assert two_sided(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), abs=1e-12)


@given(st.floats(0.501, 0.9999), st.integers(1, 200))
def test_quantile_is_scipys(probability: float, freedom: int) -> None:
    from scipy import stats

    expected = stats.t.ppf(probability, freedom)
    assert quantile(probability, freedom) == pytest.approx(expected, rel=1e-7)
