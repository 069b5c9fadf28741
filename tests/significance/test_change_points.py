"""Change points against SciPy's Mann-Whitney, the exact chance of an order, and drawn series."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from edgeq.significance.change_points import ALPHA, FEWEST, change_points, statistic


@given(st.lists(st.integers(0, 9), min_size=2, max_size=30))
def test_statistic_is_mann_whitneys_of_each_cut(values: list[int]) -> None:
    found = statistic(np.array(values, float))
    for cut in range(1, len(values)):
        before, after = values[:cut], values[cut:]
        pairs = 2 * mannwhitneyu(before, after).statistic - len(before) * len(after)
        assert found[cut - 1] == pytest.approx(pairs)


def test_statistic_of_many_rows_is_that_of_each() -> None:
    rows = np.array(list(permutations([1.0, 2.0, 2.0, 5.0])))
    assert np.array_equal(statistic(rows), np.array([statistic(row) for row in rows]))


def test_chance_of_a_clean_step_is_the_share_of_such_orders() -> None:
    """Two of all ways to choose which half is low."""
    [found] = change_points([1.0, 2, 3, 4, 5, 11, 12, 13, 14, 15])
    assert found.index == 5
    assert found.p == pytest.approx(2 * factorial(5) ** 2 / factorial(10), abs=0.003)


def test_fewest_is_the_length_from_which_a_change_can_be_told() -> None:
    shorter = FEWEST - 1
    rarest = 2 * factorial(shorter // 2) * factorial(shorter - shorter // 2) / factorial(shorter)
    assert rarest > ALPHA > 2 * factorial(FEWEST // 2) ** 2 / factorial(FEWEST)
    assert change_points([0.0] * 4 + [9.0] * 5) == []


def test_level_that_stays_has_few_false_changes() -> None:
    draw = np.random.default_rng(0)
    false = sum(bool(change_points(list(draw.standard_normal(24)))) for _ in range(200))
    assert false <= 8  # of 200 at 1%, 2 are expected; more than 8 come once in 5,000


@pytest.mark.parametrize("heavy", [False, True])
def test_two_steps_are_found_where_they_are(heavy: bool) -> None:
    draw = np.random.default_rng(1)
    noise = draw.standard_t(2, 60) if heavy else draw.standard_normal(60)
    levels = np.repeat([100.0, 112.0, 104.0], 20)
    first, second = change_points(list(levels + noise))
    assert abs(first.index - 20) <= 1 and abs(second.index - 40) <= 1


@given(st.lists(st.floats(-1e6, 1e6), max_size=20))
def test_what_never_changes_and_what_is_short_has_none(values: list[float]) -> None:
    assert change_points(values[: FEWEST - 1]) == []
    assert change_points([3.0] * len(values)) == []
