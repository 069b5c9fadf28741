"""Where the accuracy goes: everything that a report shows of it, from what each column found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.evaluation.agreement import LABEL_SCORE
from edgeq.evaluation.boundary import boundary_overlaps
from edgeq.evaluation.changes import changes
from edgeq.evaluation.confusion import confusion
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.evaluator import KINDS, Kind
from edgeq.evaluation.judged import Judged, judge_hits
from edgeq.evaluation.mended import ap50_gains
from edgeq.evaluation.mistakes import MISTAKE_KINDS, mistakes
from edgeq.evaluation.outlines import outlines, sampled_outlines
from edgeq.evaluation.overlaps import Overlaps, overlaps
from edgeq.evaluation.portions import (
    Sampled,
    Values,
    Weights,
    drawn_images,
    portions,
    sampled_classes,
    sampled_sizes,
)
from edgeq.evaluation.score_curve import best_threshold, score_curve
from edgeq.records.accuracy import ImagePrediction
from edgeq.records.insight import (
    ColumnInsight,
    ImageChange,
    Insight,
    KindInsight,
    Mistakes,
    ThresholdOrigin,
)


@dataclass(frozen=True, eq=False)
class _Column:
    """One column's detections beside the labels, matched, and AP of all resamples."""

    images: Sequence[ImagePrediction]
    beside: Overlaps
    judged: Mapping[Kind, Judged]
    classes: Mapping[Kind, tuple[Sampled, ...]]
    sizes: Mapping[Kind, tuple[Sampled, ...]]
    lesser: Sequence[NDArray[np.float64]]
    outlines: tuple[Values, float]


def look_into(
    dataset: Dataset,
    columns: Mapping[str, Sequence[ImagePrediction]],
    threshold: float | None = None,
) -> Insight:
    """Where the accuracy of each column goes, by name; the first is what the others are held to.

    At the threshold an application keeps a detection; where it is not known, the reference's best.
    Raises as `match` does.
    """
    weights = drawn_images(len(dataset.files))
    looked = {name: _column(dataset, images, weights) for name, images in columns.items()}
    reference, *_ = looked.values()
    best = best_threshold(reference.beside, reference.judged["mask"])
    origins: dict[ThresholdOrigin, float | None] = {"recipe": threshold, "best": best}
    given = [(value, name) for name, value in origins.items() if value is not None]
    kept_from, origin = given[0] if given else (LABEL_SCORE, "usual")
    return Insight(
        threshold=kept_from,
        threshold_from=origin,
        images=len(dataset.files),
        instances=int((~reference.beside.annotated.crowd).sum()),
        columns=tuple(
            _insight(name, one, None if one is reference else reference, kept_from)
            for name, one in looked.items()
        ),
    )


def _column(dataset: Dataset, images: Sequence[ImagePrediction], weights: Weights) -> _Column:
    beside = overlaps(dataset.annotations, images, dataset.categories, list(dataset.files))
    judged = {kind: judge_hits(beside, kind) for kind in KINDS}
    lesser = boundary_overlaps(beside)
    return _Column(
        images=images,
        beside=beside,
        judged=judged,
        classes={kind: sampled_classes(beside, judged[kind], weights) for kind in KINDS},
        sizes={kind: sampled_sizes(beside, kind, weights) for kind in KINDS},
        lesser=lesser,
        outlines=sampled_outlines(beside, lesser, weights),
    )


def _insight(
    name: str, column: _Column, reference: _Column | None, threshold: float
) -> ColumnInsight:
    mask, box = (_kind_insight(column, reference, kind, threshold) for kind in KINDS)
    before = None if reference is None else reference.outlines[0]
    judged = column.judged["mask"]
    return ColumnInsight(
        name=name,
        mask=mask,
        box=box,
        confusion=confusion(column.beside, judged, "mask", threshold),
        outlines=outlines(column.beside, judged, column.lesser, column.outlines, before, threshold),
        images=() if reference is None else _changed(reference.images, column.images, threshold),
    )


def _kind_insight(
    column: _Column, reference: _Column | None, kind: Kind, threshold: float
) -> KindInsight:
    beside, judged = column.beside, column.judged[kind]
    told = mistakes(beside, judged, kind)
    kept = mistakes(beside, judged, kind, threshold)
    return KindInsight(
        mistakes=tuple(
            Mistakes(
                kind=name,
                count=told.count(name),
                kept=kept.count(name),
                ap50_gain=gain,
            )
            for name, gain in zip(MISTAKE_KINDS, ap50_gains(beside, judged, told), strict=True)
        ),
        curve=score_curve(beside, judged, threshold),
        by_class=portions(column.classes[kind], reference.classes[kind] if reference else None),
        by_size=portions(column.sizes[kind], reference.sizes[kind] if reference else None),
    )


def _changed(
    reference: Sequence[ImagePrediction], other: Sequence[ImagePrediction], threshold: float
) -> tuple[ImageChange, ...]:
    theirs = {image.id: image for image in other}
    found = [changes(image, theirs[image.id], threshold) for image in reference]
    return tuple(sorted(found, key=lambda one: one.order))
