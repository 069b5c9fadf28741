"""What was found beside what is annotated, of all categories: every overlap, computed once.

The evaluator compares within a category; what was taken for something else is seen only here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeq.evaluation.evaluator import MAX_DETECTIONS, Kind
from edgeq.evaluation.scope import Scope, scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from edgeq.evaluation.annotations import Annotations, Category, Instance
    from edgeq.records.accuracy import ImagePrediction, RunLength


@dataclass(frozen=True, eq=False)
class ImageOverlaps:
    """One image: `rows` (D,) point into the detections, `instances` (G,) into what is annotated.

    The best score is first; `mask` and `box` (D, G) are intersections over unions, of a crowd over
    the detection's own area.
    """

    rows: NDArray[np.intp]
    instances: NDArray[np.intp]
    mask: NDArray[np.float64]
    box: NDArray[np.float64]

    def of(self, kind: Kind) -> NDArray[np.float64]:
        """The overlaps of one kind."""
        return self.mask if kind == "mask" else self.box


@dataclass(frozen=True, eq=False)
class Annotated:
    """The instances of all images (M,): index of image and category, square pixels, crowds."""

    image: NDArray[np.intp]
    category: NDArray[np.intp]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    masks: tuple[RunLength, ...]


@dataclass(frozen=True, eq=False)
class Found:
    """The detections of all images (N,), best score first: where, what, how sure and how large.

    `row` is the place in the image's prediction.
    """

    image: NDArray[np.intp]
    category: NDArray[np.intp]
    scores: NDArray[np.float64]
    row: NDArray[np.intp]
    mask_area: NDArray[np.float64]
    box_area: NDArray[np.float64]
    masks: tuple[RunLength, ...]

    def area(self, kind: Kind) -> NDArray[np.float64]:
        """The square pixels of masks or of boxes (N,)."""
        return self.mask_area if kind == "mask" else self.box_area


@dataclass(frozen=True, eq=False)
class Overlaps:
    """One set of predictions beside the annotations of I images and K categories."""

    categories: tuple[Category, ...]
    annotated: Annotated
    found: Found
    images: tuple[ImageOverlaps, ...]


def overlaps(
    annotations: Annotations,
    predictions: Sequence[ImagePrediction],
    class_to_category: Mapping[int, int],
    image_ids: Sequence[int] | None = None,
) -> Overlaps:
    """Every detection beside every instance of its image; arguments and errors of `match`."""
    within = scope(annotations, predictions, class_to_category, image_ids)
    place = {category.id: index for index, category in enumerate(within.categories)}
    index_of = {image.id: index for index, image in enumerate(within.images)}
    instances = [
        one
        for one in annotations.instances
        if one.category_id in place and one.image_id in index_of
    ]
    annotated = Annotated(
        image=np.array([index_of[one.image_id] for one in instances], np.intp),
        category=np.array([place[one.category_id] for one in instances], np.intp),
        area=np.array([one.area for one in instances], np.float64),
        crowd=np.array([one.crowd for one in instances], np.bool_),
        masks=tuple(one.mask for one in instances),
    )
    chosen = _chosen(within, {i: place[id_] for i, id_ in class_to_category.items()})
    found = _found(within, chosen)
    images = []
    for index, prediction in enumerate(within.found):
        rows = np.flatnonzero(found.image == index)
        columns = np.flatnonzero(annotated.image == index)
        here = [instances[column] for column in columns]
        mask, box = _beside(prediction, found.row[rows], here)
        images.append(ImageOverlaps(rows, columns, mask, box))
    return Overlaps(within.categories, annotated, found, tuple(images))


def _chosen(within: Scope, class_to_place: Mapping[int, int]) -> list[tuple[int, int, float, int]]:
    """Image, category, score and row of each detection that counts, best score first.

    Sorted as COCO does: ties keep the order of the images and of the engine.
    """
    chosen = []
    for index, image in enumerate(within.found):
        order = sorted(range(len(image.scores)), key=lambda row: -image.scores[row])
        count = np.zeros(len(within.categories), np.int64)
        for row in order:
            place = class_to_place.get(image.labels[row])
            if place is not None and count[place] < MAX_DETECTIONS:
                count[place] += 1
                chosen.append((index, place, image.scores[row], row))
    return sorted(chosen, key=lambda one: -one[2])


def _found(within: Scope, chosen: Sequence[tuple[int, int, float, int]]) -> Found:
    from faster_coco_eval import mask as masks

    image, category, scores, row = zip(*chosen, strict=True) if chosen else ((), (), (), ())
    of_each = tuple(within.found[i].masks[r] for i, _, _, r in chosen)
    boxes = [within.found[i].boxes[r] for i, _, _, r in chosen]
    areas = masks.area([runs(mask) for mask in of_each]) if of_each else []
    return Found(
        image=np.array(image, np.intp),
        category=np.array(category, np.intp),
        scores=np.array(scores, np.float64),
        row=np.array(row, np.intp),
        mask_area=np.array(areas, np.float64),
        box_area=np.array([box[2] * box[3] for box in boxes], np.float64),
        masks=of_each,
    )


def _beside(
    image: ImagePrediction, rows: NDArray[np.intp], instances: Sequence[Instance]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The overlaps (D, G) of an image's masks and boxes with its instances."""
    from faster_coco_eval import mask as masks

    if not len(rows) or not instances:
        empty = np.zeros((len(rows), len(instances)))
        return empty, empty
    crowds = [int(one.crowd) for one in instances]
    by_mask = masks.iou(
        [runs(image.masks[row]) for row in rows], [runs(one.mask) for one in instances], crowds
    )
    by_box = masks.iou(
        np.array([image.boxes[row] for row in rows], np.float64),
        np.array([one.box for one in instances], np.float64),
        crowds,
    )
    return np.asarray(by_mask, np.float64), np.asarray(by_box, np.float64)


def runs(mask: RunLength) -> dict[str, Any]:
    """A mask as the evaluator takes it."""
    return {"size": list(mask.size), "counts": mask.counts}
