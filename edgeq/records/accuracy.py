"""Predictions, how good they are, and how sure that is."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgeq.records.limits import Count, Finite, Share
from edgeq.records.record import Record

Side = Annotated[int, Field(strict=True, ge=1, le=1 << 20)]
"""Pixels of an image's height or width."""


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


class Resampled(Record):
    """AP of all images, and of resamples of them: the same ones wherever the labels are the same.

    Resamples without anything annotated are left out.
    """

    estimate: float
    values: tuple[float, ...]


class Accuracy(Record):
    """Mask and box AP of one set of predictions on one annotated set."""

    mask: AveragePrecision
    box: AveragePrecision
    images: int
    instances: int


class Agreement(Record):
    """AP of mask and box against what the float model itself finds, of which that has 1."""

    mask: Interval
    box: Interval

    @property
    def worse(self) -> tuple[Literal["mask", "box"], Interval]:
        """The kind that agrees less, and how much; mask where both agree as well."""
        return ("box", self.box) if self.box.estimate < self.mask.estimate else ("mask", self.mask)


class AtThreshold(Record):
    """Masks or boxes that an application keeps, at IoU .5, of all classes together.

    None where there is nothing to divide by. The drops are float minus this, of the same images.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    right: int
    wrong: int
    missed: int
    precision_drop: Interval | None = None
    recall_drop: Interval | None = None
    f1_drop: Interval | None = None


class Deployed(Record):
    """What is found at the score from which on the user's application keeps a detection.

    `score_shift` is the median of this score minus the float model's, of `matched` of the
    `matched_of` detections that the float model has at the threshold: of one class, boxes at IoU
    .5. `recall_threshold` gives the float model's recall of masks back, None where none does;
    `threshold_drop` is how far below the threshold it lies.
    """

    threshold: float
    mask: AtThreshold
    box: AtThreshold
    score_shift: Interval | None = None
    matched: int = 0
    matched_of: int = 0
    recall_threshold: float | None = None
    threshold_drop: Interval | None = None


class RunLength(Record):
    """A mask as COCO's compressed run-length encoding; `size` is (height, width)."""

    size: tuple[Count, Count]
    counts: str


class ImagePrediction(Record):
    """What one engine found on one image, best score first.

    `boxes` are (x, y, width, height) in image pixels, `labels` are class indices of the model.
    """

    id: int
    height: Side
    width: Side
    boxes: tuple[tuple[Finite, Finite, Finite, Finite], ...]
    labels: tuple[Count, ...]
    scores: tuple[Share, ...]
    masks: tuple[RunLength, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        count = len(self.boxes)
        for name in ("labels", "scores", "masks"):
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} are {len(getattr(self, name))} of {count} instances")
        for box in self.boxes:
            for value, side in zip(box, (self.width, self.height) * 2, strict=True):
                if abs(value) > side + 1:
                    raise ValueError(f"a box lies outside of {self.width} x {self.height} pixels")
        if any(mask.size != (self.height, self.width) for mask in self.masks):
            raise ValueError(f"a mask is not of the image's {self.height} x {self.width} pixels")
        return self
