"""What AP would gain if one kind of error were mended, and nothing else.

Source: Bolya et al. 2020 (arXiv 2008.08115), section 2.3. A category of which mending leaves no
instance keeps an AP of 0, so that the mean is over the same categories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.hits import CategoryHits
from edgeq.evaluation.mistakes import AT_50, Told
from edgeq.evaluation.precision import category_precisions
from edgeq.records.insight import MistakeKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeq.evaluation.judged import Judged
    from edgeq.evaluation.overlaps import Overlaps


def ap50_gain(beside: Overlaps, judged: Judged, told: Told, kind: MistakeKind) -> float:
    """AP at IoU .5 with one kind of error mended, minus AP as it is.

    An error of class or place becomes a hit where it is the best one of an instance that nothing
    hit; otherwise, and where nothing can make it right, it is left out. What is missed is not asked
    for any more. `told` are the errors of all detections.
    """
    hit = judged.partner[AT_50] >= 0
    kept = ~judged.ignored[AT_50]
    before = _ap50(beside, hit, kept, beside.found.category, judged.counts)
    category, counts = beside.found.category, judged.counts
    if kind == "missed":
        counts = counts & ~told.missed
    else:
        of_kind = told.of(kind)
        mended = of_kind & told.mends
        hit, kept = hit | mended, kept & (~of_kind | mended)
        category = category.copy()
        category[mended] = beside.annotated.category[told.instance[mended]]
    after = _ap50(beside, hit, kept, category, counts)
    annotated = ~np.isnan(before)
    if not annotated.any():
        return 0.0
    gain = (np.nan_to_num(after) - np.nan_to_num(before))[annotated].mean()
    # Where the curve is read at other points, it may seem to lose.
    return max(0.0, float(gain))


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
