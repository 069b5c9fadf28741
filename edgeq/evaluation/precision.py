"""AP of resamples of the images, category by category.

Source: `accumulate` of the COCO API (cocoeval.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.evaluator import RECALL_THRESHOLDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgeq.evaluation.hits import CategoryHits

_CHUNK_ELEMENTS = 4_000_000
"""Detections times resamples held at once: 16 MB an array"""


def category_precisions(
    hits: Sequence[CategoryHits], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """AP of each category in each resample (R, K), NaN where one has no instance of it.

    `weights` (R, I) says how often each image is in each resample; as many IoU thresholds as the
    hits have are averaged over.
    """
    found = np.full((len(weights), len(hits)), np.nan)
    counts = weights.astype(np.int32)
    for index, of_category in enumerate(hits):
        if of_category.instances.any():
            instances = weights @ of_category.instances
            annotated = instances > 0
            precision = _precision(of_category, counts, np.maximum(instances, 1))
            found[annotated, index] = precision[annotated]
    return found


def averaged(precisions: NDArray[np.float64]) -> NDArray[np.float64]:
    """AP over the annotated categories of each resample (R,), from that of each (R, K)."""
    annotated = ~np.isnan(precisions)
    count = annotated.sum(axis=1)
    total = np.where(annotated, precisions, 0.0).sum(axis=1)
    found = np.full(len(total), np.nan)
    np.divide(total, count, out=found, where=count > 0)
    return found


def _precision(
    hits: CategoryHits, weights: NDArray[np.int32], instances: NDArray[np.int64]
) -> NDArray[np.float64]:
    """AP of one category in each resample (R,), of which each has `instances` (R,), if not 0."""
    summed = np.zeros(len(weights))
    # What comes after the last hit changes nothing.
    last = int(np.flatnonzero(hits.hit.any(axis=0)).max(initial=-1)) + 1
    step = max(1, _CHUNK_ELEMENTS // max(1, last))
    for start in range(0, len(weights) if last else 0, step):
        chunk = slice(start, start + step)
        weight = weights[chunk][:, hits.image_index[:last]]
        before = np.cumsum(weight, axis=1, dtype=np.int32)
        for hit, ignored in zip(hits.hit[:, :last], hits.ignored[:, :last], strict=True):
            rows, passed_over = np.flatnonzero(hit), np.flatnonzero(ignored)
            seen = before[:, rows]
            if len(passed_over):
                gone = np.cumsum(weight[:, passed_over], axis=1, dtype=np.int32)
                gone = np.concatenate([np.zeros_like(gone[:, :1]), gone], axis=1)
                seen = seen - gone[:, np.searchsorted(passed_over, rows)]
            summed[chunk] += _interpolated(weight[:, rows], seen, instances[chunk, None])
    return summed / (len(hits.hit) * len(RECALL_THRESHOLDS))


def _interpolated(
    weight: NDArray[np.int32], seen: NDArray[np.int32], instances: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The interpolated precision summed over the recall thresholds, of each resample (R,).

    `weight` and `seen` (R, H) are those of the hits only: precision peaks at a hit and recall
    moves nowhere else, so the misses between them need no point of their own.
    """
    if not weight.shape[1]:
        return np.zeros(len(weight))
    true_positives = np.cumsum(weight, axis=1)
    precision = true_positives / (seen + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALL_THRESHOLDS, true_positives / instances, side="right")
    newly_reached = np.diff(reached, axis=1, prepend=0)
    return np.asarray((envelope * newly_reached).sum(axis=1))
