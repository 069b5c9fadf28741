"""Matches to COCO's average precision."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from edgeq.evaluation.evaluator import AREAS, AT_50, AT_75
from edgeq.evaluation.matches import KindMatches, Matches, match
from edgeq.records.accuracy import Accuracy, AveragePrecision, ImagePrediction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgeq.evaluation.annotations import Annotations, Category


def score(
    annotations: Annotations,
    predictions: Sequence[ImagePrediction],
    class_to_category: Mapping[int, int],
    image_ids: Sequence[int] | None = None,
) -> Accuracy:
    """The accuracy of predictions where only that is wanted; arguments and errors of `match`."""
    return accuracy(match(annotations, predictions, class_to_category, image_ids))


def accuracy(matches: Matches) -> Accuracy:
    """Mask and box AP as COCO's evaluator summarizes them, by category name too."""
    names = category_names(matches.categories)
    return Accuracy(
        mask=_average_precision(matches.mask, names),
        box=_average_precision(matches.box, names),
        images=len(matches.image_ids),
        instances=matches.instances,
    )


def category_names(categories: Sequence[Category]) -> list[str]:
    """The names of the categories, told apart by id where two share one."""
    count = Counter(category.name for category in categories)
    return [
        category.name if count[category.name] == 1 else f"{category.name} ({category.id})"
        for category in categories
    ]


def _average_precision(matches: KindMatches, names: Sequence[str]) -> AveragePrecision:
    precision = matches.precision
    return AveragePrecision(
        ap=_mean(precision[:, :, 0]),
        ap50=_mean(precision[AT_50, :, 0]),
        ap75=_mean(precision[AT_75, :, 0]),
        small=_mean(precision[:, :, AREAS.index("small")]),
        medium=_mean(precision[:, :, AREAS.index("medium")]),
        large=_mean(precision[:, :, AREAS.index("large")]),
        by_class={name: _mean(precision[:, index, 0]) for index, name in enumerate(names)},
    )


def _mean(precision: NDArray[np.float64]) -> float | None:
    annotated = precision[~np.isnan(precision)]
    return float(annotated.mean()) if annotated.size else None
