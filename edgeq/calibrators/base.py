"""What a calibrator is, and the range of a tensor by any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edgeq.calibrators import calibrators
from edgeq.calibrators.histogram import Histogram


@dataclass(frozen=True)
class Range:
    """The real values `low` <= 0 <= `high` that the quantized range has to span."""

    low: float
    high: float


@dataclass(frozen=True)
class Calibrator:
    """One way to choose a range.

    `range_of` gets the histogram, whether the range has to be symmetric around zero (otherwise its
    ends are free), and the value of `parameter`, the key beside `calibrator` in a recipe that is
    this one's alone; None without one. It need not stay within what was seen: `calibrate` sees to
    that. `example` is what such a value may look like, for messages.
    """

    name: str
    range_of: Callable[[Histogram, bool, float | None], Range]
    parameter: str | None = None
    example: str = ""


class Choice(Protocol):
    """A calibrator's name and the value of its parameter, as a recipe says them."""

    @property
    def calibrator(self) -> str:
        """Its name."""
        ...

    @property
    def parameter(self) -> float | None:
        """The value of its parameter, None where it has none."""
        ...


def calibrate(histogram: Histogram, choice: Choice, symmetric: bool) -> Range:
    """The range of a tensor by the calibrator that a recipe asks for; KeyError for no such name.

    `symmetric` wants it symmetric around zero; otherwise its ends are free, with zero inside.
    """
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    found = calibrators()[choice.calibrator].range_of(histogram, symmetric, choice.parameter)
    # A percentile where all but a few values are zero lies within the bin of zero: no range.
    if max(-found.low, found.high) >= np.finfo(np.float32).tiny:
        low, high = max(found.low, low), min(found.high, high)
        low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        low, high = -max(-low, high), max(-low, high)
    return Range(low, high)
