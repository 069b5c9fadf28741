"""AP of resamples of the images: what runs of one plan score on average, and how sure that is.

The same images are drawn in every call, so that any two of one set of labels are paired, whenever
they were drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import EdgeqError
from edgeq.evaluation import bootstrap
from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.matches import Matches
from edgeq.records.accuracy import Interval, Resampled


def resampled(sides: Sequence[Matches], kind: Kind) -> Resampled | None:
    """The mean AP of one or more runs over the same images; None if nothing is annotated."""

    def mean(weights: NDArray[np.int64]) -> NDArray[np.float64]:
        found = [bootstrap.average_precision(side.of(kind), weights) for side in sides]
        return np.asarray(np.mean(found, axis=0))

    found = bootstrap.resampled(mean, len(sides[0].image_ids), seed=0)
    if found is None:
        return None
    estimate, values = found
    return Resampled(estimate=estimate, values=tuple(values.tolist()))


def interval(found: Resampled) -> Interval:
    """The mean AP with its 95% interval."""
    return bootstrap.of_values(found.estimate, np.array(found.values))


def difference(first: Resampled, second: Resampled) -> Interval:
    """The first minus the second, resample by resample, with its 95% interval.

    Raises EdgeqError when they are not of the same images and labels.
    """
    if len(first.values) != len(second.values):
        raise EdgeqError("evaluation", "two models were matched against different annotations")
    values = np.array(first.values) - np.array(second.values)
    return bootstrap.of_values(first.estimate - second.estimate, values)
