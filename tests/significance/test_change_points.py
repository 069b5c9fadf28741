"""Change points against SciPy's Mann-Whitney, the exact chance of an order, and drawn series."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.change_points import ALPHA, FEWEST, change_points, statistic

from ..sampling import WHOLE, examples

NILE = """
1120 1160 963 1210 1160 1160 813 1230 1370 1140 995 935 1110 994 1020 960 1180 799 958 1140
1100 1210 1150 1250 1260 1220 1030 1100 774 840 874 694 940 833 701 916 692 1020 1050 969
831 726 456 824 702 1120 1100 832 764 821 768 845 864 862 698 845 744 796 1040 759
781 865 845 944 984 897 822 1010 771 676 649 846 812 742 801 1040 860 874 848 890
744 749 838 1050 918 986 797 923 975 815 1020 906 901 1170 912 746 919 718 714 740
"""
"""Annual flow at Aswan, 1871 to 1970 (Cobb, Biometrika 65, 1978; R's data set Nile)."""


def test_the_nile_changed_where_it_is_known_to_have() -> None:
    """As R's trend::pettitt.test(Nile) has it: U 1617, behind the 28th year, 1898."""
    flow = [float(word) for word in NILE.split()]
    found = np.abs(statistic(np.array(flow)))
    assert (int(found.max()), int(found.argmax()) + 1) == (1617, 28)
    assert [one.index for one in change_points(flow)] == [28]


@examples(100)
@given(st.integers(0, 10_000), st.integers(FEWEST, 60), st.floats(0, 4))
def test_first_change_is_that_of_a_published_implementation(
    seed: int, length: int, step: float
) -> None:
    import pyhomogeneity

    draw = np.random.default_rng(seed)
    values = draw.standard_normal(length) + step * (np.arange(length) >= length // 3)
    theirs = pyhomogeneity.pettitt_test(values, alpha=ALPHA, sim=2000 if WHOLE else 500)
    found = np.abs(statistic(values))
    assert (found.max(), found.argmax() + 1) == (theirs.U, theirs.cp)
    # Both draw, so that close to the level they may disagree.
    if not 0.2 * ALPHA < theirs.p < 3 * ALPHA:
        assert bool(change_points(list(values))) == theirs.h


@given(st.lists(st.integers(0, 9), min_size=2, max_size=30))
def test_statistic_is_mann_whitneys_of_each_cut(values: list[int]) -> None:
    from scipy.stats import mannwhitneyu

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
