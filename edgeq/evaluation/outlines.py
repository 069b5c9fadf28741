"""Boundary AP and its loss, and how well the outlines fit of what is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgeq.evaluation.evaluator import AT_50
from edgeq.evaluation.judged import Judged, category_hits_of, judge_hits
from edgeq.evaluation.overlaps import Overlaps
from edgeq.evaluation.portions import Values, Weights, drop_between, known
from edgeq.evaluation.precision import averaged, category_precisions
from edgeq.records.insight import Outlines


def sampled_outlines(
    beside: Overlaps, lesser: Sequence[NDArray[np.float64]], weights: Weights
) -> tuple[Values, float]:
    """Boundary AP (1 + R,), and that at IoU .5; of `boundary_overlaps`."""
    hits = category_hits_of(beside, judge_hits(beside, "mask", ious=lesser))
    of_one = [replace(one, hit=one.hit[:1], ignored=one.ignored[:1]) for one in hits]
    ap50 = averaged(category_precisions(of_one, weights[:1]))
    return averaged(category_precisions(hits, weights)), float(ap50[0])


def outlines(
    beside: Overlaps,
    judged: Judged,
    lesser: Sequence[NDArray[np.float64]],
    sampled: tuple[Values, float],
    reference: Values | None,
    threshold: float,
) -> Outlines:
    """Boundary AP, and mask and boundary IoU of what is right at the threshold (`judged`)."""
    mask, boundary = [], []
    for image, least in zip(beside.images, lesser, strict=True):
        place = {int(instance): at for at, instance in enumerate(image.instances)}
        for at, row in enumerate(image.rows):
            instance = int(judged.partner[AT_50, row])
            if instance >= 0 and beside.found.scores[row] >= threshold:
                mask.append(image.mask[at, place[instance]])
                boundary.append(least[at, place[instance]])
    values, ap50 = sampled
    return Outlines(
        ap=known(values[0]),
        ap50=known(ap50),
        drop=None if reference is None else drop_between(reference, values),
        pairs=len(mask),
        mask_iou=float(np.mean(mask)) if mask else None,
        boundary_iou=float(np.mean(boundary)) if boundary else None,
    )
