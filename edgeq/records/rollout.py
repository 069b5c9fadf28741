"""What a strategy means for a fleet: who goes when, and what it can find."""

from __future__ import annotations

from edgeq.records.record import Record


class Wave(Record):
    """Devices that go together, by name; `boards` counts those of the waves before too."""

    name: str
    devices: tuple[str, ...]
    boards: int


class Odds(Record):
    """How a release that spoils this share of the devices fares."""

    bad_share: float
    seen_by_canary: float
    """the probability that the canary has one of them at least"""
    stopped_by: tuple[float, ...]
    """the probability that it is stopped before each wave's end, or at it"""
    median_boards: int | None
    """how many boards have the release when it stops, at the median; None: more than half go on"""


class RolloutPlan(Record):
    """A strategy on a fleet; nothing was touched."""

    fleet: str
    waves: tuple[Wave, ...]
    odds: tuple[Odds, ...]
    tolerated: float
    false_stops: float
    """the probability of a stop where the tolerated share is bad"""
