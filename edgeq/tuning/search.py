"""The best recipe so far, within a budget."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from edgeq.records.trial import Trial, disagreement
from edgeq.records.tuning import TuningStage
from edgeq.spec.recipe import Recipe
from edgeq.tuning.contract import Contract, Judgement
from edgeq.tuning.processor import spent_s
from edgeq.tuning.trials import Trials


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
    stages: list[TuningStage] = field(default_factory=list)
    compared: Trial | None = None
    final: Trial | None = None

    def run(self, stage: str, name: str, recipe: Recipe) -> Trial:
        """A trial on the yardstick, if there is time."""
        self.need_time()
        return self.trials.run(stage, name, recipe)

    def need_time(self, likely_s: float = 0.0) -> None:
        """Raise when the budget is spent, or would be before a trial like the longest ends.

        `likely_s` is what is known to take longer.
        """
        longest = max((trial.seconds for trial in self.trials.done), default=0.0)
        if time.monotonic() + max(longest, likely_s) > self.deadline:
            raise OutOfTimeError

    def loss(self, trial: Trial) -> float:
        """What trials are ordered by: how far the worse of mask and box is from agreement."""
        return disagreement(trial)

    def take(self, recipe: Recipe, trial: Trial, reason: str) -> None:
        """Go on from this recipe."""
        self.best, self.compared, self.final = recipe, trial, None
        self.reasons.append(reason)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Keep what a stage comes to, and what it takes, however it ends."""
        before, started_s, cpu_s = len(self.trials.done), time.monotonic(), spent_s()
        try:
            yield
        finally:
            new = [trial for trial in self.trials.done[before:] if not trial.final]
            taken = any(trial is self.compared for trial in new)
            best = self.compared if taken else min(new, key=self.loss, default=None)
            self.stages.append(
                TuningStage(
                    name=name,
                    trials=len(new),
                    best=best,
                    taken=taken,
                    judged=self.final if taken else None,
                    seconds=round(time.monotonic() - started_s, 3),
                    cpu_s=round(spent_s() - cpu_s, 3),
                )
            )

    def is_met(self) -> bool:
        """Whether the best so far meets the contract, on the evaluation images if there are any."""
        if self.trials.final is not None and self.final is None:
            assert self.compared is not None
            self.final = self.trials.run("final", self.compared.name, self.best, final=True)
        return self.decided().met and self.contract.is_fast_enough(self.judged)

    @property
    def judged(self) -> Trial:
        """The best so far, on the evaluation images if it was tried there."""
        found = self.final or self.compared
        assert found is not None
        return found

    def decided(self) -> Judgement:
        """What the contract says of the best so far, from what was measured."""
        trial = self.judged
        drops = (None, None) if trial.own_labels else (trial.mask_ap_drop, trial.box_ap_drop)
        return self.contract.decided(*drops, trial.agreement)
