"""What the runs of one recipe on one board were like over time."""

from __future__ import annotations

import datetime
from typing import Literal

from edgeq.records.record import Record

HistoryUnit = Literal["ms", "bytes", "AP"]


class LevelChange(Record):
    """A run from which on a figure had another level, and what differs from the run before."""

    run: str
    created_at: datetime.datetime
    before: float
    """the median of the level before, as `after` of the new one"""
    after: float
    p: float
    differs: tuple[str, ...] = ()


class Series(Record):
    """One figure over the runs that have it, the oldest first."""

    metric: str
    unit: HistoryUnit
    runs: tuple[str, ...]
    values: tuple[float, ...]
    changes: tuple[LevelChange, ...]
    note: str = ""


class History(Record):
    """Each figure of a recipe on one device."""

    recipe: str
    target: str
    device: str
    emulated: bool
    runs: int
    series: tuple[Series, ...]
    notes: tuple[str, ...] = ()
