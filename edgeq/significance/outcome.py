"""Better, worse, the same, or not to be told: what an interval says beside a limit that matters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edgeq.significance.ratios import Estimate

Outcome = Literal["better", "worse", "same", "cannot tell"]


def outcome(loss: Estimate, limit: float, level: float) -> Outcome:
    """How a loss (above 0: worse) stands to a limit; `loss.p` was adjusted for other tests.

    Worse or better is what differs from 0 at that level and by more than the limit; the same is
    what lies within it on either side, with its whole interval.
    """
    is_resolved = loss.p <= level
    if is_resolved and loss.mean > limit:
        return "worse"
    if is_resolved and loss.mean < -limit:
        return "better"
    return "same" if -limit < loss.low and loss.high < limit else "cannot tell"


def more_data(loss: Estimate, limit: float) -> float:
    """How many times as many observations would resolve it, if the estimate stays what it is.

    An interval shrinks with the root of their number. Infinite where the estimate is at the limit.
    """
    half = (loss.high - loss.low) / 2
    size = abs(loss.mean)
    distance = size if size > limit else limit - size
    return math.inf if distance <= 0 else (half / distance) ** 2
