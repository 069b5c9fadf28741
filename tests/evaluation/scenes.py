"""Drawn annotations and predictions: small, and with everything that COCO's rules speak of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as masks

from edgeq.evaluation.annotations import AnnotatedImage, Annotations, Category, Instance
from edgeq.records.accuracy import ImagePrediction, RunLength

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HEIGHT, WIDTH = 110, 140  # large objects begin at 96 x 96 pixels

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Scene:
    annotations: Annotations
    predictions: tuple[ImagePrediction, ...]
    class_to_category: dict[int, int]


def draw(seed: int, images: int = 4, classes: int = 3, ties: bool = True) -> Scene:
    """A scene with crowds, unannotated and empty images, a class without instances, ties."""
    rng = np.random.default_rng(seed)
    ids = sorted(rng.choice(1000, images, replace=False).tolist())
    category_ids = rng.choice(100, classes, replace=False).tolist()
    instances: list[Instance] = []
    predictions = []
    for id_ in ids:
        annotated = [
            _instance(rng, id_, category_ids[int(rng.integers(max(1, classes - 1)))])
            for _ in range(int(rng.integers(0, 6)))
        ]
        instances += annotated
        predictions.append(_prediction(rng, id_, annotated, category_ids, ties))
    return Scene(
        Annotations(
            "drawn.json",
            tuple(
                AnnotatedImage(id=i, file_name=f"{i}.png", height=HEIGHT, width=WIDTH) for i in ids
            ),
            tuple(Category(id=c, name=f"category {c}") for c in sorted(category_ids)),
            tuple(instances),
        ),
        tuple(predictions),
        dict(enumerate(category_ids)),
    )


def encoded(bitmap: NDArray[np.bool_]) -> RunLength:
    """A bitmap (height, width) as compressed run lengths, by pycocotools."""
    runs = masks.encode(np.asfortranarray(bitmap.astype(np.uint8)))
    return RunLength(size=(bitmap.shape[0], bitmap.shape[1]), counts=runs["counts"].decode())


def _instance(rng: np.random.Generator, image_id: int, category_id: int) -> Instance:
    box = _box(rng)
    bitmap = _blob(rng, box)
    crowd = bool(rng.random() < 0.15)
    return Instance(image_id, category_id, encoded(bitmap), box, float(bitmap.sum()), crowd)


def _prediction(
    rng: np.random.Generator,
    image_id: int,
    annotated: list[Instance],
    category_ids: list[int],
    ties: bool,
) -> ImagePrediction:
    rows: list[tuple[float, int, Box, RunLength]] = []
    for _ in range(int(rng.integers(0, 9)) if rng.random() < 0.9 else 0):
        if annotated and rng.random() < 0.75:
            near = annotated[int(rng.integers(len(annotated)))]
            label = category_ids.index(near.category_id)
            box = _moved(rng, near.box)
            exact = rng.random() < 0.3  # some masks coincide, so that overlaps tie
            mask = near.mask if exact else encoded(_blob(rng, box))
        else:
            box, label = _box(rng), int(rng.integers(len(category_ids)))
            mask = encoded(_blob(rng, box))
        score = float(rng.integers(1, 5)) / 5 if ties else float(rng.random())
        rows.append((score, label, box, mask))
    rows.sort(key=lambda row: -row[0])
    return ImagePrediction(
        id=image_id,
        height=HEIGHT,
        width=WIDTH,
        boxes=tuple(box for _, _, box, _ in rows),
        labels=tuple(label for _, label, _, _ in rows),
        scores=tuple(score for score, _, _, _ in rows),
        masks=tuple(mask for _, _, _, mask in rows),
    )


def _box(rng: np.random.Generator) -> Box:
    width, height = (int(rng.integers(4, side)) for side in (WIDTH, HEIGHT))
    x, y = int(rng.integers(0, WIDTH - width)), int(rng.integers(0, HEIGHT - height))
    return float(x), float(y), float(width), float(height)


def _moved(rng: np.random.Generator, box: Box) -> Box:
    x, y = (max(0.0, value + float(rng.integers(-3, 4))) for value in box[:2])
    return x, y, max(2.0, min(box[2], WIDTH - x)), max(2.0, min(box[3], HEIGHT - y))


def _blob(rng: np.random.Generator, box: Box) -> NDArray[np.bool_]:
    """The box or the ellipse in it, with a bite taken out."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    x, y, width, height = box
    bitmap = (columns >= x) & (columns < x + width) & (rows >= y) & (rows < y + height)
    if rng.random() < 0.5:
        across = (columns - x - width / 2) / (width / 2)
        bitmap &= across**2 + ((rows - y - height / 2) / (height / 2)) ** 2 <= 1
    if rng.random() < 0.5:
        bitmap &= ~((columns < x + width / 4) & (rows < y + height / 4))
    return np.asarray(bitmap)


