"""What was found as what, at the score from which an application keeps a detection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.evaluator import AT_50
from edgeq.evaluation.mistakes import FOREGROUND
from edgeq.evaluation.score import category_names
from edgeq.records.insight import Confused

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeq.evaluation.evaluator import Kind
    from edgeq.evaluation.judged import Judged
    from edgeq.evaluation.overlaps import Overlaps

_BACKGROUND = -1


def confusion(
    beside: Overlaps, judged: Judged, kind: Kind, threshold: float
) -> tuple[Confused, ...]:
    """How often each category was found as each, the most frequent first; never is left out.

    What is right at IoU .5 is right here too. What is left over on both sides is brought together
    across categories, the best score first, each with the instance that it overlaps most. Crowds,
    and what they excuse, do not count.
    """
    names = (*category_names(beside.categories), None)
    count = Counter(_pairs(beside, judged, kind, threshold))
    return tuple(
        Confused(annotated=names[annotated], found=names[found], count=times)
        for (annotated, found), times in sorted(count.items(), key=lambda one: (-one[1], one[0]))
    )


def _pairs(
    beside: Overlaps, judged: Judged, kind: Kind, threshold: float
) -> Iterator[tuple[int, int]]:
    """The categories annotated and found, of every instance and every detection once."""
    annotated, found = beside.annotated.category, beside.found.category
    for image in beside.images:
        is_kept = beside.found.scores[image.rows] >= threshold
        rows, instances = image.rows[is_kept], image.instances
        partner = judged.partner[AT_50, rows]
        for row, instance in zip(rows, partner, strict=True):
            if instance >= 0:
                yield int(annotated[instance]), int(found[row])
        left = (partner < 0) & ~judged.ignored[AT_50, rows]
        free = judged.counts[instances] & ~np.isin(instances, partner)
        iou = image.of(kind)[is_kept][left][:, free]
        rows, instances = rows[left], instances[free]
        taken = _taken(iou)
        for row, place in zip(rows, taken, strict=True):
            other = annotated[instances[place]] if place >= 0 else _BACKGROUND
            yield int(other), int(found[row])
        for place in set(range(len(instances))) - set(taken.tolist()):
            yield int(annotated[instances[place]]), _BACKGROUND


def _taken(iou: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which of the instances each detection takes (D,), -1 for none, one after the other."""
    taken = np.full(len(iou), -1, np.intp)
    free = iou.copy()
    for row in range(len(iou) if iou.size else 0):
        best = int(free[row].argmax())
        if free[row, best] >= FOREGROUND:
            taken[row] = best
            free[:, best] = 0.0
    return taken
