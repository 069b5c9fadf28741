"""The upper bound of a percentile: how slow the rarely slow is, as far as samples can tell.

Source: MLPerf Inference, early stopping (LoadGen's early_stopping.cc and results.cc): of n samples
the t-th largest bounds the percentile, for the largest t of which no more than t samples would be
above it in 1% of cases at most, were it the true one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

CONFIDENCE = 0.99


def above(samples: int, q: float) -> int:
    """The rank from above, 1 the largest, of the sample that bounds the `q`-th percentile.

    0 where there are too few samples for one. 0 < q < 100.
    """
    share = q / 100
    # P(T <= t) of a binomial T: how often a sample lies above the true percentile.
    log_odds, log_term = math.log((1 - share) / share), samples * math.log(share)
    total, rank = math.exp(log_term), 0
    while rank < samples:
        log_term += math.log((samples - rank) / (rank + 1)) + log_odds
        total += math.exp(log_term)
        if total > 1 - CONFIDENCE:
            break
        rank += 1
    return rank


def needed(q: float) -> int:
    """The fewest samples that bound the `q`-th percentile: 11 for p50, 64 for p90, 662 for p99."""
    low, high = 1, 2
    while above(high, q) == 0:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if above(middle, q) else (middle, high)
    return high


def bound(samples: Sequence[int], q: float) -> int | None:
    """What the `q`-th percentile is at most, with 99% confidence; None for too few samples."""
    rank = above(len(samples), q)
    return sorted(samples)[-rank] if rank else None
