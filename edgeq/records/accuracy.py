"""Predictions, how good they are, and how sure that is."""

from __future__ import annotations

from edgeq.records.record import Record


class AveragePrecision(Record):
    """COCO average precision of one kind (mask or box); None where nothing is annotated.

    `ap` is the mean over IoU 0.50:0.95 and classes (COCO's primary metric); `small`, `medium` and
    `large` are the same by object area (below 32², to 96², above).
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    small: float | None
    medium: float | None
    large: float | None
    by_class: dict[str, float | None]


class Interval(Record):
    """A point estimate with a paired bootstrap confidence interval."""

    estimate: float
    low: float
    high: float
    confidence: float = 0.95
    resamples: int


class Accuracy(Record):
    """Mask and box AP of one set of predictions on one annotated set."""

    mask: AveragePrecision
    box: AveragePrecision
    images: int
    instances: int


class RunLength(Record):
    """A mask as COCO's compressed run-length encoding; `size` is (height, width)."""

    size: tuple[int, int]
    counts: str


class ImagePrediction(Record):
    """What one engine found on one image, best score first.

    `boxes` are (x, y, width, height) in image pixels, `labels` are class indices of the model.
    """

    id: int
    height: int
    width: int
    boxes: tuple[tuple[float, float, float, float], ...]
    labels: tuple[int, ...]
    scores: tuple[float, ...]
    masks: tuple[RunLength, ...]
