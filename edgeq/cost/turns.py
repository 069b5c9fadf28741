"""What two releases that took turns cost beside each other: time, memory, energy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Literal, NamedTuple

from edgeq.records.comparison import MetricName
from edgeq.records.turns import SideTurns, Turns
from edgeq.significance.ratios import Estimate, hodges_lehmann, log_ratios, mean_of

Figures = Callable[[SideTurns], Sequence[float]]
"""One figure a pass, or one a load."""


def _inference(side: SideTurns) -> Sequence[float]:
    return side.inference_ns


def _frame(side: SideTurns) -> Sequence[float]:
    return side.frame_ns


def _memory(side: SideTurns) -> Sequence[float]:
    return [side.peak_rss_bytes]


def _energy(side: SideTurns) -> Sequence[float]:
    used = side.power.energy_with_idle_mj if side.power else None
    return [used] if used else []


class Cost(NamedTuple):
    """One metric: its figures in `unit` once multiplied, and the recipe's key for its limit."""

    figures: Figures
    unit: Literal["ms", "bytes", "mJ"]
    factor: float
    limit: str


COSTS: dict[MetricName, Cost] = {
    "inference": Cost(_inference, "ms", 1e-6, "slower_by"),
    "frame": Cost(_frame, "ms", 1e-6, "slower_by"),
    "peak memory": Cost(_memory, "bytes", 1.0, "larger_by"),
    "energy": Cost(_energy, "mJ", 1.0, "hungrier_by"),
}
"""What is measured of each load, by the metric's name."""


def change(loads: Sequence[Turns], figures: Figures, confidence: float) -> Estimate | None:
    """B / A - 1 with its interval: each load of both is one observation.

    Within a load it is the ratio of the medians, from the log ratios of the pairs. None where a
    load lacks the figure.
    """
    found = [[list(figures(side)) for side in load.sides] for load in loads]
    if not all(a and b for a, b in found):
        return None
    by_load = [hodges_lehmann(log_ratios(a, b)) for a, b in found]
    mean = mean_of(by_load, confidence)
    return Estimate(math.expm1(mean.mean), math.expm1(mean.low), math.expm1(mean.high), mean.p)


def typical(loads: Sequence[Turns], figures: Figures) -> tuple[float, float]:
    """The median of each side over all loads."""
    a, b = (median(v for load in loads for v in figures(load.sides[i])) for i in (0, 1))
    return a, b


def in_wrong_mode(loads: Sequence[Turns]) -> dict[MetricName, str]:
    """Why what the board takes is not judged: it was in another power mode than asked for."""
    wrong = list(dict.fromkeys(reason for load in loads for reason in load.wrong_mode))
    return {name: "; ".join(wrong) for name in COSTS} if wrong else {}
