"""What a tensor loses by being integers: rounding and clipping, told from its histogram."""

from __future__ import annotations

import math

import numpy as np

from edgeq.calibrators.histogram import Histogram
from edgeq.quantization.arithmetic import LIMITS, Scale

_POINTS_PER_BIN = 4


def snr_db(histogram: Histogram, scale: Scale) -> float | None:
    """Power of the values to power of their error in dB; None where there is no error at all.

    Each bin stands for four of its points: bins are finer than the integers, but where values are
    large.
    """
    left, right = histogram.edges
    steps = (np.arange(_POINTS_PER_BIN) + 0.5) / _POINTS_PER_BIN
    values = left[:, None] + (right - left)[:, None] * steps
    least, greatest = LIMITS[scale.dtype]
    integers = np.clip(np.rint(values / scale.scale) + scale.zero_point, least, greatest)
    error = (integers - scale.zero_point) * scale.scale - values
    weights = histogram.counts[:, None] / _POINTS_PER_BIN
    signal, noise = float((weights * values**2).sum()), float((weights * error**2).sum())
    if noise == 0:
        return None
    return 10 * math.log10(signal / noise) if signal > 0 else 0.0
