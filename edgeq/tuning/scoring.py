"""What variants lose in AP: against annotations, or against what the float model finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgeq.evaluation import bootstrap
from edgeq.evaluation.annotations import AnnotatedImage, Annotations, Category, Instance
from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.matches import match
from edgeq.evaluation.segmentation import extent
from edgeq.records.accuracy import ImagePrediction, Interval
from edgeq.spec.images import Image

LABEL_SCORE = 0.25
"""What the float model finds with at least this score counts as an instance."""

KINDS: tuple[Kind, Kind] = ("mask", "box")
Drops = dict[Kind, Interval | None]


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


def drops(
    labels: Dataset,
    reference: Sequence[ImagePrediction],
    others: Mapping[str, Sequence[ImagePrediction]],
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Drops]:
    """Mask and box AP of the reference minus that of the others, on the same images."""
    ids = list(labels.files)
    expected = match(labels.annotations, reference, labels.categories, ids)
    lost: dict[str, Drops] = {}
    for name, found in others.items():
        matches = match(labels.annotations, found, labels.categories, ids)
        lost[name] = {kind: bootstrap.drop(expected, matches, kind) for kind in KINDS}
        progress(len(lost))
    return lost
