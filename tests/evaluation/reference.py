"""The independent evaluator: pycocotools."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .scenes import Scene, coco_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeq.evaluation.evaluator import Kind


@dataclass(frozen=True)
class Reference:
    """AP, AP50, AP75, small, medium, large (None for COCO's -1), and AP by category id."""

    summary: tuple[float | None, ...]
    by_category: dict[int, float | None]

    @property
    def ap(self) -> float | None:
        return self.summary[0]


def pycocotools(scene: Scene, kind: Kind, how: type[COCOeval] = COCOeval) -> Reference:
    """What pycocotools says about the scene, over all its images and categories."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_json(scene.annotations)
        truth.createIndex()
        detections = _detections(scene, kind)
        found = truth.loadRes(detections) if detections else COCO()
        if not detections:
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        evaluator = how(truth, found, "segm" if kind == "mask" else "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    precision: NDArray[np.float64] = evaluator.eval["precision"][:, :, :, 0, 2]
    return Reference(
        tuple(None if value < 0 else float(value) for value in evaluator.stats[:6]),
        {
            int(category): None if precision[0, 0, k] < 0 else float(precision[:, :, k].mean())
            for k, category in enumerate(evaluator.params.catIds)
        },
    )


def _detections(scene: Scene, kind: Kind) -> list[dict[str, Any]]:
    detections: list[dict[str, Any]] = []
    for image in scene.predictions:
        rows = zip(image.labels, image.scores, image.boxes, image.masks, strict=True)
        for label, score, box, mask in rows:
            detection: dict[str, Any] = {
                "image_id": image.id,
                "category_id": scene.class_to_category[label],
                "score": score,
            }
            if kind == "mask":
                detection["segmentation"] = {"size": list(mask.size), "counts": mask.counts}
            else:
                detection["bbox"] = list(box)
            detections.append(detection)
    return detections
