"""How much of what one engine finds another one finds too, with practically the same mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeq.records.accuracy import ImagePrediction

SAME_IOU = 0.95
LEAST_SCORE = 0.25
"""Below it detections are mostly none, and come and go."""


def changed(first: Sequence[ImagePrediction], second: Sequence[ImagePrediction]) -> float | None:
    """The share of detections of one that the other lacks: none of that class and SAME_IOU.

    Both ways, of images with the same ids; a partner may have any score. None where neither side
    has a detection of LEAST_SCORE.
    """
    others = {image.id: image for image in second}
    asked = missed = 0
    for one in first:
        for here, there in ((one, others[one.id]), (others[one.id], one)):
            has = _has(here, there)
            asked += len(has)
            missed += has.count(False)
    return missed / asked if asked else None


def _has(here: ImagePrediction, there: ImagePrediction) -> list[bool]:
    """Of each detection here that counts, whether there is the same there."""
    from faster_coco_eval import mask as masks

    rows = [row for row, score in enumerate(here.scores) if score >= LEAST_SCORE]
    if not rows or not there.masks:
        return [False] * len(rows)
    overlap = masks.iou(
        [_runs(here, row) for row in rows],
        [_runs(there, row) for row in range(len(there.masks))],
        [0] * len(there.masks),
    )
    is_same = np.array(here.labels)[rows, np.newaxis] == np.array(there.labels)
    return [bool(found) for found in ((overlap >= SAME_IOU) & is_same).any(axis=1)]


def _runs(image: ImagePrediction, row: int) -> dict[str, Any]:
    mask = image.masks[row]
    return {"size": list(mask.size), "counts": mask.counts}