def thinned(found: Sequence[ImagePrediction]) -> tuple[ImagePrediction, ...]:
    """Every second detection of each image."""
    return tuple(
        image.model_copy(
            update={
                "boxes": image.boxes[::2],
                "labels": image.labels[::2],
                "scores": image.scores[::2],
                "masks": image.masks[::2],
            }
        )
        for image in found
    )


def repeated(scene: Scene, counts: list[int]) -> Scene:
    """The scene with each image as often as `counts` says, copies side by side."""
    images, instances, predictions = [], [], []
    by_id: dict[int, ImagePrediction] = {p.id: p for p in scene.predictions}
    for image, count in zip(scene.annotations.images, counts, strict=True):
        for copy in range(count):
            id_ = image.id * 100 + copy
            images.append(image.model_copy(update={"id": id_}))
            predictions.append(by_id[image.id].model_copy(update={"id": id_}))
            instances += [
                Instance(id_, i.category_id, i.mask, i.box, i.area, i.crowd)
                for i in scene.annotations.instances
                if i.image_id == image.id
            ]
    annotations = Annotations(
        "repeated.json", tuple(images), scene.annotations.categories, tuple(instances)
    )
    return Scene(annotations, tuple(predictions), scene.class_to_category)


def coco_json(annotations: Annotations) -> dict[str, Any]:
    """The annotations as the content of a COCO file."""
    return {
        "images": [image.model_dump() for image in annotations.images],
        "categories": [category.model_dump() for category in annotations.categories],
        "annotations": [
            {
                "id": index,
                "image_id": instance.image_id,
                "category_id": instance.category_id,
                "segmentation": {"size": list(instance.mask.size), "counts": instance.mask.counts},
                "bbox": list(instance.box),
                "area": instance.area,
                "iscrowd": int(instance.crowd),
            }
            for index, instance in enumerate(annotations.instances, start=1)
        ],
    }


def arranged(
    instances: Sequence[tuple[int, Box]], detections: Sequence[tuple[int, float, Box]]
) -> Scene:
    """One image of rectangles: category and box of instances; class, score and box of detections.

    Class and category have the same number, 0 and 1.
    """
    bitmaps = [_rectangle(box) for _, box in instances]
    image = AnnotatedImage(id=1, file_name="1.png", height=HEIGHT, width=WIDTH)
    annotations = Annotations(
        "arranged.json",
        (image,),
        (Category(id=0, name="calf"), Category(id=1, name="cow")),
        tuple(
            Instance(1, category, encoded(bitmap), box, float(bitmap.sum()))
            for (category, box), bitmap in zip(instances, bitmaps, strict=True)
        ),
    )
    return Scene(annotations, (predicted(detections),), {0: 0, 1: 1})


def predicted(detections: Sequence[tuple[int, float, Box]], image_id: int = 1) -> ImagePrediction:
    """Rectangles found on an image: class, score and box."""
    rows = sorted(detections, key=lambda row: -row[1])
    return ImagePrediction(
        id=image_id,
        height=HEIGHT,
        width=WIDTH,
        boxes=tuple(box for _, _, box in rows),
        labels=tuple(label for label, _, _ in rows),
        scores=tuple(score for _, score, _ in rows),
        masks=tuple(encoded(_rectangle(box)) for _, _, box in rows),
    )


def _rectangle(box: Box) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    x, y, width, height = box
    return np.asarray(
        (columns >= x) & (columns < x + width) & (rows >= y) & (rows < y + height), np.bool_
    )


def above(found: Sequence[ImagePrediction], threshold: float) -> tuple[ImagePrediction, ...]:
    """What an application keeps of the detections of each image."""
    kept = []
    for image in found:
        rows = [row for row, score in enumerate(image.scores) if score >= threshold]
        columns = ("boxes", "labels", "scores", "masks")
        update = {name: tuple(getattr(image, name)[row] for row in rows) for name in columns}
        kept.append(image.model_copy(update=update))
    return tuple(kept)
