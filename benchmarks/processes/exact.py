"""The range of least squared error by brute force on raw values: what edgeq's is held against."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Span = tuple[float, float]
LEVELS = {True: 254, False: 255}
"""Steps of a symmetric range, [-127, 127], and of an affine one."""
_CHUNK = 64


class Exact:
    """Squared errors of uniform quantizers over sorted values, exact but for rounding."""

    def __init__(self, ascending: NDArray[np.float32]) -> None:
        self._values = ascending.astype(np.float64)
        self._sums = [
            np.concatenate([[0.0], np.cumsum(self._values**power)]) for power in (0, 1, 2)
        ]

    def best(self, symmetric: bool) -> Span:
        """The range of least error: every end, or pair of ends, on ever finer grids."""
        low, high = min(self._values[0], 0.0), max(self._values[-1], 0.0)
        # The error rises and falls with every step of a level: 0.2% of a range is half a step.
        if symmetric:
            limit = max(-low, high)
            ends = limit * np.unique(np.append(np.geomspace(1e-3, 1, 100), _fine(0.05, 1)))
            i = int(np.argmin(self.error(-ends, ends, LEVELS[True])))
            ends = np.linspace(ends[max(i - 1, 0)], ends[min(i + 1, len(ends) - 1)], 25)
            best = float(ends[int(np.argmin(self.error(-ends, ends, LEVELS[True])))])
            return -best, best
        rough = np.geomspace(1e-3, 1, 40)
        first = self._best_pair(low * rough, high * rough)
        lows, highs = (
            np.clip(found * _fine(0.8, 1.25)[::stride], min(end, 0.0), max(end, 0.0))
            for found, end, stride in zip(first, (low, high), (6, 1), strict=True)
        )
        second = self._best_pair(np.unique(lows), np.unique(highs))
        around = np.linspace(0.99, 1.01, 25)
        lows, highs = (
            np.unique(np.clip(found * around, min(end, 0), max(end, 0)))
            for found, end in zip(second, (low, high), strict=True)
        )
        return self._best_pair(lows, highs)

    def _best_pair(self, lows: Floats, highs: Floats) -> Span:
        pairs = np.stack(np.meshgrid(lows, highs), -1).reshape(-1, 2)
        found = pairs[int(np.argmin(self.error(pairs[:, 0], pairs[:, 1], LEVELS[False])))]
        return float(found[0]), float(found[1])

    def error(self, low: Floats, high: Floats, levels: int) -> Floats:
        """Sum of squared errors for each range."""
        parts = [
            self._error(low[i : i + _CHUNK], high[i : i + _CHUNK], levels)
            for i in range(0, len(low), _CHUNK)
        ]
        return np.concatenate(parts)

    def _error(self, low: Floats, high: Floats, levels: int) -> Floats:
        step = np.maximum((high - low) / levels, np.finfo(np.float64).tiny)[:, None]
        level = np.round(low[:, None] / step) + np.arange(levels + 1)
        at = np.searchsorted(self._values, (level[:, :-1] + 0.5) * step)
        edge = np.zeros((len(low), 1), np.int64)
        at = np.concatenate([edge, at, edge + len(self._values)], axis=1)
        count, total, squares = (np.diff(sums[at], axis=1) for sums in self._sums)
        value = level * step
        return np.asarray((squares - 2 * value * total + value**2 * count).sum(1))


def squared_error(values: NDArray[np.float32], span: Span, symmetric: bool) -> float:
    """Sum of (x - quantized(x))², by quantizing every value."""
    step = max((span[1] - span[0]) / LEVELS[symmetric], np.finfo(np.float64).tiny)
    first = round(span[0] / step)
    error = 0.0
    for start in range(0, len(values), 1 << 20):
        part = values[start : start + (1 << 20)].astype(np.float64)
        levels = np.clip(np.rint(part / step), first, first + LEVELS[symmetric])
        error += float(((part - levels * step) ** 2).sum())
    return error


def _fine(first: float, last: float) -> Floats:
    """From one to the other by steps of 0.2%."""
    return np.geomspace(first, last, math.ceil(math.log(last / first) / 0.002) + 1)
