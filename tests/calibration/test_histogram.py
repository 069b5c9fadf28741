from __future__ import annotations

import struct
from collections import Counter as Tally

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgeq.calibration.silu import SILU_MINIMISER, lowest_by_silu, sigmoid, silu
from edgeq.calibrators.histogram import SHIFT, Histogram, bin_edges, of, union

from .draws import Floats, arrays, moderate, smooth

# Within a bin values count as spread evenly, and it is 2^-9 of the value wide; SiLU and the like
# go over at four points a bin.
CLOSE = 0.003
FRACTIONS = (0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999)


def key_of(value: float) -> int:
    """The upper bits of a float32, by the standard library."""
    bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    return bits >> SHIFT


@given(arrays)
def test_counts_are_those_of_a_scalar_loop(values: Floats) -> None:
    histogram = of(values)

    expected = Tally(key_of(float(value)) for value in values)
    assert dict(zip(histogram.keys.tolist(), histogram.counts.tolist(), strict=True)) == expected
    assert histogram.total == values.size


@given(arrays)
def test_low_and_high_are_exact(values: Floats) -> None:
    histogram = of(values)

    assert (histogram.low, histogram.high) == (min(values.tolist()), max(values.tolist()))


@given(arrays)
def test_every_value_lies_within_the_edges_of_its_bin(values: Floats) -> None:
    histogram = of(values)

    left, right = histogram.edges
    place = {key: i for i, key in enumerate(histogram.keys.tolist())}
    for value in values.tolist():
        i = place[key_of(value)]
        assert left[i] <= value <= right[i]


@given(arrays)
def test_edges_ascend(values: Floats) -> None:
    left, right = of(values).edges

    assert (left <= right).all()
    assert (right[:-1] <= left[1:]).all()


@given(st.floats(min_value=2.0**-126, max_value=2.0**127, width=32), st.booleans())
def test_a_bin_is_a_512th_of_its_power_of_two_wide(value: float, negative: bool) -> None:
    value = -value if negative else value

    near, far = bin_edges(np.array([key_of(value)], np.uint32))

    power = 2.0 ** np.floor(np.log2(abs(value)))
    assert abs(near[0]) <= abs(value) <= abs(far[0])
    assert abs(far[0] - near[0]) <= power * 2.0**-9


def test_negative_zero_and_zero_are_both_zero() -> None:
    histogram = of(np.array([0.0, -0.0, -0.0], np.float32))

    assert histogram.total == 3
    assert (histogram.low, histogram.high) == (0, 0)
    assert histogram.quantile(0.5) == 0


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.floats(0, 1))
def test_every_quantile_of_a_constant_is_the_constant(value: float, fraction: float) -> None:
    histogram = of(np.full(7, value, np.float32))

    assert histogram.quantile(fraction) == value


@given(smooth(), st.sampled_from(FRACTIONS))
@settings(max_examples=50)
def test_quantiles_are_those_of_numpy(values: Floats, fraction: float) -> None:
    found = of(values).quantile(fraction)

    # Where the exact one is not settled by the sample, any value between its neighbours is right.
    ordered = np.sort(values.astype(np.float64))
    at = fraction * (values.size - 1)
    below, above = ordered[max(int(at) - 1, 0)], ordered[min(int(at) + 2, values.size - 1)]
    slack = 0.004 * max(abs(below), abs(above))
    assert below - slack <= found <= above + slack


@given(smooth())
@settings(max_examples=20)
def test_quantiles_are_mostly_far_better_than_a_bin(values: Floats) -> None:
    histogram = of(values)
    fractions = np.linspace(0.005, 0.995, 100)

    exact = np.quantile(values.astype(np.float64), fractions)
    found = np.array([histogram.quantile(f) for f in fractions])

    spread = float(np.abs(values).max())
    assert np.median(np.abs(found - exact)) < 2e-4 * spread


@given(arrays)
def test_quantiles_never_descend(values: Floats) -> None:
    histogram = of(values)

    found = [histogram.quantile(f) for f in np.linspace(0, 1, 33)]

    assert found == sorted(found)
    assert histogram.low <= found[0]
    assert found[-1] == histogram.high


