from __future__ import annotations

import math

import pytest

from edgeq.tuning.correlation import spearman


def test_same_and_opposite_order() -> None:
    assert spearman([1, 2, 3, 9], [0.1, 0.2, 0.5, 0.6]) == pytest.approx(1)
    assert spearman([1, 2, 3, 9], [4, 3, 2, 1]) == pytest.approx(-1)


def test_example_of_a_textbook() -> None:
    # IQ and hours of television: sum of squared differences 194, 1 - 6 * 194 / 990.
    iq = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    hours = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert spearman(iq, hours) == pytest.approx(1 - 6 * 194 / 990)


def test_ties_share_their_mean_rank() -> None:
    assert spearman([1, 1, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.948683298)


def test_infinity_is_a_rank_like_any() -> None:
    assert spearman([1, 2, math.inf], [1, 2, 3]) == pytest.approx(1)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [5.0, 5.0, 5.0]])
def test_nothing_is_said_of_too_few_or_equal_ones(values: list[float]) -> None:
    assert spearman(values, values) is None
