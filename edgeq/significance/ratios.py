"""The ratio of two times that were taken in turns: its size, and how sure that is.

Each pair of runs gives a log ratio. Within one load of the two programs these are correlated, as
clocks and neighbours change slowly, and all of them share where the programs came to lie in memory.
So a load counts as one observation, and the interval is that of a mean of a few of them.

Sources: Hodges and Lehmann, Estimates of location based on rank tests (1963); Kalibera and Jones,
Quantifying performance changes with effect size confidence intervals (arXiv 2007.10899), whose
outermost level of repetition carries the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeq.significance.student import quantile, two_sided

_FEW = 100_000
"""Averages that are sooner sorted than counted."""


class Estimate(NamedTuple):
    """A mean with its confidence interval, and the probability of one so far from 0 by chance."""

    mean: float
    low: float
    high: float
    p: float


def hodges_lehmann(values: Sequence[float]) -> float:
    """The median of the means of all pairs (Walsh averages, each value with itself too).

    As robust as a median against what only one side met, and nearly as sharp as a mean. NaN for no
    values.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    averages = len(ordered) * (len(ordered) + 1) // 2
    if not averages:
        return math.nan
    if averages <= _FEW:
        rows, columns = np.triu_indices(len(ordered))
        return float(np.median((ordered[rows] + ordered[columns]) / 2))
    middle = _average(ordered, (averages + 1) // 2)
    return middle if averages % 2 else (middle + _average(ordered, averages // 2 + 1)) / 2


def _average(ordered: NDArray[np.float64], rank: int) -> float:
    """The average of that rank, from 1; `ordered` (N,) ascends.

    An interval that holds it is halved until no float lies between: as exact as sorting all of
    them, without a million averages in memory.
    """
    low, high = float(ordered[0]), float(ordered[-1])
    while True:
        middle = low + (high - low) / 2
        if middle <= low or middle >= high:
            return low if _not_above(ordered, low) >= rank else high
        if _not_above(ordered, middle) >= rank:
            high = middle
        else:
            low = middle


def _not_above(ordered: NDArray[np.float64], limit: float) -> int:
    """How many averages of pairs are at most `limit`; `ordered` (N,) ascends."""
    partners = np.searchsorted(ordered, 2 * limit - ordered, side="right")
    return int(np.maximum(partners - np.arange(len(ordered)), 0).sum())


def mean_of(observations: Sequence[float], confidence: float) -> Estimate:
    """The mean of independent observations with Student's interval; of at least two."""
    values = np.asarray(observations, np.float64)
    count, mean = len(values), float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(count)
    if error == 0.0:
        return Estimate(mean, mean, mean, 0.0 if mean else 1.0)
    half = quantile((1 + confidence) / 2, count - 1) * error
    return Estimate(mean, mean - half, mean + half, two_sided(mean / error, count - 1))


def log_ratios(first: Sequence[float], second: Sequence[float]) -> list[float]:
    """log(second / first) pair by pair, of positive figures."""
    pairs = np.asarray([first, second], np.float64)
    return list(np.log(pairs[1] / pairs[0]))
