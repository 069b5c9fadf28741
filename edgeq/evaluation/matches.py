"""One evaluator run per set of predictions, from which the score and its bootstrap are taken."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeq.evaluation.annotations import AnnotatedImage, Annotations, Category, Instance
from edgeq.evaluation.evaluator import Cell, Detection, Kind, evaluate
from edgeq.evaluation.hits import CategoryHits, category_hits
from edgeq.evaluation.scope import scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edgeq.records.accuracy import ImagePrediction


@dataclass(frozen=True, eq=False)
class KindMatches:
    """The matches by mask or by box, per category in the order of `Matches.categories` (K).

    `precision` (10, K, 4) is the evaluator's, by IoU threshold, category and area; NaN where
    nothing is annotated.
    """

    precision: NDArray[np.float64]
    hits: tuple[CategoryHits, ...]


@dataclass(frozen=True, eq=False)
class Matches:
    """One set of predictions against the annotations of `image_ids` (ascending)."""

    image_ids: tuple[int, ...]
    categories: tuple[Category, ...]
    instances: int
    mask: KindMatches
    box: KindMatches

    def of(self, kind: Kind) -> KindMatches:
        """The matches of one kind."""
        return self.mask if kind == "mask" else self.box


def match(
    annotations: Annotations,
    predictions: Sequence[ImagePrediction],
    class_to_category: Mapping[int, int],
    image_ids: Sequence[int] | None = None,
) -> Matches:
    """Predictions matched to the annotations of `image_ids` (default: of all images).

    `class_to_category` maps class indices of the model to category ids; detections of other
    classes are dropped, and so are categories that no class maps to. Raises as `scope` does.
    Source: COCO's evaluator (https://cocodataset.org/#detection-eval).
    """
    within = scope(annotations, predictions, class_to_category, image_ids)
    images, found, categories = within.images, within.found, within.categories
    cells = _cells(images, categories, annotations.instances, found, class_to_category)
    sizes = [(image.height, image.width) for image in images]
    return Matches(
        image_ids=tuple(image.id for image in images),
        categories=categories,
        instances=sum(
            not instance.crowd for row in cells for cell in row for instance in cell.instances
        ),
        mask=_matches(cells, sizes, "mask"),
        box=_matches(cells, sizes, "box"),
    )


def _cells(
    images: Sequence[AnnotatedImage],
    categories: Sequence[Category],
    instances: Sequence[Instance],
    found: Sequence[ImagePrediction],
    class_to_category: Mapping[int, int],
) -> list[list[Cell]]:
    """What each image holds of each category, `[category][image]`."""
    annotated: dict[tuple[int, int], list[Instance]] = defaultdict(list)
    detected: dict[tuple[int, int], list[Detection]] = defaultdict(list)
    for instance in instances:
        annotated[instance.category_id, instance.image_id].append(instance)
    for image in found:
        rows = zip(image.labels, image.scores, image.masks, image.boxes, strict=True)
        for label, score, mask, box in rows:
            if label in class_to_category:
                detected[class_to_category[label], image.id].append(Detection(score, mask, box))
    return [
        [
            Cell(
                instances=tuple(annotated.get((category.id, image.id), ())),
                detections=tuple(detected.get((category.id, image.id), ())),
            )
            for image in images
        ]
        for category in categories
    ]


def _matches(
    cells: Sequence[Sequence[Cell]], image_sizes: Sequence[tuple[int, int]], kind: Kind
) -> KindMatches:
    evaluation = evaluate(cells, image_sizes, kind)
    hits = [category_hits(row, ious) for row, ious in zip(cells, evaluation.ious, strict=True)]
    return KindMatches(precision=evaluation.precision, hits=tuple(hits))
