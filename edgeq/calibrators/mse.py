"""Mean squared error: the range whose quantized values are nearest to the values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgeq.calibrators.base import Calibrator, Range
from edgeq.calibrators.histogram import Floats, Histogram

MSE_LEVELS = {True: 254, False: 255}
"""Steps of the quantized range: [-127, 127] if symmetric, 256 values if affine."""
_ROUGH, _FINE = 0.3, 6.0
"""Points a step of the search for the least squared error."""
_MOVES = 32
"""Steps by which that search moves a range up and down at the end."""


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


def _range(histogram: Histogram, symmetric: bool, parameter: float | None) -> Range:
    return mse(histogram, symmetric)


CALIBRATOR = Calibrator("mse", _range)
