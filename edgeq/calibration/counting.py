"""The inner loop of calibration: count the bins of an array and find its extremes.

Compiled by numba where that is installed (extra `fast`); in numpy otherwise, with the same result.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.calibration.histogram import BINS, SHIFT, Histogram, from_dense

Floats = NDArray[np.float32]
Count = Callable[[NDArray[np.uint32], NDArray[np.uint32], np.uint32], None]


class Counter:
    """Counts the values of one tensor, array by array.

    `minimiser` is the argument of a function that has its minimum there; the seen value next to it
    is kept too, for the exact minimum of what the function makes of this tensor.
    """

    def __init__(self, minimiser: float | None = None) -> None:
        # Untouched pages of this megabyte are never resident; a tensor's values meet some tens
        # of them.
        self._recent = np.zeros(BINS, np.uint32)
        self._recent_total = 0
        self._counts: NDArray[np.int64] | None = None
        self.low, self.high = np.inf, -np.inf
        self.minimiser = minimiser
        self.nearest = np.inf

    def add(self, values: Floats) -> bool:
        """Count a contiguous float32 array; False if it holds a value that is not finite."""
        flat = values.reshape(-1)
        if self._recent_total + flat.size >= 2**32:
            self._flush()
        self._recent_total += flat.size
        low, high = _extremes(flat)
        if not np.isfinite(low) or not np.isfinite(high):
            return False
        _count()(flat.view(np.uint32), self._recent, np.uint32(SHIFT))
        self.low, self.high = min(self.low, low), max(self.high, high)
        # A distance d from the minimiser moves the minimum by about d²/4, so that closer than
        # this nothing is won any more within float32.
        minimiser = self.minimiser
        if minimiser is not None and abs(self.nearest - minimiser) > 2e-4:
            candidate = float(flat[np.abs(flat - np.float32(minimiser)).argmin()])
            self.nearest = min(self.nearest, candidate, key=lambda v: abs(v - minimiser))
        return True

    def histogram(self) -> Histogram:
        """Everything counted so far."""
        counts = self._recent.astype(np.int64)
        return from_dense(
            counts if self._counts is None else counts + self._counts,
            float(self.low),
            float(self.high),
        )

    def _flush(self) -> None:
        counts = np.zeros(BINS, np.int64) if self._counts is None else self._counts
        self._counts = counts + self._recent
        self._recent[:] = 0
        self._recent_total = 0


def accelerated() -> bool:
    """Whether the compiled loop is used."""
    return importlib.util.find_spec("numba") is not None


def _extremes(flat: Floats) -> tuple[float, float]:
    """Least and greatest value; NaN where there is one."""
    return float(flat.min()), float(flat.max())


@cache
def _count() -> Count:
    if not accelerated():
        return _count_numpy
    import numba

    # The shift is an argument: numba's cache on disk would keep the value of a global.
    @numba.njit("void(uint32[::1], uint32[::1], uint32)", cache=True, nogil=True)
    def count(bits: Any, counts: Any, shift: Any) -> None:
        for i in range(bits.size):
            counts[bits[i] >> shift] += np.uint32(1)

    compiled: Count = count
    return compiled


def _count_numpy(bits: NDArray[np.uint32], counts: NDArray[np.uint32], shift: np.uint32) -> None:
    hit = np.bincount(bits >> shift)
    counts[: hit.size] += hit.astype(np.uint32)
