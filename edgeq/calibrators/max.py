"""Max: all that was seen."""

from __future__ import annotations

from edgeq.calibrators.base import Calibrator, Range
from edgeq.calibrators.histogram import Histogram


def _range(histogram: Histogram, symmetric: bool, parameter: float | None) -> Range:
    return Range(histogram.low, histogram.high)


CALIBRATOR = Calibrator("max", _range)
