"""What the calibration images showed, and what they did not."""

from __future__ import annotations

from edgeq.records.record import Record


class OutsideRange(Record):
    """An activation of the plan: the share of its values that its range does not hold.

    `low` and `high` are the ends of the range, `lowest` and `highest` the values that were seen.
    """

    tensor: str
    share: float
    low: float
    high: float
    lowest: float
    highest: float


class Unresolved(Record):
    """A percentile that too few values of a tensor tell from their maximum."""

    tensor: str
    calibrator: str
    percentile: float
    values: int
    needed: int


class CalibrationSeen(Record):
    """How many images gave the ranges, and how far these hold elsewhere.

    `passed_over` says in words what of the folder was not used. `duplicates` are groups of files
    with one content. `outside` has every quantized activation with a value outside, the worst
    first, of a float pass over `evaluated` evaluation images; `tensors` of them were looked at.
    """

    images: int
    passed_over: tuple[str, ...] = ()
    duplicates: tuple[tuple[str, ...], ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    evaluated: int = 0
    tensors: int = 0
    outside: tuple[OutsideRange, ...] = ()
