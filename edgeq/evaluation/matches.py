"""One evaluator run per set of predictions, from which the score and its bootstrap are taken."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeq.errors import InputError, raise_all
from edgeq.evaluation.annotations import AnnotatedImage, Annotations, Category, Instance
from edgeq.evaluation.evaluator import Cell, Detection, Kind, evaluate
from edgeq.evaluation.hits import CategoryHits, category_hits

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
    classes are dropped, and so are categories that no class maps to. An image without a
    prediction is refused: it says that the engine did not run, not that it found nothing.
    Raises InputError or InputErrors for what does not fit together.
    Source: COCO's evaluator (https://cocodataset.org/#detection-eval).
    """
    where = annotations.where
    images = _images(annotations, image_ids)
    categories = _categories(annotations, class_to_category)
    by_image = {prediction.id: prediction for prediction in predictions}
    raise_all([p for image in images for p in _problems(where, image, by_image)])
    found = [by_image[image.id] for image in images]
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


def _images(
    annotations: Annotations, image_ids: Sequence[int] | None
) -> tuple[AnnotatedImage, ...]:
    where = annotations.where
    known = {image.id: image for image in annotations.images}
    wanted = sorted(known if image_ids is None else set(image_ids))
    if not wanted:
        raise InputError(where, "no image is to be scored", "name at least one")
    unknown = [id_ for id_ in wanted if id_ not in known]
    raise_all([InputError(where, f"image {id_} is not among the images") for id_ in unknown])
    return tuple(known[id_] for id_ in wanted)


def _categories(
    annotations: Annotations, class_to_category: Mapping[int, int]
) -> tuple[Category, ...]:
    where, remedy = annotations.where, "map classes to categories of the annotations"
    known = {category.id: category for category in annotations.categories}
    wanted = sorted(set(class_to_category.values()))
    if not wanted:
        raise InputError(where, "no class of the model maps to a category", remedy)
    unknown = [id_ for id_ in wanted if id_ not in known]
    raise_all(
        [
            InputError(where, f"category {id_} is not among the categories", remedy)
            for id_ in unknown
        ]
    )
    return tuple(known[id_] for id_ in wanted)


def _problems(
    where: str, image: AnnotatedImage, by_image: Mapping[int, ImagePrediction]
) -> list[InputError]:
    """Why the prediction of one image cannot be scored; none when it can."""
    found = by_image.get(image.id)
    size = (image.height, image.width)
    if found is None:
        what = f"image {image.id} ({image.file_name}) has no prediction"
        return [InputError(where, what, "predict all images that are scored")]
    sizes = {(found.height, found.width), *(mask.size for mask in found.masks)} - {size}
    if sizes:
        height, width = sizes.pop()
        what = (
            f"{image.file_name} is annotated as {image.width}x{image.height} pixels, "
            f"predicted as {width}x{height}"
        )
        return [InputError(where, what, "annotate these very files")]
    return []


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
