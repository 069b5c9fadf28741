"""Precision, recall and F1 over the score from which an application keeps a detection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.evaluator import AT_50
from edgeq.records.insight import AtScore, ScoreCurve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeq.evaluation.judged import Judged
    from edgeq.evaluation.overlaps import Overlaps

_POINTS = np.linspace(0.0, 1.0, 101)


class _Tally:
    """Right and wrong detections by score, and how many instances there are."""

    def __init__(self, beside: Overlaps, judged: Judged) -> None:
        counted = ~judged.ignored[AT_50]
        self._ascending = beside.found.scores[counted][::-1]
        self._right = np.cumsum(judged.partner[AT_50, counted] >= 0)
        self._instances = int(judged.counts.sum())

    def at(self, threshold: float) -> AtScore:
        """What is kept from a score on; the counts of `deployed`, of all categories together."""
        kept = len(self._ascending) - int(np.searchsorted(self._ascending, threshold))
        right = int(self._right[kept - 1]) if kept else 0
        either = kept + self._instances
        return AtScore(
            threshold=threshold,
            precision=right / kept if kept else None,
            recall=right / self._instances if self._instances else None,
            f1=2 * right / either if either else None,
        )

    def best(self) -> float | None:
        """The score with the highest F1, of equal ones the highest; None if nothing is right."""
        if not len(self._right) or not self._right[-1]:
            return None
        descending = self._ascending[::-1]
        kept = np.arange(1, len(descending) + 1)
        f1: NDArray[np.float64] = 2 * self._right / (kept + self._instances)
        # A threshold keeps all that have its score.
        f1[:-1][descending[:-1] == descending[1:]] = 0.0
        return float(descending[f1.argmax()])


def score_curve(beside: Overlaps, judged: Judged, threshold: float) -> ScoreCurve:
    """F1 of all categories at IoU .5 for thresholds from 0 to 1, the best one and the deployed."""
    tally = _Tally(beside, judged)
    best = tally.best()
    return ScoreCurve(
        points=tuple(tally.at(float(point)) for point in _POINTS),
        best=None if best is None else tally.at(best),
        deployed=tally.at(threshold),
    )


def best_threshold(beside: Overlaps, judged: Judged) -> float | None:
    """From where on the highest F1 is reached, None where nothing found is right.

    Halfway to the next lower score: on a score itself the one side would keep a detection that the
    other side gives a thousandth less, and has to lose.
    """
    best = _Tally(beside, judged).best()
    if best is None:
        return None
    below = beside.found.scores[beside.found.scores < best]
    return (best + float(below.max(initial=0.0))) / 2
