"""A histogram that needs no range beforehand: its bins are the upper 18 bits of each float32.

Sign, exponent and 9 bits of mantissa: bins are 2^-9 of the value wide at every magnitude, so one
pass serves every calibrator, whatever the range turns out to be. Percentiles interpolate within a
bin, as if its values were spread evenly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SHIFT = 14
BINS = 1 << (32 - SHIFT)
_SIGN = BINS >> 1
_POINTS_PER_BIN = 4

Floats = NDArray[np.float64]
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Histogram:
    """How often which values were seen.

    `low` and `high` are the exact minimum and maximum. `keys` [k] uint32 are the non-empty bins in
    the order of their values, `counts` [k] float64 how often each was hit (fractional where a
    function moved parts of a bin).
    """

    low: float
    high: float
    keys: NDArray[np.uint32]
    counts: Counts

    @cached_property
    def edges(self) -> tuple[Floats, Floats]:
        """Left and right edge of each bin, ascending, cut off at `low` and `high`."""
        near, far = bin_edges(self.keys)
        left, right = np.minimum(near, far), np.maximum(near, far)
        return np.clip(left, self.low, self.high), np.clip(right, self.low, self.high)

    @cached_property
    def total(self) -> float:
        """The number of values."""
        return float(self.counts.sum())

    def mapped(self, function: Callable[[Floats], Floats], low: float | None = None) -> Histogram:
        """The histogram of function(x). Each bin goes over at four points, with a quarter each.

        `low` is the exact minimum of the result where it lies inside the range; without it the
        function has to be monotone.
        """
        left, right = self.edges
        steps = (np.arange(_POINTS_PER_BIN) + 0.5) / _POINTS_PER_BIN
        points = left[:, None] + (right - left)[:, None] * steps
        values = np.asarray(function(points), np.float32)
        ends = np.asarray(function(np.array([self.low, self.high])), np.float64)
        least = float(ends.min() if low is None else min(low, ends.min()))
        weights = np.repeat(self.counts / _POINTS_PER_BIN, _POINTS_PER_BIN)
        dense = np.bincount(_keys_of(values), weights, BINS)
        return from_dense(dense, least, float(ends.max()))

    def scaled(self, factor: float) -> Histogram:
        """The same values, each seen `factor` times as often."""
        return Histogram(self.low, self.high, self.keys, self.counts * factor)

    def magnitudes(self) -> Histogram:
        """The histogram of |x|."""
        dense = np.zeros(BINS)
        np.add.at(dense, self.keys & np.uint32(_SIGN - 1), self.counts)
        low = 0.0 if self.low <= 0 <= self.high else min(abs(self.low), abs(self.high))
        return from_dense(dense, low, max(abs(self.low), abs(self.high)))

    def quantile(self, fraction: float) -> float:
        """The value that `fraction` of all values do not exceed, interpolated within its bin."""
        left, right = self.edges
        reached = np.cumsum(self.counts)
        wanted = fraction * reached[-1]
        i = min(int(np.searchsorted(reached, wanted)), len(reached) - 1)
        inside = (wanted - (reached[i] - self.counts[i])) / self.counts[i]
        return float(left[i] + (right[i] - left[i]) * min(max(inside, 0.0), 1.0))

    def linear(self, bins: int, limit: float) -> Floats:
        """Counts of |x| over `bins` equal bins from 0 to `limit`, each key's spread evenly."""
        magnitudes = self.magnitudes()
        left, right = magnitudes.edges
        reached = np.concatenate([[0.0], np.cumsum(magnitudes.counts)])
        # Bins of the keys may touch or leave gaps; a step function over both edges holds either.
        # A bin without width holds copies of the maximum, which belong below the last edge.
        at = np.stack([np.minimum(left, np.nextafter(right, -np.inf)), right], 1).reshape(-1)
        level = np.stack([reached[:-1], reached[1:]], 1).reshape(-1)
        grid = np.interp(np.linspace(0, limit, bins + 1), at, level)
        grid[0] = 0.0
        return np.diff(grid)


def bin_edges(keys: NDArray[np.uint32]) -> tuple[Floats, Floats]:
    """The edge nearer to zero and the farther one of each bin."""
    near = (keys.astype(np.uint32) << np.uint32(SHIFT)).view(np.float32).astype(np.float64)
    with np.errstate(invalid="ignore"):  # the key above the largest finite one
        after = ((keys.astype(np.uint32) + np.uint32(1)) << np.uint32(SHIFT)).view(np.float32)
        far = after.astype(np.float64)
    last = (keys & np.uint32(_SIGN - 1)) == np.uint32(0xFF << (31 - 8 - SHIFT)) - 1
    far[last] = np.copysign(float(np.finfo(np.float32).max), near[last])
    return near, far


def from_dense(dense: NDArray[np.generic], low: float, high: float) -> Histogram:
    """The histogram of dense counts [BINS] by key."""
    occupied = np.flatnonzero(dense).astype(np.uint32)
    negative = occupied[occupied >= _SIGN][::-1]
    keys = np.concatenate([negative, occupied[occupied < _SIGN]])
    return Histogram(low, high, keys, np.asarray(dense[keys], np.float64))


def of(values: NDArray[np.float32]) -> Histogram:
    """The histogram of an array of finite float32 values."""
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    dense = np.bincount(_keys_of(flat), minlength=BINS)
    return from_dense(dense, float(flat.min()), float(flat.max()))


def union(parts: list[Histogram]) -> Histogram:
    """The histogram of all values of all parts."""
    dense = np.zeros(BINS)
    for part in parts:
        dense[part.keys] += part.counts
    return from_dense(dense, min(p.low for p in parts), max(p.high for p in parts))


def _keys_of(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    return flat.view(np.uint32) >> np.uint32(SHIFT)
