"""A sample of what is large: matrices and drawn examples. EDGEQ_TESTS=all has them whole."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence

from hypothesis import settings

WHOLE = os.environ.get("EDGEQ_TESTS") == "all"
Row = Mapping[str, object]


def examples(count: int) -> settings:
    """The settings of a property whose examples are dear; of many, a sample has a quarter."""
    return settings(max_examples=count if WHOLE else max(count // 4, min(count, 10)))


def pairwise(rows: Sequence[Row]) -> list[int]:
    """The indices of few rows in which any two values stand together that do so in all of them.

    Each row maps the same axes to values. Greedy: the row with the most new pairs, the first of
    several. Faults that need three values at once are left to the whole.
    """
    pairs = [set(itertools.combinations(map(repr, row.items()), min(len(row), 2))) for row in rows]
    missing = set().union(*pairs)
    chosen: list[int] = []
    while missing:
        best = max(range(len(rows)), key=lambda i: len(pairs[i] & missing))
        missing -= pairs[best]
        chosen.append(best)
    return sorted(chosen)
