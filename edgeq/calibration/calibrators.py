"""Calibrators: from a histogram to the range that is worth representing.

Each reads the same statistics. `scheme` scale wants a range symmetric around zero, affine one
whose ends are free, with zero inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgeq.calibration.histogram import Histogram
from edgeq.recipe import Quantizer

Floats = NDArray[np.float64]

ENTROPY_BINS = 2048
ENTROPY_LEVELS = 128
MSE_LEVELS = {True: 254, False: 255}
"""Steps of the quantized range: [-127, 127] if symmetric, 256 values if affine."""
_ROUGH, _FINE = 0.3, 6.0
"""Points a step of the search for the least squared error."""
_MOVES = 32
"""Steps by which that search moves a range up and down at the end."""


@dataclass(frozen=True)
class Range:
    """The real values `low` <= 0 <= `high` that the quantized range has to span."""

    low: float
    high: float


def calibrate(histogram: Histogram, quantizer: Quantizer, symmetric: bool) -> Range:
    """The range of a tensor by the calibrator that the recipe asks for."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if quantizer.calibrator == "mse":
        found = mse(histogram, symmetric)
    elif quantizer.calibrator == "percentile" and not symmetric:
        cut = (100 - (quantizer.percentile or 100)) / 200
        found = Range(histogram.quantile(cut), histogram.quantile(1 - cut))
    else:
        limit = max(-low, high)
        if quantizer.calibrator == "percentile":
            limit = histogram.magnitudes().quantile((quantizer.percentile or 100) / 100)
        elif quantizer.calibrator == "entropy":
            limit = entropy(histogram)
        found = Range(-limit, limit)
    # A percentile where all but a few values are zero lies within the bin of zero: no range.
    if max(-found.low, found.high) >= np.finfo(np.float32).tiny:
        low, high = max(found.low, low), min(found.high, high)
        low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        low, high = -max(-low, high), max(-low, high)
    return Range(low, high)


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


def mse(histogram: Histogram, symmetric: bool) -> Range:
    """The range of least expected squared error of the quantized values."""
    levels = MSE_LEVELS[symmetric]
    error = SquaredError(histogram, levels)
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if symmetric:
        limit = _least(lambda t: error(-t, t), max(-low, high), lambda t: 2 * t / levels)
        return Range(-limit, limit)
    # One end at a time, first roughly; the second round sees the first end's new place.
    seen = Range(low, high)
    found = _ends(error, seen, _ends(error, seen, low, _ROUGH).low, _FINE)
    # Then both together, as neither gains by moving alone once their distance is right.
    moves = np.arange(-_MOVES, _MOVES + 1) * (found.high - found.low) / levels
    lows, highs = found.low + moves, found.high + moves
    outside = (lows < low) | (lows > 0) | (highs > high) | (highs < 0)
    outside[_MOVES] = False  # where they are
    best = int(np.argmin(np.where(outside, np.inf, error(lows, highs))))
    return Range(float(lows[best]), float(highs[best]))


def _ends(error: SquaredError, seen: Range, low: float, per_step: float) -> Range:
    """The high end of least error for a low one, then the low end for that."""
    levels = error.levels
    high = _least(
        lambda t: error(np.full_like(t, low), t), seen.high, lambda t: (t - low) / levels, per_step
    )
    found = _least(
        lambda t: error(-t, np.full_like(t, high)),
        -seen.low,
        lambda t: (t + high) / levels,
        per_step,
    )
    return Range(-found, high)


class SquaredError:
    """Expected squared error of a uniform quantizer, with each bin's values spread evenly.

    Were every value to become the highest level v, the error would be the sum of (x - v)². Each
    border b between two levels, a step apart, lowers it by 2 * step * G(b), where G(b) is the sum
    of b - x over the values below b. G is looked up: a range costs 256 look-ups, not a pass over
    the histogram.
    """

    def __init__(self, histogram: Histogram, levels: int) -> None:
        self.levels = levels
        counts, (left, right) = histogram.counts, histogram.edges
        width = right - left
        density = np.divide(counts, width, out=np.zeros_like(width), where=width > 0)
        self._right = right
        # One more of each for what lies above the last bin.
        self._left = np.append(left, right[-1])
        self._half_density = np.append(density, 0.0) / 2
        self._count = np.concatenate([[0.0], np.cumsum(counts)])
        self._sum = np.concatenate([[0.0], np.cumsum(counts * (left + right) / 2)])
        self._squares = float((counts * (left**2 + left * right + right**2)).sum() / 3)

    def __call__(self, low: Floats, high: Floats) -> Floats:
        """Sum over all values of (x - quantized(x))², for each of the ranges low[i], high[i]."""
        step = (high - low) / self.levels
        step = np.where(step > 0, step, np.finfo(np.float64).tiny)
        first = np.round(low / step)
        border = (first[:, None] + (np.arange(self.levels) + 0.5)) * step[:, None]
        last = (first + self.levels) * step
        alone = self._squares - 2 * last * self._sum[-1] + last * last * self._count[-1]
        return np.asarray(alone - 2 * step * self._below(border).sum(1), np.float64)

    def _below(self, border: Floats) -> Floats:
        """The sum of border - x over all values x below each border."""
        i = np.searchsorted(self._right, border.reshape(-1), side="right").reshape(border.shape)
        inside = np.maximum(border - self._left[i], 0.0)
        partial = self._half_density[i] * inside * inside
        return np.asarray(border * self._count[i] - self._sum[i] + partial)


def _least(
    error: Callable[[Floats], Floats],
    limit: float,
    step: Callable[[float], float],
    per_step: float = _FINE,
) -> float:
    """The argument in (0, limit] of least error: a logarithmic grid, then finer ones around.

    The grid begins far down: one outlier among 1e8 values may be a thousand times the best range.
    `step` is the distance of two levels for an argument. By how levels meet values that come in
    clusters, the error rises and falls within each step: `per_step` points look into it.
    """
    if limit <= 0:
        return 0.0
    grid = limit * np.geomspace(1e-4, 1.0, 64)
    i = int(np.argmin(error(grid)))
    near, far = grid[max(i - 2, 0)], grid[min(i + 2, len(grid) - 1)]
    points = math.ceil((far - near) / step(float(grid[i])) * per_step)
    for count in (max(points, 8), 8):
        grid = np.linspace(near, far, count + 1)
        i = int(np.argmin(error(grid)))
        near, far = grid[max(i - 1, 0)], grid[min(i + 1, count)]
    return float(grid[i])
