"""The stop rule against every order of results, SciPy, Ville's bound and drawn roll-outs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.stopping import StopRule, seen_by, slower_on_all

RULES = st.builds(
    StopRule,
    canary=st.integers(1, 12),
    tolerated=st.floats(0.005, 0.1),
    feared=st.floats(0.15, 0.6),
    false_stops=st.floats(0.001, 0.2),
)


@given(RULES, st.floats(0.0, 1.0))
def test_chances_are_those_of_every_order_of_results(rule: StopRule, share: float) -> None:
    boards = 9
    expected = np.zeros(boards + 1)
    for results in itertools.product((0, 1), repeat=boards):
        bad = np.cumsum(results)
        stops = [n for n in range(1, boards + 1) if rule.stops(int(bad[n - 1]), n)]
        if stops:
            expected[stops[0] :] += share ** bad[-1] * (1 - share) ** (boards - bad[-1])
    assert rule.chances(share, boards) == pytest.approx(expected, abs=1e-12)


@given(RULES, st.floats(0.0, 1.0))
def test_no_share_that_is_tolerated_stops_more_often_than_allowed(
    rule: StopRule, part: float
) -> None:
    assert rule.chances(part * rule.tolerated, 300)[-1] <= rule.false_stops + 1e-12


@given(RULES)
def test_canary_has_the_exact_binomial_test(rule: StopRule) -> None:
    from scipy import stats

    fewest = rule.fewest_in_canary
    tail = stats.binom(rule.canary, rule.tolerated).sf
    assert tail(fewest - 1) <= rule.false_stops / 2 + 1e-12
    assert fewest == 0 or tail(fewest - 2) > rule.false_stops / 2 - 1e-12


@given(RULES, st.integers(1, 400))
def test_the_fewest_are_where_the_ratio_of_likelihoods_is_reached(
    rule: StopRule, boards: int
) -> None:
    from scipy import stats

    def log_ratio(bad: int) -> float:
        likelihood = stats.binom.logpmf(bad, boards, [rule.feared, rule.tolerated])
        return float(likelihood[0] - likelihood[1])

    fewest, limit = rule.fewest(boards), np.log(2 / rule.false_stops)
    if fewest <= boards:
        assert log_ratio(fewest) >= limit - 1e-6
    assert log_ratio(min(fewest - 1, boards)) < limit + 1e-6


@pytest.mark.parametrize("share", [0.01, 0.02, 0.1])
def test_drawn_roll_outs_stop_as_often(share: float) -> None:
    from scipy import stats

    rule, boards, drawn = StopRule(canary=5), 505, 4000
    bad = np.cumsum(np.random.default_rng(1).random((drawn, boards)) < share, axis=1)
    least = np.array([rule.fewest(n) for n in range(1, boards + 1)])
    least[rule.canary - 1] = min(least[rule.canary - 1], rule.fewest_in_canary)
    stopped = int((bad >= least).any(axis=1).sum())
    chance = float(rule.chances(share, boards)[-1])
    low, high = stats.binom(drawn, chance).ppf([0.0005, 0.9995])
    assert low <= stopped <= high


def test_two_bad_ones_of_a_canary_of_five_stop_it() -> None:
    rule = StopRule(canary=5)
    assert rule.stops(2, 5) and not rule.stops(1, 5)
    assert not rule.stops(2, 6)
    # Any failure would stop 4 of 10 healthy waves of 50 at 1% of trouble.
    assert rule.chances(0.01, 505)[-1] < 0.002


def test_a_canary_of_five_sees_a_fault_of_a_tenth_in_four_of_ten() -> None:
    assert seen_by(5, 0.1) == pytest.approx(0.41, abs=0.001)
    assert seen_by(5, 1.0) == 1.0


def test_mean_of_boards_is_held_against_what_is_tolerated_as_scipy_does() -> None:
    from scipy import stats

    draw = np.random.default_rng(5)
    for count in (3, 5, 10, 40):
        for _ in range(50):
            losses = draw.normal(0.03, 0.02, count)
            p = stats.ttest_1samp(losses, np.log1p(0.02), alternative="greater").pvalue
            assert slower_on_all(list(losses), 0.02, 0.005) == (p <= 0.005)
    assert not slower_on_all([0.5, 0.5], 0.02, 0.005)
    assert slower_on_all([0.5] * 3, 0.02, 0.005) and not slower_on_all([0.01] * 3, 0.02, 0.005)


def test_five_percent_slower_on_all_is_found_with_ten_boards() -> None:
    """Boards that differ by 1%: the level of the third look, and what is tolerated."""
    draw = np.random.default_rng(6)
    level = 0.01 / 2 / 2**3
    found, false = (
        np.mean(
            [slower_on_all(list(draw.normal(mean, 0.01, 10)), 0.02, level) for _ in range(2000)]
        )
        for mean in (np.log1p(0.05), np.log1p(0.02))
    )
    assert found >= 0.97
    assert false <= 3 * level
