"""Whether things differ that were measured twice: the exact test against its definition."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.pairs import differ


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=4))
def test_p_is_the_share_of_orders_that_pair_as_well(pairs: list[tuple[int, int]]) -> None:
    """Of all orders of the values, each pairing as often as any other."""
    values = [value for pair in pairs for value in pair]
    orders = np.array(list(permutations(values)))
    apart = ((orders[:, ::2] - orders[:, 1::2]) ** 2).sum(axis=1)
    own = sum((a - b) ** 2 for a, b in pairs)
    first, second = zip(*pairs, strict=True)
    assert differ(first, second) == pytest.approx((apart <= own).mean())


def test_five_that_differ_are_told_and_three_cannot_be() -> None:
    assert differ([1, 2, 3, 4, 5], [1.01, 2.01, 3.01, 4.01, 5.01]) == pytest.approx(1 / 945)
    assert differ([1, 2, 3], [1.01, 2.01, 3.01]) == pytest.approx(1 / 15)


@pytest.mark.parametrize("count", [5, 8])
def test_alike_are_seldom_told_apart(count: int) -> None:
    draw = np.random.default_rng(count)
    times = 200 if count == 5 else 40
    ps = [differ(*draw.standard_normal((2, count)).tolist()) for _ in range(times)]
    assert sum(p <= 0.01 for p in ps) <= 8  # at 1% more come once in ten thousand times
    assert 0.3 < np.mean(ps) < 0.7


def test_many_are_told_apart_by_drawn_pairings() -> None:
    things = [float(number) for number in range(10)]
    assert differ(things, [thing + 0.01 for thing in things]) < 0.001


@pytest.mark.parametrize("drift", [0.01, -0.5])
def test_steady_drift_is_no_difference_of_what_is_measured_there_and_back(drift: float) -> None:
    times = [10 + drift * place for place in range(10)]
    there, back = times[:5], times[5:]
    assert differ(there, back[::-1]) > 0.3
    means = [sum(pair) / 2 for pair in zip(there, back[::-1], strict=True)]
    assert means == pytest.approx([means[0]] * 5)
