"""Entropy: the threshold of least Kullback-Leibler divergence."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgeq.calibrators.base import Calibrator, Range
from edgeq.calibrators.histogram import Floats, Histogram

ENTROPY_BINS = 2048
ENTROPY_LEVELS = 128


def entropy(histogram: Histogram) -> float:
    """The threshold on |x| of least Kullback-Leibler divergence.

    NVIDIA's search ("8-bit inference with TensorRT", GTC 2017; in the form of
    pytorch-quantization and ModelOpt): 2,048 bins, every threshold from bin 128 on, 128 levels,
    the first bin replaced by the second, outliers added to the last bin.
    """
    limit = max(-histogram.low, histogram.high)
    if limit <= 0:
        return 0.0
    counts = histogram.linear(ENTROPY_BINS, limit)
    return kl_threshold(counts, ENTROPY_LEVELS) * limit / ENTROPY_BINS


def kl_threshold(counts: Floats, levels: int) -> int:
    """How many of the bins to keep, by least divergence; the largest on a tie.

    All thresholds at once, from prefix sums: within a level the quantized distribution is
    constant, so that sum(p log q) needs only each level's sum and its number of occupied bins.
    """
    bins = np.array(counts, np.float64)
    bins[0] = bins[1]
    size = len(bins)
    if not bins.any():
        return size
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(bins > 0, bins * np.log(bins), 0.0)
    sums, filled, owns = (
        np.concatenate([[0.0], np.cumsum(values)]) for values in (bins, bins > 0, own)
    )
    total = sums[-1]
    kept = np.arange(levels, size + 1)
    bounds = _level_bounds(size, levels)
    mass = np.diff(sums[bounds], axis=1)
    occupied = np.diff(filled[bounds], axis=1)
    outliers = total - sums[kept]
    inside = sums[kept]
    last = bins[kept - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_level = np.where(mass > 0, np.log(mass / occupied), 0.0)
        cross = (mass * log_level).sum(1) + outliers * log_level[:, -1]
        before = np.where(last > 0, last * np.log(last), 0.0)
        after = np.where(last + outliers > 0, (last + outliers) * np.log(last + outliers), 0.0)
        divergence = (owns[kept] - before + after - cross) / total + np.log(inside / total)
    # Outliers on an empty last bin: there q is 0, p is not.
    divergence[(last <= 0) & (outliers > 0)] = np.inf
    divergence[inside <= 0] = np.inf
    # Equal but for rounding counts as a tie.
    best = divergence.min()
    return int(kept[np.flatnonzero(divergence <= best + 1e-12)[-1]])


@cache
def _level_bounds(size: int, levels: int) -> NDArray[np.int64]:
    """First bin of each level, one row a threshold from bin `levels` to `size`.

    Level k of a threshold at bin i holds bins j with k * i / levels <= j < (k+1) * i / levels.
    """
    kept = np.arange(levels, size + 1)
    return -(-(np.arange(levels + 1)[None, :] * kept[:, None]) // levels)


def _range(histogram: Histogram, symmetric: bool, parameter: float | None) -> Range:
    limit = entropy(histogram)
    return Range(-limit, limit)


CALIBRATOR = Calibrator("entropy", _range)
