"""Decoders of YOLO segmentation heads with prototypes: YOLOv5, and YOLOv8 and its successors.

Sources: Ultralytics YOLOv5 `utils/general.py` (non_max_suppression) and Ultralytics
`utils/ops.py`. Rows are boxes as centre and size in input pixels, scores after the sigmoid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

import numpy as np

from ..detections import Detections, Output, Parts, mismatch
from ..letterbox import boxes_to_image
from ..masks import prototype_masks
from ..nms import suppress

if TYPE_CHECKING:
    from ...manifest import ReleaseTask
    from ..arrays import Bools, Floats, Ints
    from ..letterbox import Geometry


class Heads(NamedTuple):
    """The two outputs of a model with prototypes: predictions (rank 3), prototypes [M,h,w]."""

    predictions: Floats
    prototypes: Floats


class Candidates(NamedTuple):
    """Boxes above the score threshold: their rows among the predictions, labels and scores [n]."""

    rows: Ints
    labels: Ints
    scores: Floats


def split_heads(outputs: Sequence[Output]) -> Heads | None:
    """The predictions [a,b] and prototypes among two outputs of batch 1; None when it is others."""
    arrays = {output.array.ndim: output.array for output in outputs}
    if len(outputs) != 2 or set(arrays) != {3, 4}:
        return None
    if arrays[3].shape[0] != 1 or arrays[4].shape[0] != 1:
        return None
    predictions, prototypes = arrays[3][0], arrays[4][0]
    return Heads(
        predictions.astype(np.float32, copy=False), prototypes.astype(np.float32, copy=False)
    )


def require_heads(outputs: Sequence[Output], expects: str) -> Heads:
    """As `split_heads`; AgentError (bad-artifact) instead of None."""
    heads = split_heads(outputs)
    if heads is None:
        raise mismatch(outputs, expects)
    return heads


class YoloV5Seg:
    """Predictions [1,N,5+C+M]: box, objectness, C class scores, M coefficients."""

    name = "yolov5-seg"
    selected = False

    def __init__(self, task: ReleaseTask) -> None:
        self._task = task
        self._classes = len(task.classes)
        self.expects = f"predictions [1,N,5+{self._classes}+M] and prototypes [1,M,h,w]"

    def fits(self, outputs: Sequence[Output]) -> bool:
        """See `Decoder`."""
        heads = split_heads(outputs)
        return heads is not None and heads.predictions.shape[1] == (
            5 + self._classes + heads.prototypes.shape[0]
        )

    def parts(self, outputs: Sequence[Output]) -> Parts:
        """See `Decoder`; a score is objectness times class score."""
        table, prototypes = require_heads(outputs, self.expects)
        scores = table[:, 4:5] * table[:, 5 : 5 + self._classes]
        return _parts(table[:, :4], scores, table[:, 5 + self._classes :], prototypes)

    def decode(self, outputs: Sequence[Output], geometry: Geometry) -> Detections:
        """See `Decoder`; a score is objectness times class score."""
        table, prototypes = require_heads(outputs, self.expects)
        # Class scores are at most 1, so no row below the threshold in objectness can rise above it.
        rows = np.flatnonzero(table[:, 4] > self._task.score_threshold)
        chosen = table[rows]
        scores = chosen[:, 4:5] * chosen[:, 5 : 5 + self._classes]
        found = candidates_above(scores, self._task)
        return _detect(
            chosen[:, :4], chosen[:, 5 + self._classes :], found, prototypes, geometry, self._task
        )


class YoloV8Seg:
    """Predictions [1,4+C+M,N]: box, C class scores, M coefficients, one column a prediction."""

    name = "yolov8-seg"
    selected = False

    def __init__(self, task: ReleaseTask) -> None:
        self._task = task
        self._classes = len(task.classes)
        self.expects = f"predictions [1,4+{self._classes}+M,N] and prototypes [1,M,h,w]"

    def fits(self, outputs: Sequence[Output]) -> bool:
        """See `Decoder`."""
        heads = split_heads(outputs)
        return heads is not None and heads.predictions.shape[0] == (
            4 + self._classes + heads.prototypes.shape[0]
        )

    def parts(self, outputs: Sequence[Output]) -> Parts:
        """See `Decoder`."""
        table, prototypes = require_heads(outputs, self.expects)
        end = 4 + self._classes
        return _parts(table[:4].T, table[4:end].T, table[end:].T, prototypes)

    def decode(self, outputs: Sequence[Output], geometry: Geometry) -> Detections:
        """See `Decoder`."""
        table, prototypes = require_heads(outputs, self.expects)
        best = table[4 : 4 + self._classes].max(axis=0)
        chosen = np.ascontiguousarray(table[:, best > self._task.score_threshold].T)
        found = candidates_above(chosen[:, 4 : 4 + self._classes], self._task)
        return _detect(
            chosen[:, :4], chosen[:, 4 + self._classes :], found, prototypes, geometry, self._task
        )


def _parts(boxes: Floats, scores: Floats, coefficients: Floats, prototypes: Floats) -> Parts:
    rows = {"boxes": boxes, "scores": scores, "coefficients": coefficients}
    return Parts(rows, {"prototypes": prototypes})


def candidates_above(scores: Floats, task: ReleaseTask) -> Candidates:
    """The entries of scores [n,C] above the threshold: every one, or the best class of each row."""
    if task.multi_label:
        rows, labels = np.nonzero(scores > task.score_threshold)
        return Candidates(rows, labels, scores[rows, labels])
    if not len(scores):
        nothing = np.zeros(0, np.int64)
        return Candidates(nothing, nothing, np.zeros(0, np.float32))
    labels = scores.argmax(axis=1)
    best = scores[np.arange(len(scores)), labels]
    rows = np.flatnonzero(best > task.score_threshold)
    return Candidates(rows, labels[rows], best[rows])


def _detect(
    centred: Floats,
    coefficients: Floats,
    found: Candidates,
    prototypes: Floats,
    geometry: Geometry,
    task: ReleaseTask,
) -> Detections:
    half = centred[:, 2:] / 2
    corners: Floats = np.concatenate((centred[:, :2] - half, centred[:, :2] + half), axis=1)
    finite: Bools = np.isfinite(np.concatenate((corners, coefficients), axis=1))
    wanted = np.asarray(finite.all(axis=1))[found.rows]
    found = Candidates(found.rows[wanted], found.labels[wanted], found.scores[wanted])
    kept = suppress(
        corners[found.rows], found.scores, found.labels, task.iou_threshold, task.max_detections
    )
    rows = found.rows[kept]
    boxes = boxes_to_image(corners[rows], geometry)
    masks = prototype_masks(coefficients[rows], prototypes, boxes, geometry, task.mask_threshold)
    return Detections(boxes, found.labels[kept], found.scores[kept], masks)


DECODERS = (YoloV5Seg, YoloV8Seg)
