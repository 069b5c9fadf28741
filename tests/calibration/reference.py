"""Independent forms of what the calibrators compute, slow and on the raw values."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def entropy_threshold(counts: Values, levels: int = 128) -> int:
    """How many bins to keep: the loop of pytorch-quantization and ModelOpt.

    `_compute_amax_entropy` with start_bin 128 and stride 1, bin by bin as published; the
    Kullback-Leibler divergence is scipy.stats.entropy's.
    """
    divergences = entropy_divergences(counts, levels)
    last = len(divergences) - 1 - int(np.argmin(divergences[::-1]))
    return levels + last


def entropy_divergences(counts: Values, levels: int = 128) -> Values:
    """The divergence of every number of bins to keep, from `levels` on."""
    bins = np.array(counts, np.float64)
    bins[0] = bins[1]
    divergences = []
    for i in range(levels, len(bins) + 1):
        space = np.linspace(0, i, num=levels + 1)
        digitized = np.digitize(np.arange(i), space) - 1
        digitized[bins[:i] == 0] = -1
        quantized = np.zeros(levels)
        for index, level in enumerate(digitized.tolist()):
            if level != -1:
                quantized[level] += bins[index]
        for level, members in Counter(digitized.tolist()).items():
            if level != -1:
                quantized[level] /= members
        density = np.zeros(i)
        for index, level in enumerate(digitized.tolist()):
            if level != -1:
                density[index] = quantized[level]
        reference = np.array(bins[:i])
        reference[-1] += bins[i:].sum()
        divergences.append(kullback_leibler(reference, density))
    return np.array(divergences)


def kullback_leibler(p: Values, q: Values) -> float:
    """sum p log(p/q) of two unnormalized distributions; infinite where only q is 0."""
    if p.sum() == 0 or q.sum() == 0:
        return np.inf
    p, q = p / p.sum(), q / q.sum()
    seen = p > 0
    if (q[seen] == 0).any():
        return np.inf
    return float((p[seen] * np.log(p[seen] / q[seen])).sum())


def squared_error(values: Values, low: float, high: float, symmetric: bool) -> float:
    """Mean squared error of the values after 8-bit quantization of a range that holds 0."""
    if symmetric:
        step = high / 127
        integers = np.clip(np.rint(values / step), -127, 127)
        return float(np.mean((integers * step - values) ** 2))
    step = (high - low) / 255
    zero = np.rint(-low / step)
    integers = np.clip(np.rint(values / step) + zero, 0, 255)
    return float(np.mean(((integers - zero) * step - values) ** 2))


def least_squared_error(values: Values, symmetric: bool) -> float:
    """The least mean squared error over a fine grid of ranges."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    if symmetric:
        limit = max(-low, high)
        return min(squared_error(values, -t, t, True) for t in limit * np.geomspace(0.05, 1, 120))
    best, least, most = np.inf, low, high
    shares = np.geomspace(0.1, 1, 60)
    for _ in range(2):
        for end in high * shares if high > 0 else [0.0]:
            error = squared_error(values, least, end, False)
            best, most = min((best, most), (error, end))
        for end in low * shares if low < 0 else [0.0]:
            error = squared_error(values, end, most, False)
            best, least = min((best, least), (error, end))
    return float(best)