@pytest.mark.parametrize(
    ("name", "function"),
    [("silu", silu), ("sigmoid", sigmoid), ("relu", lambda x: np.maximum(x, 0))],
)
@given(values=smooth(), fraction=st.sampled_from(FRACTIONS))
@settings(max_examples=25)
def test_a_mapped_histogram_is_that_of_the_mapped_values(
    name: str, function: object, values: Floats, fraction: float
) -> None:
    assert callable(function)
    histogram = of(values)
    low = None
    if name == "silu" and histogram.low < SILU_MINIMISER < histogram.high:
        low = float(silu(values.astype(np.float64)).min())

    found = histogram.mapped(function, low)

    exact = np.sort(function(values.astype(np.float64)))
    at = fraction * (values.size - 1)
    below, above = exact[max(int(at) - 1, 0)], exact[min(int(at) + 2, values.size - 1)]
    # Around zero of SiLU one bin covers values of a size that counts by the tensor's, not its own.
    slack = CLOSE * max(abs(below), abs(above)) + 1e-5 * np.abs(exact).max()
    assert below - slack <= found.quantile(fraction) <= above + slack
    assert found.total == pytest.approx(values.size)
    assert found.low == pytest.approx(exact[0], rel=1e-6, abs=1e-37)
    assert found.high == pytest.approx(exact[-1], rel=1e-6, abs=1e-37)


@given(moderate)
def test_the_value_that_silu_makes_least_gives_the_exact_minimum(values: Floats) -> None:
    seen = lowest_by_silu(values.tolist())

    assert float(silu(np.array(seen))) == silu(values.astype(np.float64)).min()


def test_nothing_that_silu_makes_is_less_than_at_its_minimiser() -> None:
    grid = np.linspace(-5, 5, 100_001)

    assert silu(grid).min() >= silu(np.array(SILU_MINIMISER))
    assert grid[silu(grid).argmin()] == pytest.approx(SILU_MINIMISER, abs=1e-4)


@given(st.floats(-700, 700))
def test_sigmoid_is_exact_at_both_ends(x: float) -> None:
    assert sigmoid(np.array(x)) == pytest.approx(1 / (1 + np.exp(np.longdouble(-x))), rel=1e-13)


@given(st.lists(arrays, min_size=1, max_size=4))
def test_the_union_is_the_histogram_of_all_values(parts: list[Floats]) -> None:
    found = union([of(part) for part in parts])

    assert_same(found, of(np.concatenate(parts)))


@given(moderate, st.sampled_from([0.25, 4.0, 1e6]), st.sampled_from(FRACTIONS))
def test_scaling_changes_counts_and_no_quantile(
    values: Floats, factor: float, fraction: float
) -> None:
    histogram = of(values)

    found = histogram.scaled(factor)

    assert found.total == pytest.approx(values.size * factor)
    assert found.quantile(fraction) == pytest.approx(histogram.quantile(fraction))


@given(arrays)
def test_magnitudes_are_the_histogram_of_absolute_values(values: Floats) -> None:
    found = of(values).magnitudes()

    expected = of(np.abs(values))
    assert found.keys.tolist() == expected.keys.tolist()
    assert found.counts.tolist() == expected.counts.tolist()
    assert found.high == expected.high
    assert 0 <= found.low <= expected.low


@given(arrays, st.sampled_from([64, 2048]))
def test_a_linear_histogram_loses_nothing(values: Floats, bins: int) -> None:
    assume(np.abs(values).max() > 0)
    histogram = of(values)

    found = histogram.linear(bins, float(np.abs(values).max()))

    assert found.sum() == pytest.approx(values.size)
    assert (found >= 0).all()


def test_values_at_the_maximum_are_in_the_last_linear_bin() -> None:
    # A sigmoid that saturates, or white pixels: the maximum is the edge of a bin of its own.
    values = np.concatenate([np.linspace(0, 0.4, 900), np.ones(100)]).astype(np.float32)

    found = of(values).linear(10, 1.0)

    assert found[-1] == pytest.approx(100)
    assert found[:-1].sum() == pytest.approx(900)


@given(smooth())
@settings(max_examples=25)
def test_a_linear_histogram_is_that_of_numpy(values: Floats) -> None:
    limit = float(np.abs(values).max())

    found = of(values).linear(2048, limit)

    exact, edges = np.histogram(np.abs(values).astype(np.float64), 2048, (0, limit))
    assert found.sum() == pytest.approx(exact.sum())
    reached = np.cumsum(found) / found.sum()
    for fraction in (0.5, 0.9, 0.99, 0.999):
        at = edges[1:][np.searchsorted(np.cumsum(exact) / exact.sum(), fraction)]
        mine = edges[1:][np.searchsorted(reached, fraction)]
        assert mine == pytest.approx(at, abs=limit * 3 / 2048)


def assert_same(one: Histogram, other: Histogram) -> None:
    assert one.keys.tolist() == other.keys.tolist()
    assert one.counts.tolist() == other.counts.tolist()
    assert (one.low, one.high) == (other.low, other.high)
