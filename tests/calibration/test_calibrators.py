from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import HistogramCollector

from edgeq.calibrators.base import Range, calibrate
from edgeq.calibrators.histogram import of
from edgeq.spec.quantize import CalibratorName, Quantizer

from .draws import Floats, arrays, moderate, smooth
from .reference import least_squared_error, squared_error

CALIBRATORS: tuple[CalibratorName, ...] = ("max", "percentile", "mse", "entropy")


def quantizer(calibrator: CalibratorName, percentile: float = 99.99) -> Quantizer:
    share = percentile if calibrator == "percentile" else None
    return Quantizer(granularity="per-tensor", calibrator=calibrator, percentile=share)


def span(values: Floats, asked: Quantizer, symmetric: bool) -> Range:
    return calibrate(of(values), asked, symmetric)


@given(arrays)
def test_max_is_what_was_seen_and_zero(values: Floats) -> None:
    found = span(values, quantizer("max"), symmetric=False)

    assert found == Range(min(0.0, float(values.min())), max(0.0, float(values.max())))


@given(arrays)
def test_a_symmetric_max_is_the_largest_magnitude(values: Floats) -> None:
    found = span(values, quantizer("max"), symmetric=True)

    limit = float(np.abs(values).max())
    assert found == Range(-limit, limit)


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("symmetric", [True, False])
@given(values=moderate)
@settings(max_examples=25)
def test_every_range_holds_zero_and_no_more_than_was_seen(
    calibrator: CalibratorName, symmetric: bool, values: Floats
) -> None:
    found = span(values, quantizer(calibrator), symmetric)

    widest = span(values, quantizer("max"), symmetric)
    assert widest.low <= found.low <= 0 <= found.high <= widest.high
    assert not symmetric or found.low == -found.high


@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_range_is_empty_only_where_all_values_are_zero(
    calibrator: CalibratorName, symmetric: bool
) -> None:
    sparse = np.zeros(1_000_000, np.float32)
    nothing = span(sparse, quantizer(calibrator), symmetric)
    sparse[:20] = np.linspace(1, 8, 20)

    found = span(sparse, quantizer(calibrator), symmetric)

    assert (nothing.low, nothing.high) == (0, 0)
    assert found.high > 0.1


@given(smooth(), st.one_of(st.floats(51, 100), st.sampled_from([99.9, 99.99, 99.999, 99.9999])))
@settings(max_examples=60)
def test_percentiles_of_magnitudes_are_those_of_numpy(values: Floats, percentile: float) -> None:
    found = span(values, quantizer("percentile", percentile), symmetric=True).high

    ordered = np.sort(np.abs(values.astype(np.float64)))
    at = percentile / 100 * (values.size - 1)
    below, above = ordered[max(int(at) - 1, 0)], ordered[min(int(at) + 2, values.size - 1)]
    assert below * 0.996 <= found <= above * 1.004


@given(smooth(), st.sampled_from([90.0, 99.0, 99.9]))
@settings(max_examples=30)
def test_an_affine_percentile_cuts_half_of_the_rest_at_either_end(
    values: Floats, percentile: float
) -> None:
    found = span(values, quantizer("percentile", percentile), symmetric=False)

    ordered = np.sort(values.astype(np.float64))
    for share, end in ((100 - percentile) / 200, found.low), ((100 + percentile) / 200, found.high):
        at = share * (values.size - 1)
        below, above = ordered[max(int(at) - 1, 0)], ordered[min(int(at) + 2, values.size - 1)]
        slack = 0.004 * max(abs(below), abs(above))
        assert below - slack <= end <= above + slack or end == 0


