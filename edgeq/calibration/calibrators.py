"""Calibrators: from a histogram to the range that is worth representing.

Each reads the same statistics. `scheme` scale wants a range symmetric around zero, affine one
whose ends are free, with zero inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.calibration.histogram import Histogram
from edgeq.recipe import Quantizer

Floats = NDArray[np.float64]

ENTROPY_BINS = 2048
ENTROPY_LEVELS = 128
MSE_LEVELS = {True: 254, False: 255}
"""Steps of the quantized range: [-127, 127] if symmetric, 256 values if affine."""


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
    total = bins.sum()
    if total <= 0:
        return size
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(bins > 0, bins * np.log(bins), 0.0)
    sums, filled, owns = (
        np.concatenate([[0.0], np.cumsum(values)]) for values in (bins, bins > 0, own)
    )
    kept = np.arange(levels, size + 1)
    # Level k of a threshold at bin i holds bins j with k * i / levels <= j < (k+1) * i / levels.
    bounds = -(-(np.arange(levels + 1)[None, :] * kept[:, None]) // levels)
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


def mse(histogram: Histogram, symmetric: bool) -> Range:
    """The range of least expected squared error of the quantized values."""
    error = SquaredError(histogram, MSE_LEVELS[symmetric])
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    if symmetric:
        limit = _least(lambda t: error(-t, t), max(-low, high))
        return Range(-limit, limit)
    # One end at a time; the second round sees the first end's new place.
    for _ in range(2):
        high = _least(lambda t, low=low: error(np.full_like(t, low), t), max(histogram.high, 0.0))  # type: ignore[misc]
        low = -_least(lambda t, high=high: error(-t, np.full_like(t, high)), max(-histogram.low, 0))  # type: ignore[misc]
    return Range(low, high)


class SquaredError:
    """Expected squared error of a uniform quantizer, with each bin's values spread evenly.

    Within one level the error is a polynomial of the values' first moments, and these are
    differences of prefix sums at the level's borders: a range costs 256 look-ups, not a pass over
    the histogram.
    """

    def __init__(self, histogram: Histogram, levels: int) -> None:
        self.left, self.right = histogram.edges
        self.levels = levels
        width = self.right - self.left
        self._density = np.divide(
            histogram.counts, width, out=np.zeros_like(width), where=width > 0
        )
        per_bin = np.stack(
            [
                histogram.counts,
                histogram.counts * (self.left + self.right) / 2,
                histogram.counts * (self.left**2 + self.left * self.right + self.right**2) / 3,
            ]
        )
        self._before = np.concatenate([np.zeros((3, 1)), np.cumsum(per_bin, axis=1)], axis=1)

    def __call__(self, low: Floats, high: Floats) -> Floats:
        """Sum over all values of (x - quantized(x))², for each of the ranges low[i], high[i]."""
        step = ((high - low) / self.levels)[:, None]
        step = np.where(step > 0, step, np.finfo(np.float64).tiny)
        first = np.round(low[:, None] / step)
        level = first + np.arange(self.levels + 1)[None, :]
        count, mean, square = np.diff(self._moments((level[:, :-1] + 0.5) * step), axis=2)
        value = level * step
        return np.asarray((square - 2 * value * mean + value**2 * count).sum(1), np.float64)

    def _moments(self, border: Floats) -> Floats:
        """Sums of 1, x and x² over all values up to each border, with the ends added: [3,r,b+2]."""
        i = np.searchsorted(self.right, border, side="right")
        inner = np.minimum(i, len(self.left) - 1)
        start = np.minimum(self.left[inner], border)
        density = np.where(i < len(self.left), self._density[inner], 0.0)
        partial = [density * (border**n - start**n) / n for n in (1, 2, 3)]
        sums = self._before[:, i] + np.stack(partial)
        ends = np.broadcast_to(self._before[:, None, -1:], (*sums.shape[:2], 1))
        return np.concatenate([np.zeros_like(ends), sums, ends], axis=2)


def _least(error: Callable[[Floats], Floats], limit: float) -> float:
    """The argument in (0, limit] of least error: a logarithmic grid, then a finer one around."""
    if limit <= 0:
        return 0.0
    grid = limit * np.geomspace(0.02, 1.0, 40)
    i = int(np.argmin(error(grid)))
    fine = np.linspace(grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)], 17)
    return float(fine[int(np.argmin(error(fine)))])
