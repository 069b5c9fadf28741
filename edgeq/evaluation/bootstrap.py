"""How sure a loss of AP is: a paired bootstrap over the images.

Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 13.3 (percentile
interval).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from edgeq.errors import EdgeqError
from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.precision import averaged, category_precisions
from edgeq.records.accuracy import Interval
from edgeq.significance.ratios import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edgeq.evaluation.matches import KindMatches, Matches

_CONFIDENCE = 0.95


def drop(
    reference: Matches, other: Matches, kind: Kind, resamples: int = 1000, seed: int = 0
) -> Interval | None:
    """AP of `reference` minus AP of `other`, with its 95% interval; None if nothing is annotated.

    The same images, drawn with replacement, count for both sides. Categories that a resample has
    no instance of are left out of its mean; resamples without any instance are left out of
    `resamples`. Raises EdgeqError when the two were not matched against the same annotations.
    """
    _check_same(reference, other)
    drops = partial(_drops, reference, other, kind)
    return interval(drops, len(reference.image_ids), resamples, seed)


def precision(
    matches: Matches, kind: Kind, resamples: int = 1000, seed: int = 0
) -> Interval | None:
    """AP of one set of predictions, with its 95% interval; None if nothing is annotated."""
    side = matches.of(kind)
    return interval(partial(average_precision, side), len(matches.image_ids), resamples, seed)


def loss(
    reference: Matches, other: Matches, kind: Kind, confidence: float, resamples: int = 4000
) -> Estimate | None:
    """As `drop`, with an interval of that confidence, and p of a two-sided test against none."""
    _check_same(reference, other)
    drops = partial(_drops, reference, other, kind)
    found = resampled(drops, len(reference.image_ids), resamples, seed=0)
    if found is None:
        return None
    estimate, values = found
    low, high = _quantiles(estimate, values, confidence)
    count = values.size + 1
    at_most, at_least = ((int(side.sum()) + 1) / count for side in (values <= 0, values >= 0))
    return Estimate(estimate, low, high, min(1.0, 2 * min(at_most, at_least)))


def _drops(
    reference: Matches, other: Matches, kind: Kind, weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """AP of the one minus AP of the other in each resample (R,)."""
    first, second = (average_precision(side.of(kind), weights) for side in (reference, other))
    return first - second


def interval(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    images: int,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval | None:
    """Any statistic with its 95% interval; None where it is NaN of all images.

    It gets how often each image is in each resample (R, I), and gives a value for each (R,).
    """
    found = resampled(statistic, images, resamples, seed)
    return None if found is None else of_values(*found)


def of_values(estimate: float, values: NDArray[np.float64]) -> Interval:
    """An estimate with the 95% interval that its values in resamples span."""
    low, high = _quantiles(estimate, values, _CONFIDENCE)
    return Interval(
        estimate=estimate, low=low, high=high, confidence=_CONFIDENCE, resamples=values.size
    )


def resampled(
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    images: int,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, NDArray[np.float64]] | None:
    """A statistic of all images, and of those resamples that have one; None if they have none."""
    estimate = statistic(np.ones((1, images), np.int64))[0]
    if np.isnan(estimate):
        return None
    found = statistic(drawn(images, resamples, seed))
    return float(estimate), found[~np.isnan(found)]


def drawn(images: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each image is in each resample (R, I); the same wherever the seed is."""
    even = np.full(images, 1 / images)
    return np.random.default_rng(seed).multinomial(images, even, resamples)


def _quantiles(
    estimate: float, values: NDArray[np.float64], confidence: float
) -> tuple[float, float]:
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, (tail, 1 - tail)) if values.size else (estimate, estimate)
    return float(low), float(high)


def average_precision(matches: KindMatches, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """AP of R resamples (R,), NaN where one holds no instance.

    `weights` (R, I) says how often each image is in each resample. Equals COCO's AP on the
    images repeated that often: a detection of weight w is w detections of one score.
    """
    return averaged(category_precisions(matches.hits, weights))


def _check_same(reference: Matches, other: Matches) -> None:
    same = reference.image_ids == other.image_ids and reference.categories == other.categories
    if not same or any(
        not np.array_equal(left.instances, right.instances)
        for left, right in zip(reference.mask.hits, other.mask.hits, strict=True)
    ):
        raise EdgeqError("evaluation", "two models were matched against different annotations")
