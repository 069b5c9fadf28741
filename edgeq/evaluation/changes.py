"""What one side finds on an image and the other does not, or not alike; no labels are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edgeq.agent.vision import rle
from edgeq.evaluation.judged import size_of
from edgeq.evaluation.overlaps import runs
from edgeq.records.insight import ImageChange, InBoth, Size, Spotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
    iou = _overlaps(left, left.kept, right, right.kept)
    same = left.labels[left.kept, None] == right.labels[right.kept]
    pairs = list(_pairs(iou, same))
    rows, columns = ([pair[side] for pair in pairs] for side in (0, 1))
    free = np.ones(iou.shape, np.bool_)
    free[rows], free[:, columns] = False, False
    pairs += _pairs(iou, free)
    shared = [_shared(left, right, row, column, iou[row, column]) for row, column in pairs]
    lost = _spotted(left, right, [row for row, _ in pairs])
    found = _spotted(right, left, [column for _, column in pairs])
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


def _overlaps(
    one: _Side, rows: NDArray[np.intp], other: _Side, columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The IoU of some masks of one side with some of the other."""
    from faster_coco_eval import mask as masks

    if not len(rows) or not len(columns):
        return np.zeros((len(rows), len(columns)))
    mine = [runs(one.image.masks[row]) for row in rows]
    theirs = [runs(other.image.masks[column]) for column in columns]
    return np.asarray(masks.iou(mine, theirs, [0] * len(theirs)), np.float64)


def _pairs(iou: NDArray[np.float64], allowed: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Rows and columns that go together, each once, the largest overlap first."""
    left = np.where(allowed, iou, 0.0)
    while left.size:
        row, column = (int(at) for at in np.unravel_index(left.argmax(), left.shape))
        if left[row, column] < SHARED_IOU:
            return
        yield row, column
        left[row], left[:, column] = 0.0, 0.0


def _shared(left: _Side, right: _Side, at: int, there: int, iou: float) -> InBoth:
    """The pair at these places among what both sides keep."""
    row, column = int(left.kept[at]), int(right.kept[there])
    return InBoth(
        rows=(row, column),
        labels=(int(left.labels[row]), int(right.labels[column])),
        scores=(float(left.scores[row]), float(right.scores[column])),
        size=_size(left, row),
        iou=float(iou),
    )


def _spotted(side: _Side, other: _Side, paired: Sequence[int]) -> list[Spotted]:
    """What one side keeps and has no partner for, and to what score that fell on the other side.

    What the other side keeps is some other object's.
    """
    below = np.setdiff1d(np.arange(len(other.labels)), other.kept)
    found = []
    for row in np.delete(side.kept, paired).tolist():
        near = below[other.labels[below] == side.labels[row]]
        near = near[_overlaps(side, np.array([row]), other, near)[0] >= SHARED_IOU]
        found.append(
            Spotted(
                row=row,
                label=int(side.labels[row]),
                score=float(side.scores[row]),
                size=_size(side, row),
                fell_to=float(other.scores[near].max()) if len(near) else None,
            )
        )
    return found


def _size(side: _Side, row: int) -> Size:
    return size_of(rle.area({"counts": side.image.masks[row].counts}))


def _amount(shared: list[InBoth], alone: list[Spotted]) -> float:
    of_shared = (1 - one.iou if one.labels[0] == one.labels[1] else 1.0 for one in shared)
    return sum(of_shared) + sum(one.score - (one.fell_to or 0.0) for one in alone)