@pytest.mark.parametrize("percentile", [90.0, 99.0, 99.9])
def test_percentiles_of_known_distributions_are_their_quantiles(percentile: float) -> None:
    share = percentile / 100
    # Values at equal steps of probability: the distribution itself, without a sample's noise.
    steps = (np.arange(400_000) + 0.5) / 400_000
    laplace = np.where(steps < 0.5, np.log(2 * steps), -np.log(2 - 2 * steps))
    normal = np.array([NormalDist().inv_cdf(p) for p in steps[::8]])
    expected = {
        "laplace": (laplace, -math.log(1 - share)),
        "normal": (normal, NormalDist().inv_cdf((1 + share) / 2)),
        "uniform": (2 * steps - 1, share),
    }

    for name, (values, quantile) in expected.items():
        found = span(values.astype(np.float32), quantizer("percentile", percentile), True).high
        assert found == pytest.approx(quantile, rel=0.002), name


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99])
def test_percentiles_are_those_of_onnx_runtime(percentile: float) -> None:
    values = np.random.default_rng(3).laplace(size=200_000).astype(np.float32)
    collector = HistogramCollector("percentile", True, 4096, 128, percentile, "same")
    collector.collect({"x": [values]})

    found = span(values, quantizer("percentile", percentile), symmetric=True)

    bin_width = 2 * float(np.abs(values).max()) / 4096
    expected = collector.compute_collection_result()["x"][1]
    assert found.high == pytest.approx(float(expected), abs=2 * bin_width)


@pytest.mark.parametrize("kind", ["normal", "laplace"])
def test_entropy_clips_about_where_onnx_runtime_does(kind: str) -> None:
    values = np.asarray(getattr(np.random.default_rng(4), kind)(size=200_000), np.float32)
    # One histogram of both signs there: twice the bins and levels are the same widths.
    collector = HistogramCollector("entropy", True, 4096, 255, 99.99, "same")
    collector.collect({"x": [values]})

    found = span(values, quantizer("entropy"), symmetric=True)

    expected = collector.compute_collection_result()["x"][1]
    assert found.high == pytest.approx(float(expected), rel=0.15)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("kind", ["normal", "laplace", "shifted"])
def test_mse_has_the_least_squared_error(symmetric: bool, kind: str) -> None:
    # Enough values that the rounding of single ones does not decide between ranges.
    rng = np.random.default_rng(7)
    drawn = rng.normal(0.8, 1, 200_000) if kind == "shifted" else getattr(rng, kind)(size=200_000)
    values = np.asarray(drawn, np.float32)

    found = span(values, quantizer("mse"), symmetric)

    raw = values.astype(np.float64)
    error = squared_error(raw, found.low, found.high, symmetric)
    assert error <= least_squared_error(raw, symmetric) * 1.003


@pytest.mark.parametrize(
    ("name", "spread", "levels_wide"),
    # Least mean squared error of 8 bits: alpha* of Banner et al. 2019 (arXiv 1810.05723), table 1,
    # is 9.89 b for a Laplace and 3.92 sigma for a normal distribution.
    [("laplace", 1.0, 9.89), ("normal", 1.0, 3.92)],
)
def test_mse_clips_known_distributions_where_the_closed_form_does(
    name: str, spread: float, levels_wide: float
) -> None:
    values = np.asarray(getattr(np.random.default_rng(5), name)(0, spread, 4_000_000), np.float32)

    found = span(values, quantizer("mse"), symmetric=True)

    assert found.high == pytest.approx(levels_wide, rel=0.04)


def test_mse_finds_a_range_a_thousandth_of_an_outlier_wide() -> None:
    values = np.random.default_rng(6).uniform(-1, 1, 1000).astype(np.float32)
    histogram = of(np.append(values, np.float32(3000)))
    # As if each had been seen ten million times, and the outlier once.
    counts = histogram.counts * 1e7
    counts[-1] = 1
    seen = replace(histogram, counts=counts)

    found = calibrate(seen, quantizer("mse"), symmetric=True)

    assert found.high < 5


def two_valued(low: float, high: float) -> NDArray[np.float32]:
    return np.array([low] * 50 + [high] * 50, np.float32)


@pytest.mark.parametrize("values", [two_valued(-1, -0.5), two_valued(0.5, 1), two_valued(-1, 1)])
def test_mse_of_values_on_one_side_leaves_the_other_empty(values: Floats) -> None:
    found = span(values, quantizer("mse"), symmetric=False)

    assert found.low == 0 or values.min() < 0
    assert found.high == 0 or values.max() > 0
    assert squared_error(values.astype(float), found.low, found.high, False) < 1e-4
