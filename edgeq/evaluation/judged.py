"""Overlaps to hits: COCO's matching at ten thresholds, of everything or of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.evaluator import IOU_THRESHOLDS, Kind
from edgeq.evaluation.hits import CategoryHits, partnered
from edgeq.records.insight import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgeq.evaluation.overlaps import Overlaps

SIZES: dict[Size, tuple[float, float]] = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""COCO's, in square pixels; both ends belong to a size."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What became of each detection at each IoU threshold, and what counts as annotated.

    `partner` (10, N) is the instance that it hit, -1 for none; what is `ignored` (10, N) counts
    neither as right nor as wrong. `counts` (M,) says of an instance that it is no crowd, and of the
    size that was asked for.
    """

    partner: NDArray[np.intp]
    ignored: NDArray[np.bool_]
    counts: NDArray[np.bool_]


def judge_hits(
    beside: Overlaps,
    kind: Kind,
    size: Size | None = None,
    ious: Sequence[NDArray[np.float64]] | None = None,
) -> Judged:
    """Every detection matched within its category, as COCO's evaluator does.

    `ious` (D, G) of each image are the overlaps of that kind by default.
    Source: evaluateImg of the COCO API (cocoeval.py).
    """
    annotated, found = beside.annotated, beside.found
    outside = _outside(annotated.area, size)
    shape = (len(IOU_THRESHOLDS), len(found.scores))
    partner, ignored = np.full(shape, -1, np.intp), np.zeros(shape, np.bool_)
    for index, image in enumerate(beside.images):
        iou = image.of(kind) if ious is None else ious[index]
        left, right = found.category[image.rows], annotated.category[image.instances]
        for category in np.intersect1d(left, right):
            at, of = np.flatnonzero(left == category), np.flatnonzero(right == category)
            rows, instances = image.rows[at], image.instances[of]
            hit, ignored[:, rows] = partnered(
                iou[np.ix_(at, of)], annotated.crowd[instances], outside[instances]
            )
            partner[:, rows] = np.where(hit >= 0, instances[hit], -1)
    ignored |= (partner < 0) & _outside(found.area(kind), size)
    return Judged(partner, ignored, ~annotated.crowd & ~outside)


def category_hits_of(beside: Overlaps, judged: Judged) -> tuple[CategoryHits, ...]:
    """What was judged, category by category; what never counts is left out."""
    annotated, found = beside.annotated, beside.found
    images = len(beside.images)
    matters = ~judged.ignored.all(axis=0)
    hits = []
    for category in range(len(beside.categories)):
        rows = np.flatnonzero((found.category == category) & matters)
        there = annotated.image[judged.counts & (annotated.category == category)]
        hits.append(
            CategoryHits(
                image_index=found.image[rows],
                scores=found.scores[rows],
                hit=judged.partner[:, rows] >= 0,
                ignored=judged.ignored[:, rows],
                instances=np.bincount(there, minlength=images).astype(np.int64),
            )
        )
    return tuple(hits)


def size_of(area: float) -> Size:
    """The size of so many square pixels; of two, the smaller."""
    return next((name for name, (_, most) in SIZES.items() if area <= most), "large")


def _outside(area: NDArray[np.float64], size: Size | None) -> NDArray[np.bool_]:
    if size is None:
        return np.zeros(area.shape, np.bool_)
    least, most = SIZES[size]
    return (area < least) | (area > most)
