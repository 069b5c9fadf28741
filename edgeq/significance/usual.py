"""Whether a new figure is what it usually is: the prediction interval of one more observation.

Source: Hahn and Meeker, Statistical Intervals (1991), section 4.8; of logarithms, as times vary by
factors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgeq.significance.student import quantile

FEWEST = 5
"""Of fewer the interval is so wide that nothing is ever unusual."""


def usual_range(
    earlier: Sequence[float], confidence: float, least: float
) -> tuple[float, float] | None:
    """Where one more of such positive figures lies with that confidence; None for too few.

    At least that share to either side of their middle: no five figures are so close that a
    smaller change says anything of a board.
    """
    if len(earlier) < FEWEST:
        return None
    logs = np.log(np.asarray(earlier, np.float64))
    count, mean = len(logs), float(logs.mean())
    error = float(logs.std(ddof=1)) * math.sqrt(1 + 1 / count)
    half = max(quantile((1 + confidence) / 2, count - 1) * error, math.log1p(least))
    return math.exp(mean - half), math.exp(mean + half)
