"""When a float model is no reference, and what is said to be the cause."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.evaluation import annotations as coco
from edgeq.evaluation.annotations import Annotations
from edgeq.evaluation.bootstrap import precision
from edgeq.evaluation.doubt import Doubt, doubt
from edgeq.evaluation.matches import match
from edgeq.evaluation.score import accuracy
from edgeq.records.accuracy import ImagePrediction

CLASSES = {0: 1, 1: 2, 2: 3}


@pytest.fixture(scope="module")
def labels(small_demo: Path) -> Annotations:
    return coco.load(small_demo / "instances.json")


def predictions(
    labels: Annotations, score: float = 0.9, shift: int = 0, images: int | None = None
) -> list[ImagePrediction]:
    """What was annotated, found in the first images, of a class `shift` further."""
    found = []
    for number, image in enumerate(labels.images):
        there = [one for one in labels.instances if one.image_id == image.id]
        there = there if images is None or number < images else []
        found.append(
            ImagePrediction(
                id=image.id,
                height=image.height,
                width=image.width,
                boxes=tuple(one.box for one in there),
                labels=tuple((one.category_id - 1 + shift) % 3 for one in there),
                scores=(score,) * len(there),
                masks=tuple(one.mask for one in there),
            )
        )
    return found


def doubted(labels: Annotations, found: list[ImagePrediction], floor: float = 0.05) -> Doubt:
    return doubt(match(labels, found, CLASSES), labels, found, floor)


def test_model_that_finds_what_is_there_is_a_reference(labels: Annotations) -> None:
    assert doubted(labels, predictions(labels)) == Doubt()


def test_model_that_is_sure_of_nothing(labels: Annotations) -> None:
    # One that finds nothing at all, and one whose scores are noise.
    for found in (predictions(labels, images=0), predictions(labels, 0.01, shift=1)):
        kinds, reason = doubted(labels, found)
        assert kinds == ("mask", "box")
        assert "mask AP 0.0000" in reason and "it is sure of nothing" in reason
        assert "mean and std" in reason


def test_model_that_calls_objects_by_other_classes(labels: Annotations) -> None:
    kinds, reason = doubted(labels, predictions(labels, shift=1))
    assert kinds == ("mask", "box") and "calls them by other classes" in reason


def test_model_that_finds_objects_elsewhere(labels: Annotations) -> None:
    found = [
        image.model_copy(
            update={
                "boxes": tuple((0.0, 0.0, 2.0, 2.0) for _ in image.boxes),
                "masks": tuple(image.masks[::-1]),
            }
        )
        for image in predictions(labels, shift=1)
    ]
    assert "where none are annotated" in doubted(labels, found).reason


def test_accuracy_that_may_be_chance_is_doubted_above_the_floor(labels: Annotations) -> None:
    found = predictions(labels, images=1)
    interval = precision(match(labels, found, CLASSES), "mask")
    assert interval is not None and interval.estimate > 0.05 and interval.low == 0
    assert doubted(labels, found).kinds == ("mask", "box")


def test_floor_is_the_recipes(labels: Annotations) -> None:
    found = predictions(labels, images=4)
    assert doubted(labels, found).kinds == ()
    assert "evaluate.float_ap_floor is 0.99" in doubted(labels, found, 0.99).reason


def test_interval_is_around_the_average_precision(labels: Annotations) -> None:
    matches = match(labels, predictions(labels, images=4), CLASSES)
    interval = precision(matches, "mask")
    assert interval is not None
    assert interval.estimate == pytest.approx(accuracy(matches).mask.ap)
    assert interval.low < interval.estimate < interval.high
