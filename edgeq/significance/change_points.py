"""Where a series of runs changed its level.

Source: A. N. Pettitt, A non-parametric approach to the change-point problem, Applied Statistics
28(2), 1979: the largest of the Mann-Whitney statistics of all ways to cut a series in two. Its
chance is counted over permutations, as his formula holds for long series alone; found changes
divide the series, and each part is looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

FEWEST = 10
"""Of fewer values no order is rarer than ALPHA: even all lower before all higher comes by chance"""
ALPHA = 0.01
_DRAWS = 9_999
_SEED = 1979


@dataclass(frozen=True)
class ChangePoint:
    """The first value of the new level, by its place in the series, and how likely chance is."""

    index: int
    p: float


def change_points(values: Sequence[float]) -> list[ChangePoint]:
    """Where the level changed, in order; none where there are fewer than FEWEST values."""
    return sorted(_found(np.asarray(values, float), 0), key=lambda one: one.index)


def statistic(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pettitt's U for each cut behind value 1 ... n - 1, of one series or of each row of many."""
    count = values.shape[-1]
    before = np.cumsum(_ranks(values), axis=-1)[..., :-1]
    places = np.arange(1, count)
    return np.asarray(2 * before - places * (count + 1))


def _found(values: npt.NDArray[np.float64], start: int) -> Iterator[ChangePoint]:
    if len(values) < FEWEST:
        return
    found = np.abs(statistic(values))
    cut = int(np.argmax(found)) + 1
    p = _chance(values, float(found.max()))
    if p > ALPHA:
        return
    yield ChangePoint(start + cut, p)
    for first, last in pairwise((0, cut, len(values))):
        yield from _found(values[first:last], start + first)


def _chance(values: npt.NDArray[np.float64], largest: float) -> float:
    """How often a random order has as large a statistic; the order that was seen is one of them."""
    draw = np.random.default_rng(_SEED)
    orders = draw.permuted(np.tile(values, (_DRAWS, 1)), axis=1)
    extremes = np.abs(statistic(orders)).max(axis=1)
    return float((1 + np.sum(extremes >= largest)) / (1 + _DRAWS))


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Ranks from 1 within each row, the mean of them for those that are equal."""
    ordered = np.sort(np.atleast_2d(values)[0])  # a row holds the same values as any other
    low = np.searchsorted(ordered, values, "left")
    high = np.searchsorted(ordered, values, "right")
    return np.asarray((low + high + 1) / 2)
