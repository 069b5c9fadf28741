"""Detections to hits: COCO's greedy matching of one category, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.evaluator import IOU_THRESHOLDS, MAX_DETECTIONS, Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CategoryHits:
    """The detections of one category over I images, best score first (D of them).

    `image_index` (D,) points into the images, `scores` (D,) are descending, `hit` and `ignored`
    (10, D) say per IoU threshold that the detection matched an instance, or a crowd and does not
    count. `instances` (I,) are the annotated instances of each image, crowds left out.
    """

    image_index: NDArray[np.intp]
    scores: NDArray[np.float64]
    hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    instances: NDArray[np.int64]


def category_hits(cells: Sequence[Cell], ious: Sequence[NDArray[np.float64]]) -> CategoryHits:
    """The hits of one category from its cell and the overlaps (D, G) of each image."""
    per_image = [
        matched(iou, np.array([instance.crowd for instance in cell.instances], dtype=np.bool_))
        for cell, iou in zip(cells, ious, strict=True)
    ]
    # both sorts are stable, as COCO's: ties keep the order of the images and of the engine
    scores = [
        np.sort([-detection.score for detection in cell.detections], kind="stable")[:MAX_DETECTIONS]
        for cell in cells
    ]
    negated = np.concatenate(scores)
    order = np.argsort(negated, kind="stable")
    counts = [len(score) for score in scores]
    return CategoryHits(
        image_index=np.repeat(np.arange(len(cells)), counts)[order],
        scores=-negated[order],
        hit=np.concatenate([hit for hit, _ in per_image], axis=1)[:, order],
        ignored=np.concatenate([ignored for _, ignored in per_image], axis=1)[:, order],
        instances=np.array(
            [sum(not instance.crowd for instance in cell.instances) for cell in cells],
            dtype=np.int64,
        ),
    )


def matched(
    ious: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """COCO's greedy matching on one image and category: hit and ignored, each (10, D).

    `ious` (D, G) have the best score first, `crowd` (G,) marks the crowd regions. The evaluator
    keeps its own matching to itself, so it is repeated here on the evaluator's overlaps.
    Source: evaluateImg of the COCO API (cocoeval.py), area range 'all'.
    """
    hit = np.zeros((len(IOU_THRESHOLDS), len(ious)), np.bool_)
    ignored = np.zeros_like(hit)
    if not ious.size:
        return hit, ignored
    rows = np.arange(len(IOU_THRESHOLDS))
    least = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)[:, None]
    # of equal overlaps the last instance wins, so look from the end: argmax takes the first
    regular = ious[:, ~crowd][:, ::-1]
    free = np.ones((len(IOU_THRESHOLDS), regular.shape[1]), np.bool_)
    crowd_iou = ious[:, crowd].max(axis=1, initial=0.0)
    for index, overlap in enumerate(regular):
        if len(overlap):
            eligible = np.where(free & (overlap >= least), overlap, -1.0)
            best = eligible.argmax(axis=1)
            found = eligible[rows, best] >= 0
            hit[:, index] = found
            free[rows[found], best[found]] = False
        ignored[:, index] = ~hit[:, index] & (crowd_iou[index] >= least[:, 0])
    return hit, ignored
