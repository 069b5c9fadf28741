from __future__ import annotations

import pytest

from edgeq.errors import InputError
from edgeq.records.accuracy import Interval
from edgeq.tuning.contract import Contract, Limit, parse_limit


def drop(estimate: float, width: float = 0.002) -> Interval:
    return Interval(estimate=estimate, low=estimate - width, high=estimate + width, resamples=9)


def test_limits_are_absolute_or_a_share_of_floats_ap() -> None:
    assert parse_limit("0.003") == Limit(0.003)
    assert parse_limit(" 1% ") == Limit(0.01, relative=True)
    assert parse_limit("1 %").of(0.25) == pytest.approx(0.0025)
    assert parse_limit(".5").of(0.25) == 0.5


@pytest.mark.parametrize("text", ["", "-0.1", "1e-3x", "a", "1", "100%", "0.1.2"])
def test_other_limits_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(InputError, match=r"--max-drop: .*; (write 0\.003|AP goes)"):
        parse_limit(text)


def test_both_kinds_have_to_keep_their_limit() -> None:
    contract = Contract.of(Limit(0.003), Limit(0.01, relative=True), 0.25, 0.3)
    assert contract == Contract(0.003, 0.003)
    assert contract.is_met(drop(0.003), drop(-0.1))
    assert not contract.is_met(drop(0.001), drop(0.0031))
    assert contract.is_met(None, drop(0.001))
    assert contract.excess(drop(0.005), drop(0.004)) == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("mask", "box", "resolved"),
    [
        (drop(0.0), drop(0.0005), True),
        (drop(0.002), drop(0.0), False),
        (drop(0.004), drop(0.0), False),
        (drop(0.006), drop(0.0), True),
        (drop(0.004), drop(0.02), True),
    ],
)
def test_intervals_on_one_side_of_the_limits_resolve_it(
    mask: Interval, box: Interval, resolved: bool
) -> None:
    assert Contract(0.003, 0.003).is_resolved(mask, box) == resolved
