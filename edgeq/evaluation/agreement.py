"""Agreement: AP against what the float model itself finds, on images that nobody has annotated.

It resolves what AP on people's labels cannot: there the float model's own mistakes are noise that
hides what quantization changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgeq.evaluation.annotations import AnnotatedImage, Annotations, Category, Instance
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.evaluator import KINDS
from edgeq.evaluation.matches import Matches, match
from edgeq.evaluation.resampled import interval, resampled
from edgeq.evaluation.segmentation import extent
from edgeq.records.accuracy import Agreement, ImagePrediction
from edgeq.spec.images import Image

LABEL_SCORE = 0.25
"""What the float model finds with at least this score counts as an instance."""


def own_labels(
    found: Sequence[ImagePrediction], files: Mapping[int, Image], classes: Sequence[str]
) -> Dataset:
    """Annotations made of the float model's own detections; its AP on them is 1."""
    instances = [
        Instance(image.id, label, mask, box, extent(mask)[0])
        for image in found
        for label, score, mask, box in zip(
            image.labels, image.scores, image.masks, image.boxes, strict=True
        )
        if score >= LABEL_SCORE
    ]
    annotations = Annotations(
        where="the float model's detections",
        images=tuple(
            AnnotatedImage(
                id=one.id,
                file_name=files[one.id].path.name,
                height=one.height,
                width=one.width,
            )
            for one in found
        ),
        categories=tuple(Category(id=i, name=name) for i, name in enumerate(classes)),
        instances=tuple(instances),
    )
    return Dataset(annotations, dict(files), {i: i for i in range(len(classes))})


def agreeing(own: Dataset, found: Sequence[ImagePrediction]) -> Matches:
    """Predictions matched to the float model's `own_labels`."""
    return match(own.annotations, found, own.categories, list(own.files))


def agreement(*sides: Matches) -> Agreement | None:
    """How well one run agrees with the float model, or several of one plan on average.

    `sides` are `agreeing`. None where the float model finds nothing.
    """
    mask, box = (resampled(sides, kind) for kind in KINDS)
    return Agreement(mask=interval(mask), box=interval(box)) if mask and box else None
