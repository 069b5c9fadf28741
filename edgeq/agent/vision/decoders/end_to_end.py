"""Decoder of segmentation heads that need no NMS (YOLOv10-style and later, exported end to end)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

import numpy as np

from ..detections import Detections, Output, Parts
from ..letterbox import boxes_to_image
from ..masks import prototype_masks
from .yolo import require_heads, split_heads

if TYPE_CHECKING:
    from ...manifest import ReleaseTask
    from ..arrays import Bools, Floats, Ints
    from ..letterbox import Geometry


class EndToEndSeg:
    """Predictions [1,K,6+M]: x1,y1,x2,y2 in input pixels, score, class index, M coefficients."""

    name = "end2end-seg"
    selected = True
    expects = "predictions [1,K,6+M] and prototypes [1,M,h,w]"

    def __init__(self, task: ReleaseTask) -> None:
        self._task = task

    def fits(self, outputs: Sequence[Output]) -> bool:
        """See `Decoder`."""
        heads = split_heads(outputs)
        return heads is not None and heads.predictions.shape[1] == 6 + heads.prototypes.shape[0]

    def parts(self, outputs: Sequence[Output]) -> Parts:
        """See `Decoder`."""
        table, prototypes = require_heads(outputs, self.expects)
        table = table[self._wanted(table)]
        rows = {"boxes": table[:, :4], "scores": table[:, 4], "coefficients": table[:, 6:]}
        return Parts(rows, {"prototypes": prototypes}, _labels(table))

    def decode(self, outputs: Sequence[Output], geometry: Geometry) -> Detections:
        """See `Decoder`; the model's own selection stands, only weak scores are dropped."""
        table, prototypes = require_heads(outputs, self.expects)
        table = table[self._wanted(table)]
        table = table[np.argsort(-table[:, 4], kind="stable")[: self._task.max_detections]]
        boxes = boxes_to_image(table[:, :4], geometry)
        masks = prototype_masks(
            table[:, 6:], prototypes, boxes, geometry, self._task.mask_threshold
        )
        return Detections(boxes, _labels(table), table[:, 4], masks)

    def _wanted(self, table: Floats) -> Bools:
        wanted = np.isfinite(table).all(axis=1) & (table[:, 4] > self._task.score_threshold)
        return wanted & (table[:, 5] >= 0) & (table[:, 5] < len(self._task.classes))


def _labels(table: Floats) -> Ints:
    """An engine may hand class indices back through float16 arithmetic."""
    return np.rint(table[:, 5]).astype(np.int64)


DECODERS = (EndToEndSeg,)
