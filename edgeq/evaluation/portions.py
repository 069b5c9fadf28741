"""AP by category and by size, and what each lost: all from the same resamples of the images.

Source of the intervals: as `bootstrap`, whose draws these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.evaluation.bootstrap import drawn, of_values
from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.judged import SIZES, Judged, category_hits_of, judge_hits
from edgeq.evaluation.overlaps import Overlaps
from edgeq.evaluation.precision import averaged, category_precisions
from edgeq.evaluation.score import category_names
from edgeq.records.accuracy import Interval
from edgeq.records.insight import Portion

Weights = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sampled:
    """AP of a part of what is annotated (1 + R,): of the images as they are, then of resamples.

    NaN where nothing of it is annotated.
    """

    name: str
    instances: int
    images: int
    values: Values


def drawn_images(images: int, resamples: int = 1000, seed: int = 0) -> Weights:
    """How often each image counts (1 + R, I): once each at first, then as the bootstrap draws."""
    return np.concatenate([np.ones((1, images), np.int64), drawn(images, resamples, seed)])


def sampled_classes(beside: Overlaps, judged: Judged, weights: Weights) -> tuple[Sampled, ...]:
    """AP of each category, of those that have an instance."""
    values = category_precisions(category_hits_of(beside, judged), weights)
    names = category_names(beside.categories)
    found = []
    for index, name in enumerate(names):
        counted = judged.counts & (beside.annotated.category == index)
        if counted.any():
            found.append(_sampled(name, beside, counted, values[:, index]))
    return tuple(found)


def sampled_sizes(beside: Overlaps, kind: Kind, weights: Weights) -> tuple[Sampled, ...]:
    """AP of small, medium and large instances, over the categories that have some."""
    found = []
    for size in SIZES:
        judged = judge_hits(beside, kind, size)
        values = category_precisions(category_hits_of(beside, judged), weights)
        found.append(_sampled(size, beside, judged.counts, averaged(values)))
    return tuple(found)


def _sampled(name: str, beside: Overlaps, counted: NDArray[np.bool_], values: Values) -> Sampled:
    images = np.unique(beside.annotated.image[counted])
    return Sampled(name, int(counted.sum()), len(images), values)


def portions(
    sampled: Sequence[Sampled], reference: Sequence[Sampled] | None
) -> tuple[Portion, ...]:
    """AP of each part, and what it is below the reference's, of the same parts."""
    before = [None] * len(sampled) if reference is None else [one.values for one in reference]
    return tuple(
        Portion(
            name=one.name,
            instances=one.instances,
            images=one.images,
            ap=known(one.values[0]),
            drop=None if values is None else drop_between(values, one.values),
        )
        for one, values in zip(sampled, before, strict=True)
    )


def drop_between(before: Values, after: Values) -> Interval | None:
    """The first minus the second, resample by resample, with its 95% interval; None of nothing."""
    differences = before - after
    if np.isnan(differences[0]):
        return None
    values = differences[1:]
    return of_values(float(differences[0]), values[~np.isnan(values)])


def known(value: float) -> float | None:
    """A figure, None for NaN."""
    return None if np.isnan(value) else float(value)
