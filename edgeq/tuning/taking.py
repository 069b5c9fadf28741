"""Whether tuning goes on from a trial: what it wins, held against what it costs."""

from __future__ import annotations

from collections.abc import Collection

from edgeq.records.accuracy import Interval
from edgeq.records.trial import Trial, lost, slowed
from edgeq.spec.recipe import Recipe
from edgeq.tuning.search import Search


def take_if_better(search: Search, recipe: Recipe, trial: Trial, name: str) -> None:
    """Go on from a trial if it agrees better, and is worth its latency; say so either way."""
    before = search.compared
    assert before is not None
    cost = "" if _is_as_fast(before, trial) else f", {slowed(trial)}"
    if search.loss(trial) >= search.loss(before):
        text = f"{name}: {lost(trial)}{cost}, no better than {lost(before)}: not used."
        search.reasons.append(text)
        return
    won = search.trials.gained(before, trial).values()
    why = refused(before, trial, won, search.contract.latency)
    if why:
        change = gained(search, before, trial)
        search.reasons.append(f"{name}: {lost(trial)}{cost}{change}. {why}: not used.")
        return
    text = f"{name}: {lost(trial)}{cost}, instead of {lost(before)}{gained(search, before, trial)}."
    search.take(recipe, trial, text)


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
        return f"That is over the {limit:g} allowed"
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
    return after.latency == before.latency or after.latency.estimate <= before.latency.estimate
