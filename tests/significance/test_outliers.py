"""Figures far from the others, against the scores as they are published: .6745 of a deviation."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.outliers import outliers

LEVELS = st.lists(st.floats(-1, 1, allow_subnormal=False), min_size=5, max_size=40)


@given(LEVELS)
def test_those_whose_modified_score_is_above_three_and_a_half(values: list[float]) -> None:
    array = np.array(values)
    distances = np.abs(array - np.median(array))
    deviation = np.median(distances)
    if deviation > 1e-9:
        scores = 0.6745 * distances / deviation
        sure = np.abs(scores - 3.5) > 0.01
        found = np.isin(np.arange(len(values)), outliers(values))
        assert np.array_equal(found[sure], (scores > 3.5)[sure])


@given(
    st.lists(st.integers(-50, 50), min_size=5, max_size=40), st.integers(1, 9), st.integers(-9, 9)
)
def test_units_do_not_matter(values: list[int], scale: int, shift: int) -> None:
    found = outliers(values)

    assert outliers([scale * value + shift for value in values]) == found
    assert outliers([-value for value in values]) == found


def test_two_far_ones_do_not_hide_each_other() -> None:
    """As they would for the standard deviation, which both of them make large."""
    figures = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3]

    assert outliers(figures) == (8, 9)
    assert max(abs(np.array(figures) - np.mean(figures)) / np.std(figures)) < 3.5


def test_one_that_differs_from_many_equal_ones_is_far() -> None:
    assert outliers([0.0] * 9 + [0.1]) == (9,)
    assert outliers([0.0] * 10) == ()


def test_of_a_few_none_is_far() -> None:
    assert outliers([0.0, 0.0, 0.0, 100.0]) == ()
