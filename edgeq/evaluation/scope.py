"""What is scored: which images, which categories, and whether there are predictions that fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeq.errors import InputError, raise_all
from edgeq.evaluation.annotations import AnnotatedImage, Annotations, Category

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeq.records.accuracy import ImagePrediction


@dataclass(frozen=True)
class Scope:
    """Images (by ascending id), their predictions beside them, and categories (the same)."""

    images: tuple[AnnotatedImage, ...]
    found: tuple[ImagePrediction, ...]
    categories: tuple[Category, ...]


def scope(
    annotations: Annotations,
    predictions: Sequence[ImagePrediction],
    class_to_category: Mapping[int, int],
    image_ids: Sequence[int] | None = None,
) -> Scope:
    """What of the annotations is scored against predictions; `image_ids` are all by default.

    An image without a prediction is refused: it says that the engine did not run, not that it
    found nothing. Raises InputError or InputErrors for what does not fit together.
    """
    where = annotations.where
    images = _images(annotations, image_ids)
    categories = _categories(annotations, class_to_category)
    by_image = {prediction.id: prediction for prediction in predictions}
    raise_all([p for image in images for p in _problems(where, image, by_image)])
    return Scope(images, tuple(by_image[image.id] for image in images), categories)


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
