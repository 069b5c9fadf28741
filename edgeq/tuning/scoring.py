"""What variants lose in AP: against annotations, or against what the float model finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgeq.evaluation import bootstrap
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.evaluator import KINDS, Kind
from edgeq.evaluation.matches import match
from edgeq.records.accuracy import ImagePrediction, Interval

Drops = dict[Kind, Interval | None]


def drops(
    labels: Dataset,
    reference: Sequence[ImagePrediction],
    others: Mapping[str, Sequence[ImagePrediction]],
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Drops]:
    """Mask and box AP of the reference minus that of the others, on the same images."""
    ids = list(labels.files)
    expected = match(labels.annotations, reference, labels.categories, ids)
    lost: dict[str, Drops] = {}
    for name, found in others.items():
        matches = match(labels.annotations, found, labels.categories, ids)
        lost[name] = {kind: bootstrap.drop(expected, matches, kind) for kind in KINDS}
        progress(len(lost))
    return lost
