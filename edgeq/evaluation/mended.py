"""What AP would gain if one kind of error were mended, and nothing else.

Source: Bolya et al. 2020 (arXiv 2008.08115), section 2.3. A category of which mending leaves no
instance keeps an AP of 0, so that the mean is over the same categories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.evaluator import AT_50
from edgeq.evaluation.hits import CategoryHits
from edgeq.evaluation.mistakes import MISTAKE_KINDS, Told
from edgeq.evaluation.precision import category_precisions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeq.evaluation.judged import Judged
    from edgeq.evaluation.overlaps import Overlaps


def ap50_gains(beside: Overlaps, judged: Judged, told: Told) -> tuple[float, ...]:
    """AP at IoU .5 with one kind of error mended, minus AP as it is, of each of `MISTAKE_KINDS`.

    An error of class or place becomes a hit where it is the best one of an instance that nothing
    hit; otherwise, and where nothing can make it right, it is left out. What is missed is not asked
    for any more. `told` are the errors of all detections.
    """
    hit, kept = judged.partner[AT_50] >= 0, ~judged.ignored[AT_50]
    before = _ap50(beside, hit, kept, beside.found.category, judged.counts)
    annotated = ~np.isnan(before)
    if not annotated.any():
        return (0.0,) * len(MISTAKE_KINDS)
    gains = []
    for kind in MISTAKE_KINDS:
        category, counts = beside.found.category.copy(), judged.counts
        wrong, mended = told.of(kind), told.of(kind) & told.mends
        category[mended] = beside.annotated.category[told.instance[mended]]
        if kind == "missed":
            counts = counts & ~told.missed
        after = _ap50(beside, hit | mended, kept & (~wrong | mended), category, counts)
        gain = float((np.nan_to_num(after) - before)[annotated].mean())
        # Where the curve is read at other points, it may seem to lose.
        gains.append(max(0.0, gain))
    return tuple(gains)


def _ap50(
    beside: Overlaps,
    hit: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    category: NDArray[np.intp],
    counts: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """AP at IoU .5 of each category (K,), NaN where nothing is annotated."""
    hits = []
    for index in range(len(beside.categories)):
        rows = np.flatnonzero(kept & (category == index))
        instances = np.array([(counts & (beside.annotated.category == index)).sum()], np.int64)
        hits.append(
            CategoryHits(
                image_index=np.zeros(len(rows), np.intp),
                scores=beside.found.scores[rows],
                hit=hit[None, rows],
                ignored=np.zeros((1, len(rows)), np.bool_),
                instances=instances,
            )
        )
    return np.asarray(category_precisions(hits, np.ones((1, 1), np.int64))[0])
