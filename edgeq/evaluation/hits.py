"""Detections to hits: COCO's greedy matching of one category, image by image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.evaluator import IOU_THRESHOLDS, MAX_DETECTIONS, Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEAST = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)[:, None]


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
    """Whether a detection of one image and category found an instance: hit, ignored (10, D)."""
    partner, ignored = partnered(ious, crowd, np.zeros_like(crowd))
    return partner >= 0, ignored


def partnered(
    ious: NDArray[np.float64], crowd: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """COCO's greedy matching on one image and category: whose instance, and ignored, (10, D).

    `ious` (D, G) have the best score first, `crowd` (G,) marks the crowd regions, `outside` (G,)
    instances of another size: what finds one of these is ignored. The instance is -1 where there is
    none. The evaluator keeps its own matching to itself, so it is repeated here on its overlaps.
    Source: evaluateImg of the COCO API (cocoeval.py).
    """
    partner = np.full((len(IOU_THRESHOLDS), len(ious)), -1, np.intp)
    ignored = np.zeros(partner.shape, np.bool_)
    # of equal overlaps the last instance wins, so look from the end: argmax takes the first
    aside = crowd | outside
    regular, others = np.flatnonzero(~aside)[::-1], np.flatnonzero(aside)[::-1]
    free = np.ones((len(IOU_THRESHOLDS), len(regular)), np.bool_)
    left = np.ones((len(IOU_THRESHOLDS), len(others)), np.bool_)
    # a crowd is found as often as one likes
    is_used_up = ~crowd[others]
    for index in np.flatnonzero(ious.max(axis=1, initial=0.0) >= IOU_THRESHOLDS[0]):
        if len(regular):
            best, found = _best(ious[index, regular], free)
            partner[found, index] = regular[best[found]]
            free[found, best[found]] = False
        if len(others):
            best, found = _best(ious[index, others], left)
            found &= partner[:, index] < 0
            ignored[:, index] = found
            found &= is_used_up[best]
            left[found, best[found]] = False
    return partner, ignored


def _best(
    overlap: NDArray[np.float64], free: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Of the free instances (10, G), which one overlaps (G,) most, and whether enough."""
    eligible = np.where(free & (overlap >= _LEAST), overlap, -1.0)
    best = eligible.argmax(axis=1)
    return best, eligible[np.arange(len(free)), best] >= 0
