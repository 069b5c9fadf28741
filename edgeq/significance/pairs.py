"""Whether things differ that were measured twice each, or whether chance parts them as far.

An exact test: were they all alike, any way to pair the measurements would be as good as that in
which they belong together. Where things differ, hardly any has the two of a pair so close.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

_COUNTED = 10_395
"""All ways to pair twelve; of more that many are drawn."""
_SEED = 1935


def differ(first: Sequence[float], second: Sequence[float]) -> float:
    """The p of all being alike, from two measurements of each thing (N,), (N,).

    The share of ways to pair the 2 N measurements whose pairs are as close as those of one thing;
    with three things it is never below 1/15, with five 1/945.
    """
    values = [value for pair in zip(first, second, strict=True) for value in pair]
    own = _apart(values, range(len(values)))
    # A tie must count, whatever the order of additions.
    limit = own * (1 + 1e-9)
    found = [_apart(values, order) <= limit for order in islice(_orders(len(values)), _COUNTED)]
    return sum(found) / len(found)


def _apart(values: Sequence[float], order: Sequence[int]) -> float:
    pairs = zip(order[::2], order[1::2], strict=True)
    return sum((values[a] - values[b]) ** 2 for a, b in pairs)


def _orders(count: int) -> Iterator[Sequence[int]]:
    """Every way to pair so many things, their own first; or that one and any drawn."""
    if count <= 12:
        yield from _pairings(list(range(count)))
        return
    yield range(count)
    draw = np.random.default_rng(_SEED)
    while True:
        yield [int(place) for place in draw.permutation(count)]


def _pairings(left: list[int]) -> Iterator[list[int]]:
    if not left:
        yield []
        return
    first, *others = left
    for partner in others:
        rest = [one for one in others if one != partner]
        for pairing in _pairings(rest):
            yield [first, partner, *pairing]
