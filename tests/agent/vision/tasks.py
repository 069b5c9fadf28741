"""Tasks and geometries that several tests share."""

from __future__ import annotations

from typing import Any

from edgeq.agent.manifest import ReleaseTask
from edgeq.agent.vision.letterbox import Geometry

UNSCALED = Geometry(64, 64, 64, 64, 0, 0, 64, 64)


def task(**changes: Any) -> ReleaseTask:
    """Two classes, yolov5-seg, thresholds as usual, with changes."""
    plain = ReleaseTask(
        decoder="yolov5-seg",
        classes=("cat", "dog"),
        score_threshold=0.25,
        iou_threshold=0.6,
        max_detections=100,
        multi_label=False,
        mask_threshold=0.5,
    )
    return plain._replace(**changes)
