"""What tuning came to."""

from __future__ import annotations

from typing import Literal

from edgeq.records.record import Record
from edgeq.records.trial import Trial


class TuningStage(Record):
    """What one stage came to: its best trial, and what it took on this machine.

    `best` is the trial that was `taken`, otherwise the one that agreed best; None where nothing was
    tried. `judged` is that on the evaluation images, if it was taken. `cpu_s` is processor time,
    children included, `seconds` that of a clock on the wall: both of this run, to which what was
    tried before costs nothing.
    """

    name: str
    trials: int
    best: Trial | None
    taken: bool
    judged: Trial | None
    seconds: float
    cpu_s: float


class Tuning(Record):
    """What tuning came to; `reasons` are the comments of the tuned recipe.

    `decided_by` says what told whether the contract is met: AP on labels where its intervals
    resolve that, otherwise agreement with the float model; `resolved`, whether the interval of what
    decided lies on one side of its limit. `images_needed` would have AP tell, None where it does or
    no number would. `largest_latency` is that of the contract, in units of the start's, None where
    there is no limit; `unmeasured` says why none was measured, if so.
    """

    recipe: str
    target: str
    compared_on: str
    judged_on: str
    float_mask_ap: float | None
    float_box_ap: float | None
    largest_mask_drop: float
    largest_box_drop: float
    least_agreement: float
    largest_latency: float | None = None
    unmeasured: str = ""
    stages: tuple[TuningStage, ...] = ()
    trials: tuple[Trial, ...]
    best: Trial
    met: bool
    resolved: bool
    decided_by: Literal["AP", "agreement"]
    images_needed: int | None = None
    ended: str
    reasons: tuple[str, ...]
    needed: tuple[str, ...]
    output: str
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if the contract is met, otherwise 1."""
        return 0 if self.met else 1
