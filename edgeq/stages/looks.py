"""Looks: both sides take turns, and once more where something is worse or seems to differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from edgeq.records.comparison import Compared, MetricName
from edgeq.stages.compared import Difference, judged, settled, unsettled

T = TypeVar("T")


@dataclass(frozen=True)
class Seen(Generic[T]):
    """What one look or two came to: all loads, a verdict for each metric, what was seen twice."""

    loads: tuple[T, ...]
    metrics: tuple[Compared, ...]
    again: tuple[MetricName, ...]


@dataclass(frozen=True)
class Grounds(Generic[T]):
    """What loads are judged by, beside what is known without any: `others` (AP, size).

    `observed` counts what narrows an interval. `meaningless` says of metrics why they are not
    judged, by what loads met.
    """

    costs: Callable[[Sequence[T]], Sequence[Difference]]
    others: Sequence[Difference]
    observed: Mapping[str, int]
    meaningless: Callable[[Sequence[T]], Mapping[MetricName, str]]

    def verdicts(self, loads: Sequence[T]) -> tuple[Compared, ...]:
        """Of each metric, how B stands to A as all these loads have it."""
        costs = self.costs(loads)
        counts = {**self.observed, **{one.grows_with: len(loads) for one in costs}}
        return judged([*costs, *self.others], counts, self.meaningless(loads))


def look(turns: Callable[[int], Sequence[T]], grounds: Grounds[T]) -> Seen[T]:
    """The verdicts of one look, or of two where the first one leaves a cost open.

    `turns` is called with the number of the look, 0 and perhaps 1, and gives its loads. Why twice:
    docs/decisions/0011-a-second-look.md.
    """
    loads = tuple(turns(0))
    found = grounds.verdicts(loads)
    again = unsettled(found, grounds.meaningless(loads))
    if again:
        more = tuple(turns(1))
        loads = (*loads, *more)
        both, meaningless = grounds.verdicts(loads), grounds.meaningless(loads)
        found = settled(found, grounds.costs(more), both, meaningless)
    return Seen(loads, found, tuple(again))
