"""Percentile: a share of the values, without the outliers."""

from __future__ import annotations

from edgeq.calibrators.base import Calibrator, Range
from edgeq.calibrators.histogram import Histogram


def _range(histogram: Histogram, symmetric: bool, parameter: float | None) -> Range:
    """The share `parameter`, in per cent, of the absolute values; if affine, of either end's."""
    kept = 100.0 if parameter is None else parameter
    if symmetric:
        limit = histogram.magnitudes().quantile(kept / 100)
        return Range(-limit, limit)
    cut = (100 - kept) / 200
    return Range(histogram.quantile(cut), histogram.quantile(1 - cut))


CALIBRATOR = Calibrator("percentile", _range, parameter="percentile", example="99.99")
