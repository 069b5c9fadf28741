from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import InputError
from edgeq.records.accuracy import Agreement, Interval
from edgeq.tuning.contract import Contract, Limit, parse_limit

CONTRACT = Contract(0.003, 0.003, 0.9)


def agreed(mask: float, box: float, width: float = 0.004) -> Agreement:
    return Agreement(mask=drop(mask, width), box=drop(box, width))


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
    contract = Contract.of(Limit(0.003), Limit(0.01, relative=True), 0.9, 0.25, 0.3)
    assert contract == Contract(0.003, 0.003, 0.9)
    assert contract.is_met(drop(0.003), drop(-0.1))
    assert not contract.is_met(drop(0.001), drop(0.0031))
    assert contract.is_met(None, drop(0.001))


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
    assert CONTRACT.is_resolved(mask, box) == resolved


def test_ap_decides_where_its_interval_resolves_the_limit_whatever_agrees() -> None:
    kept = CONTRACT.decided(drop(0.0), drop(0.0005), agreed(0.2, 0.2))
    assert (kept.met, kept.by, kept.resolved) == (True, "AP", True)
    missed = CONTRACT.decided(drop(0.006), drop(0.0), agreed(1.0, 1.0, 0.0))
    assert (missed.met, missed.by, missed.resolved) == (False, "AP", True)
    assert missed.share == pytest.approx(2)


@pytest.mark.parametrize("box_drop", [drop(0.002), drop(0.004), None])
def test_otherwise_the_worse_agreement_decides(box_drop: Interval | None) -> None:
    mask_drop = None if box_drop is None else drop(0.0)
    met = CONTRACT.decided(mask_drop, box_drop, agreed(0.95, 0.91))
    assert (met.met, met.by, met.resolved) == (True, "agreement", True)
    assert met.share == pytest.approx(0.9)
    missed = CONTRACT.decided(mask_drop, box_drop, agreed(0.88, 0.95))
    assert (missed.met, missed.by, missed.resolved) == (False, "agreement", True)
    assert missed.share == pytest.approx(1.2)
    assert not CONTRACT.decided(mask_drop, box_drop, agreed(0.95, 0.898)).resolved


def test_where_there_is_nothing_to_agree_with_ap_as_measured_has_to_do() -> None:
    assert CONTRACT.decided(drop(0.002), drop(0.0), None)[:3] == (True, "AP", False)
    assert CONTRACT.decided(drop(0.004), drop(0.0), None)[:3] == (False, "AP", False)


limits = st.floats(-0.02, 0.02)
widths = st.floats(1e-3, 0.05)


@given(mask=limits, box=limits, mask_width=widths, box_width=widths)
def test_so_many_images_resolve_the_contract_and_fewer_do_not(
    mask: float, box: float, mask_width: float, box_width: float
) -> None:
    def at(images: float) -> bool:
        """Whether so many images would, their intervals being narrower by the root."""
        root = (images / 1000) ** -0.5
        return CONTRACT.is_resolved(drop(mask, mask_width * root), drop(box, box_width * root))

    needed = CONTRACT.images_needed(1000, drop(mask, mask_width), drop(box, box_width))
    if needed is None:
        assert min(abs(mask - 0.003), abs(box - 0.003)) == 0
    elif needed > 10:
        assert at(needed * 1.001 + 1)
        assert not at(needed * 0.999 - 1)


def test_no_number_of_images_tells_a_drop_from_its_own_size() -> None:
    assert CONTRACT.images_needed(134, drop(0.003), drop(0.0)) is None


def test_needed_number_of_images_is_that_of_means_of_drawn_differences() -> None:
    # A mean over n images with a deviation of sigma resolves a distance d from
    # n = (1.96 sigma / d)^2 on, whatever number it was first seen on.
    sigma, distance, first = 0.05, 0.002, 400
    half = 1.96 * sigma / np.sqrt(first)
    needed = CONTRACT.images_needed(first, drop(0.003 - distance, half), None)
    assert needed == pytest.approx((1.96 * sigma / distance) ** 2, abs=1)
