"""What each step of a roll-out took, from its events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from edgeq.records.rollout import WORKING
from edgeq.report.html.numbers import Numbers

if TYPE_CHECKING:
    from edgeq.records.rollout import RolloutEvent

_TIMED = (*WORKING, "soaking")


def steps_taken(events: Sequence[RolloutEvent]) -> Numbers:
    """How long devices were in each state in which something is done to them."""
    taken: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for state, seconds, device in _stays(events):
        taken[state].append((seconds, device))
    rows = []
    for state in _TIMED:
        stays = sorted(taken[state])
        if stays:
            middle = median(seconds for seconds, _ in stays)
            rows.append((state, len(stays), middle, stays[-1][0], stays[-1][1]))
    return Numbers(("step", "times", "median, s", "longest, s", "longest on"), tuple(rows))


def _stays(events: Sequence[RolloutEvent]) -> Iterator[tuple[str, float, str]]:
    before: dict[str, RolloutEvent] = {}
    for event in sorted(events, key=lambda one: one.at):
        if event.device is None:
            continue
        earlier = before.get(event.device)
        if earlier is not None and earlier.state in _TIMED:
            yield earlier.state, (event.at - earlier.at).total_seconds(), event.device
        before[event.device] = event
