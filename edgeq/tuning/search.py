"""The best recipe so far, within a budget."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeq.records.trial import Trial
from edgeq.spec.recipe import Recipe
from edgeq.tuning.contract import Contract
from edgeq.tuning.trials import Trials

_LEAST_LIMIT = 1e-4
"""For comparing, where nothing at all may be lost."""


class OutOfTimeError(Exception):
    """The budget does not reach for another trial."""


@dataclass
class Search:
    """The best recipe so far, and how it was found."""

    trials: Trials
    contract: Contract
    deadline: float
    best: Recipe
    costs_ms: Mapping[str, float]
    """what a layer costs in float on the device, where one was profiled"""
    reasons: list[str] = field(default_factory=list)
    compared: Trial | None = None
    final: Trial | None = None

    def run(self, stage: str, name: str, recipe: Recipe) -> Trial:
        """A trial on the yardstick, if there is time."""
        self.need_time()
        return self.trials.run(stage, name, recipe)

    def need_time(self) -> None:
        """Raise when the budget is spent, or would be before a trial like the longest ends."""
        longest = max((trial.seconds for trial in self.trials.done), default=0.0)
        if time.monotonic() + longest > self.deadline:
            raise OutOfTimeError

    def loss(self, trial: Trial) -> float:
        """What trials are ordered by: the worse of mask and box drop, in units of its limit."""
        drops = (trial.mask_ap_drop, self.contract.mask), (trial.box_ap_drop, self.contract.box)
        ratios = [drop.estimate / max(limit, _LEAST_LIMIT) for drop, limit in drops if drop]
        return max(ratios, default=0.0)

    def take(self, recipe: Recipe, trial: Trial, reason: str) -> None:
        """Go on from this recipe."""
        self.best, self.compared, self.final = recipe, trial, None
        self.reasons.append(reason)

    def is_met(self) -> bool:
        """Whether the best so far meets the contract, on the evaluation images if there are any."""
        assert self.compared is not None
        judged = self.compared
        if self.trials.final is not None:
            if self.final is None:
                self.final = self.trials.run("final", self.compared.name, self.best, final=True)
            judged = self.final
        return self.contract.is_met(judged.mask_ap_drop, judged.box_ap_drop)
