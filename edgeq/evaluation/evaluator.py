"""The seam to the evaluator (faster-coco-eval): records in, its precision and overlaps out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edgeq.evaluation.annotations import Instance
    from edgeq.records.accuracy import RunLength

Kind = Literal["mask", "box"]
KINDS: tuple[Kind, Kind] = ("mask", "box")

IOU_THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
AT_50, AT_75 = (int(np.abs(IOU_THRESHOLDS - iou).argmin()) for iou in (0.5, 0.75))
"""Where among them IoU .5 and .75 stand."""
RECALL_THRESHOLDS: NDArray[np.float64] = np.linspace(0.0, 1.0, 101)
AREAS = ("all", "small", "medium", "large")
MAX_DETECTIONS = 100
"""COCO's parameters: 10 IoU and 101 recall thresholds, at most 100 detections an image and class"""


@dataclass(frozen=True)
class Detection:
    """One detection; `box` is (x, y, width, height) in pixels."""

    score: float
    mask: RunLength
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Cell:
    """What one image holds of one category, annotated and detected."""

    instances: tuple[Instance, ...]
    detections: tuple[Detection, ...]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What the evaluator says of K categories on I images.

    `precision` (10, K, 4) is averaged over the recall thresholds, by IoU threshold, category and
    area; NaN where nothing is annotated. `ious[k][i]` (D, G) are the overlaps of the detections,
    best score first and at most 100, with the instances of category k on image i.
    """

    precision: NDArray[np.float64]
    ious: tuple[tuple[NDArray[np.float64], ...], ...]


def evaluate(
    cells: Sequence[Sequence[Cell]], image_sizes: Sequence[tuple[int, int]], kind: Kind
) -> Evaluation:
    """Run the evaluator on `cells[k][i]`, category k on image i of size (height, width)."""
    from faster_coco_eval import COCO, COCOeval_faster

    annotated, detected = COCO(), COCO()
    annotated.dataset = _dataset(image_sizes, len(cells), _annotated(cells))
    detected.dataset = _dataset(image_sizes, len(cells), _detected(cells, kind))
    annotated.createIndex()
    detected.createIndex()
    evaluator = COCOeval_faster(annotated, detected, "segm" if kind == "mask" else "bbox")
    evaluator.params.iouThrs = IOU_THRESHOLDS
    evaluator.params.recThrs = RECALL_THRESHOLDS
    evaluator.params.maxDets = [MAX_DETECTIONS]
    evaluator.evaluate()
    evaluator.accumulate()
    precision = np.asarray(evaluator.eval["precision"])[..., 0].mean(axis=1)
    precision[precision < 0] = np.nan  # -1 throughout where nothing is annotated
    return Evaluation(
        precision=precision,
        ious=tuple(
            tuple(
                np.asarray(evaluator.ious[i, k], dtype=np.float64).reshape(
                    min(len(cell.detections), MAX_DETECTIONS), len(cell.instances)
                )
                for i, cell in enumerate(row, start=1)
            )
            for k, row in enumerate(cells, start=1)
        ),
    )


# The evaluator gets indices from 1 instead of the file's ids: its C++ part takes ids as doubles
# and reads an annotation id 0 as 'unmatched'.


def _dataset(
    image_sizes: Sequence[tuple[int, int]], categories: int, annotations: list[dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    return {
        "images": [
            {"id": i, "height": height, "width": width}
            for i, (height, width) in enumerate(image_sizes, start=1)
        ],
        "categories": [{"id": k, "name": str(k)} for k in range(1, categories + 1)],
        "annotations": [{"id": n, **entry} for n, entry in enumerate(annotations, start=1)],
    }


def _annotated(cells: Sequence[Sequence[Cell]]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": i,
            "category_id": k,
            "segmentation": _runs(instance.mask),
            "bbox": list(instance.box),
            "area": instance.area,
            "iscrowd": int(instance.crowd),
        }
        for k, row in enumerate(cells, start=1)
        for i, cell in enumerate(row, start=1)
        for instance in cell.instances
    ]


def _detected(cells: Sequence[Sequence[Cell]], kind: Kind) -> list[dict[str, Any]]:
    """A detection's area is that of its mask or its box, whichever is compared (as loadRes)."""
    from faster_coco_eval import mask as masks

    rows = [
        (i, k, detection)
        for k, row in enumerate(cells, start=1)
        for i, cell in enumerate(row, start=1)
        for detection in cell.detections
    ]
    runs = [_runs(detection.mask) for _, _, detection in rows]
    if kind == "mask":
        areas = [float(area) for area in masks.area(runs)] if runs else []
    else:
        areas = [detection.box[2] * detection.box[3] for _, _, detection in rows]
    return [
        {
            "image_id": i,
            "category_id": k,
            "score": detection.score,
            "segmentation": mask,
            "bbox": list(detection.box),
            "area": area,
            "iscrowd": 0,
        }
        for (i, k, detection), mask, area in zip(rows, runs, areas, strict=True)
    ]


def _runs(mask: RunLength) -> dict[str, Any]:
    return {"size": list(mask.size), "counts": mask.counts}
