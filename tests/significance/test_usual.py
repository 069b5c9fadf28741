"""Where one more figure usually lies: coverage by simulation, and the closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.usual import FEWEST, usual_range

FIGURES = st.lists(st.floats(0.1, 1e4), min_size=FEWEST, max_size=20)


@given(FIGURES)
def test_range_is_the_prediction_interval_of_logarithms(values: list[float]) -> None:
    from scipy import stats

    found = usual_range(values, 0.99, 0.0)
    assert found is not None
    logs = np.log(values)
    count = len(logs)
    scale = logs.std(ddof=1) * math.sqrt(1 + 1 / count)
    theirs = stats.t.interval(0.99, count - 1, logs.mean(), scale or 1e-300)
    assert found == pytest.approx(tuple(np.exp(theirs)), rel=1e-6)


@pytest.mark.parametrize("count", [FEWEST, 20])
def test_one_more_lies_in_it_as_often_as_said(count: int) -> None:
    draw = np.random.default_rng(count)
    held = 0
    for *earlier, later in np.exp(0.1 * draw.standard_normal((2000, count + 1))):
        low, high = usual_range(earlier, 0.99, 0.0) or (0.0, 0.0)
        held += low <= later <= high
    assert 0.98 <= held / 2000 <= 1.0


@given(FIGURES, st.floats(0.01, 0.5))
def test_a_small_change_is_never_unusual(values: list[float], least: float) -> None:
    middle = math.exp(float(np.log(values).mean()))
    low, high = usual_range(values, 0.99, least) or (0.0, 0.0)
    assert low <= middle / (1 + 0.99 * least) and middle * (1 + 0.99 * least) <= high


def test_few_tell_nothing() -> None:
    assert usual_range([1.0] * (FEWEST - 1), 0.99, 0.05) is None
