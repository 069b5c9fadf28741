"""Compared: a verdict for every metric of two artifacts, all held against chance at once."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from edgeq.cost.turns import COSTS, change, typical
from edgeq.evaluation import bootstrap
from edgeq.evaluation.matches import Matches
from edgeq.evaluation.score import accuracy
from edgeq.records.comparison import Change, Compared, Comparison, MetricName
from edgeq.records.turns import Turns
from edgeq.significance.many import holm
from edgeq.significance.outcome import Outcome, more_data, outcome
from edgeq.significance.ratios import Estimate
from edgeq.spec.recipe import Compare

CONFIDENCE = 0.99
LEVEL = 1 - CONFIDENCE
_AGAIN = 0.05
_MOST_TIMES = 100
"""Nobody measures longer than that, to tell what is so near the limit."""
Unit = Literal["ms", "bytes", "mJ", "AP"]


@dataclass(frozen=True)
class Difference:
    """One metric of both sides, not judged yet; `loss` is above 0 where B is the worse one."""

    metric: MetricName
    unit: Unit
    a: float
    b: float
    loss: Estimate
    limit: float
    grows_with: str
    """what narrows its interval"""
    is_lower_worse: bool = False
    is_exact: bool = False
    """whether chance has no part in it"""

    @property
    def change(self) -> Change:
        """B against A, whichever direction is worse."""
        mean, low, high, p = self.loss
        ends = (-mean, -high, -low) if self.is_lower_worse else (mean, low, high)
        return Change(estimate=ends[0], low=ends[1], high=ends[2], confidence=CONFIDENCE, p=p)


def cost_differences(loads: Sequence[Turns], options: Compare) -> list[Difference]:
    """Time, memory and energy, as far as every load has them."""
    seconds = options.duration_s / options.reloads
    found = []
    for name, cost in COSTS.items():
        loss = change(loads, cost.figures, CONFIDENCE)
        if loss is not None:
            a, b = (value * cost.factor for value in typical(loads, cost.figures))
            limit, each = getattr(options, cost.limit), f"loads of {seconds:g} s"
            found.append(Difference(name, cost.unit, a, b, loss, limit, each))
    return found


def size_difference(a_bytes: int, b_bytes: int, options: Compare) -> Difference:
    """The files of both, which are what they are."""
    by = b_bytes / a_bytes - 1
    exact = Estimate(by, by, by, 0.0 if by else 1.0)
    limit = options.larger_by
    return Difference("size", "bytes", a_bytes, b_bytes, exact, limit, "", is_exact=True)


def accuracy_differences(a: Matches, b: Matches, options: Compare) -> list[Difference]:
    """Mask and box AP, paired image by image; none of a kind that nothing is annotated for."""
    found = []
    kinds: tuple[tuple[Literal["mask", "box"], MetricName], ...] = (
        ("mask", "mask AP"),
        ("box", "box AP"),
    )
    scores = accuracy(a), accuracy(b)
    for kind, name in kinds:
        loss = bootstrap.loss(a, b, kind, CONFIDENCE)
        ap_a, ap_b = (getattr(score, kind).ap for score in scores)
        if loss is not None and ap_a is not None and ap_b is not None:
            limit = options.ap_lower_by
            # Nothing that so few images say is surer than that all of them say so.
            loss = loss._replace(p=max(loss.p, min(1.0, 2.0 ** (1 - len(a.image_ids)))))
            found.append(Difference(name, "AP", ap_a, ap_b, loss, limit, "images", True))
    return found


def judged(
    differences: Sequence[Difference],
    observations: Mapping[str, int],
    meaningless: Mapping[MetricName, str],
) -> tuple[Compared, ...]:
    """A verdict for each; p is Holm's, as every metric that chance has a part in may be wrong.

    `observations` counts what narrows an interval, by `grows_with`. What is `meaningless` is not
    judged, for the reason that stands there.
    """
    uncertain = [one for one in differences if not one.is_exact]
    ps = holm([one.loss.p for one in uncertain])
    adjusted = {one.metric: p for one, p in zip(uncertain, ps, strict=True)}
    return tuple(
        _judged(
            one,
            adjusted.get(one.metric, one.loss.p),
            observations.get(one.grows_with, 0),
            meaningless.get(one.metric, ""),
        )
        for one in differences
    )


def _judged(one: Difference, p: float, count: int, meaningless: str) -> Compared:
    loss = one.loss._replace(p=p)
    found: Outcome = "cannot tell" if meaningless else outcome(loss, one.limit, LEVEL)
    reason = meaningless
    if found == "cannot tell" and not meaningless:
        reason = _remedy(one, loss, count)
    return Compared(
        metric=one.metric,
        unit=one.unit,
        a=one.a,
        b=one.b,
        change=one.change,
        limit=one.limit,
        outcome=found,
        reason=reason,
    )


def _remedy(one: Difference, loss: Estimate, count: int) -> str:
    times = max(more_data(loss, one.limit), 1.0)
    if not one.grows_with or times > _MOST_TIMES:
        return "it is too near the limit, or its interval too wide, to be told with more data"
    # What is resolved alone may not be so beside the other metrics.
    needed = max(math.ceil(count * times), count + 1)
    return f"about {needed} {one.grows_with} would tell, there are {count}"


def unsettled(
    found: Iterable[Compared], meaningless: Collection[MetricName] = ()
) -> list[MetricName]:
    """What is measured once more: costs that are worse, or may differ by more than the limit.

    A cost is what is measured, other than counted.
    """
    return [
        one.metric
        for one in found
        if one.metric in COSTS
        and one.metric not in meaningless
        and (one.outcome == "worse" or (one.outcome == "cannot tell" and _exceeds(one)))
    ]


def _exceeds(one: Compared) -> bool:
    return one.change is not None and abs(one.change.estimate) > one.limit


def settled(
    first: Iterable[Compared],
    again: Iterable[Difference],
    both: Iterable[Compared],
    meaningless: Collection[MetricName] = (),
) -> tuple[Compared, ...]:
    """The first judgement, and that of `both` measurements of what was unsettled in it.

    Worse or better is what both are together, and the one made `again` by itself: by more than the
    limit, and unlikely by chance. That is one test of what is expected now, so that nothing is
    adjusted. What is `meaningless` by now is what `both` have it as: not judged.
    """
    first = tuple(first)
    second = {one.metric: one for one in again}
    pooled = {one.metric: one for one in both}
    open_ones = unsettled(first, meaningless)
    found = []
    for one in first:
        known = pooled.get(one.metric, one)
        if one.metric in meaningless:
            found.append(known)
        elif one.metric in open_ones:
            found.append(_settled(one, second.get(one.metric), known))
        else:
            found.append(one)
    return tuple(found)


def _settled(first: Compared, again: Difference | None, both: Compared) -> Compared:
    if again is None:
        if first.outcome != "worse":
            return first
        reason = "was worse, and could not be measured again"
        return first.model_copy(update={"outcome": "cannot tell", "reason": reason})
    if both.outcome in ("same", "cannot tell") and first.outcome != "worse":
        return both
    side = -1 if both.outcome == "better" else 1
    is_so_again = side * again.loss.mean > again.limit and again.loss.p <= _AGAIN
    if is_so_again and both.outcome in ("worse", "better"):
        return both
    assert first.change is not None
    words = f"{first.change.estimate:+.1%} at first, {again.change.estimate:+.1%} again"
    told = first.outcome if first.outcome == "worse" else both.outcome
    reason = f"was {told}, and is not when measured again ({words}); compare for longer"
    return both.model_copy(update={"outcome": "cannot tell", "reason": reason})


def across(boards: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of several boards, each of their measurements one more chance to be wrong.

    What is worse or better on its board and not at Holm's p over all of them cannot be told. AP
    is as it was: its chance lies in the images, which are the same on every board.
    """
    ps = {
        (board, place): one.change.p
        for board, found in enumerate(boards)
        for place, one in enumerate(found.metrics)
        if one.metric in COSTS and one.change is not None and one.change.p is not None
    }
    adjusted = dict(zip(ps, holm(list(ps.values())), strict=True))
    reason = f"is not told from chance in comparisons of {len(boards)} boards; compare for longer"
    return [
        found.model_copy(
            update={
                "metrics": tuple(
                    one.model_copy(update={"outcome": "cannot tell", "reason": reason})
                    if one.outcome in ("worse", "better")
                    and adjusted.get((board, place), 0.0) > LEVEL
                    else one
                    for place, one in enumerate(found.metrics)
                )
            }
        )
        for board, found in enumerate(boards)
    ]
