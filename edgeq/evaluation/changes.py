"""What one side finds on an image and the other does not, or not alike; no labels are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeq.agent.vision import rle
from edgeq.evaluation.judged import size_of
from edgeq.evaluation.overlaps import runs
from edgeq.records.insight import ImageChange, InBoth, Size, Spotted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edgeq.records.accuracy import ImagePrediction

SHARED_IOU = 0.5
"""From which on two masks are of one object."""
SAME_IOU = 0.8
"""From which on nobody sees a difference without looking for it."""


class _Side(NamedTuple):
    """One side of an image: all labels and scores, and the rows that an application keeps."""

    image: ImagePrediction
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    kept: NDArray[np.intp]


def changes(reference: ImagePrediction, other: ImagePrediction, threshold: float) -> ImageChange:
    """What the other side has found, lost and changed of what both keep from the threshold on.

    Objects are shared by detections of one label first, the masks that overlap most before others;
    then by those of different labels.
    """
    left, right = _side(reference, threshold), _side(other, threshold)
    iou = _overlaps(left, right)
    same = left.labels[:, None] == right.labels
    kept = np.zeros(iou.shape, np.bool_)
    kept[np.ix_(left.kept, right.kept)] = True
    pairs = list(_pairs(iou, kept & same))
    rows, columns = ({pair[side] for pair in pairs} for side in (0, 1))
    kept[list(rows)] = False
    kept[:, list(columns)] = False
    pairs += _pairs(iou, kept)
    shared = [_shared(left, right, row, column, iou[row, column]) for row, column in pairs]
    rows, columns = ({pair[side] for pair in pairs} for side in (0, 1))
    near = np.where(same & (iou >= SHARED_IOU), 1.0, np.nan)
    lost = [
        _spotted(left, row, near[row] * right.scores, right.kept)
        for row in left.kept
        if row not in rows
    ]
    found = [
        _spotted(right, column, near[:, column] * left.scores, left.kept)
        for column in right.kept
        if column not in columns
    ]
    alike = [one.labels[0] == one.labels[1] and one.iou >= SAME_IOU for one in shared]
    return ImageChange(
        id=reference.id,
        amount=_amount(shared, [*lost, *found]),
        lost=tuple(lost),
        found=tuple(found),
        changed=tuple(one for one, is_same in zip(shared, alike, strict=True) if not is_same),
        same=tuple(one for one, is_same in zip(shared, alike, strict=True) if is_same),
    )


def _side(image: ImagePrediction, threshold: float) -> _Side:
    scores = np.array(image.scores, np.float64)
    kept = np.flatnonzero(scores >= threshold)
    return _Side(image, np.array(image.labels, np.int64), scores, kept)


def _overlaps(left: _Side, right: _Side) -> NDArray[np.float64]:
    """The IoU of masks of both sides; 0 where neither is kept, which nobody asks about."""
    from faster_coco_eval import mask as masks

    iou = np.zeros((len(left.labels), len(right.labels)))
    for rows, columns in (
        (left.kept, np.arange(len(right.labels))),
        (np.setdiff1d(np.arange(len(left.labels)), left.kept), right.kept),
    ):
        if len(rows) and len(columns):
            mine = [runs(left.image.masks[row]) for row in rows]
            theirs = [runs(right.image.masks[column]) for column in columns]
            iou[np.ix_(rows, columns)] = masks.iou(mine, theirs, [0] * len(theirs))
    return iou


def _pairs(iou: NDArray[np.float64], allowed: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Rows and columns that go together, each once, the largest overlap first."""
    left = np.where(allowed, iou, 0.0)
    while left.size:
        row, column = (int(at) for at in np.unravel_index(left.argmax(), left.shape))
        if left[row, column] < SHARED_IOU:
            return
        yield row, column
        left[row], left[:, column] = 0.0, 0.0


def _shared(left: _Side, right: _Side, row: int, column: int, iou: float) -> InBoth:
    return InBoth(
        rows=(row, column),
        labels=(int(left.labels[row]), int(right.labels[column])),
        scores=(float(left.scores[row]), float(right.scores[column])),
        size=_size(left, row),
        iou=float(iou),
    )


def _spotted(side: _Side, row: int, scores: NDArray[np.float64], kept: NDArray[np.intp]) -> Spotted:
    """A detection of one side; `scores` are those of the same thing on the other, NaN elsewhere.

    What the other side keeps is some other object's.
    """
    there = np.delete(scores, kept)
    there = there[~np.isnan(there)]
    return Spotted(
        row=int(row),
        label=int(side.labels[row]),
        score=float(side.scores[row]),
        size=_size(side, row),
        fell_to=float(there.max()) if len(there) else None,
    )


def _size(side: _Side, row: int) -> Size:
    return size_of(rle.area({"counts": side.image.masks[row].counts}))


def _amount(shared: list[InBoth], alone: list[Spotted]) -> float:
    of_shared = (1 - one.iou if one.labels[0] == one.labels[1] else 1.0 for one in shared)
    return sum(of_shared) + sum(one.score - (one.fell_to or 0.0) for one in alone)
