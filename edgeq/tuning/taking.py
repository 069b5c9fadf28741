"""Whether tuning goes on from a trial: what it wins, held against what it costs."""

from __future__ import annotations

from collections.abc import Collection

from edgeq.records.accuracy import Interval
from edgeq.records.trial import Trial, lost, slowed
from edgeq.spec.recipe import Recipe
from edgeq.tuning.search import Search


def take_if_better(search: Search, recipe: Recipe, trial: Trial, name: str) -> None:
    """Go on from a trial if it agrees better, and is worth its latency; say so either way.

    One that is faster has to agree no worse, as far as can be told.
    """
    before = search.compared
    assert before is not None
    won = search.trials.gained(before, trial).values()
    is_same = before.latency is not None and before.latency == trial.latency
    said = f"{name}: {lost(trial)}{'' if is_same else f', {slowed(trial)}'}"
    change = gained(search, before, trial)
    if search.loss(trial) >= search.loss(before):
        if not is_faster(before, trial, won):
            search.reasons.append(f"{said}, no better than {lost(before)}: not used.")
            return
        why = "Faster for sure, and no worse, as far as can be told"
        search.take(recipe, trial, f"{said}, after {lost(before)}{change}. {why}.")
        return
    why = refused(before, trial, won, search.contract.latency)
    if why:
        search.reasons.append(f"{said}{change}. {why}: not used.")
        return
    search.take(recipe, trial, f"{said}, instead of {lost(before)}{change}.")


def is_faster(before: Trial, after: Trial, won: Collection[Interval]) -> bool:
    """Whether a step wins latency for sure, and loses no agreement for sure.

    `won` is agreement, paired.
    """
    if before.latency is None or after.latency is None or not won:
        return False
    is_sure = after.latency.high < before.latency.estimate
    return is_sure and all(one.high >= 0 for one in won)


def refused(
    before: Trial, after: Trial, won: Collection[Interval], limit: float | None = None
) -> str:
    """Why a step costs too much for what it wins, in words; empty where it does not.

    `won` is agreement, paired; `limit` the largest latency, in units of the start's.
    """
    if _is_as_fast(before, after):
        return ""
    if after.latency is None:
        return "" if limit is None else "Whether that is within the latency allowed is not known"
    if limit is not None and after.latency.estimate > limit:
        doubt = ", though not for sure" if after.latency.low <= limit else ""
        return f"That is over the {limit:g} allowed{doubt}"
    base = before.latency.estimate if before.latency else 1.0
    if after.latency.low > base and not any(one.low > 0 for one in won):
        return "It is slower for sure, and better only by chance, as far as can be told"
    return ""


def gained(search: Search, before: Trial, after: Trial) -> str:
    """How much better the one agrees than the other, with intervals, in words."""
    found = search.trials.gained(before, after).items()
    words = [f"{kind} {i.estimate:+.4f} [{i.low:+.4f}, {i.high:+.4f}]" for kind, i in found]
    return f"; agreement, paired: {', '.join(words)}" if words else ""


def _is_as_fast(before: Trial, after: Trial) -> bool:
    """Whether a step is known to cost no latency."""
    if before.latency is None or after.latency is None:
        return False
    return after.latency.estimate <= before.latency.estimate
