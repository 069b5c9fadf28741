"""What tuning came to."""

from __future__ import annotations

from edgeq.records.record import Record
from edgeq.records.trial import Trial


class Tuning(Record):
    """What tuning came to; `reasons` are the comments of the tuned recipe."""

    recipe: str
    target: str
    compared_on: str
    judged_on: str
    float_mask_ap: float | None
    float_box_ap: float | None
    largest_mask_drop: float
    largest_box_drop: float
    trials: tuple[Trial, ...]
    best: Trial
    met: bool
    resolved: bool
    ended: str
    reasons: tuple[str, ...]
    needed: tuple[str, ...]
    output: str
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if the contract is met, otherwise 1."""
        return 0 if self.met else 1
