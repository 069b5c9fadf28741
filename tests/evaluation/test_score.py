from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import InputError, InputErrors
from edgeq.evaluation.annotations import Category
from edgeq.evaluation.matches import match
from edgeq.evaluation.score import accuracy, score

from .reference import pycocotools
from .scenes import Scene, draw

if TYPE_CHECKING:
    from edgeq.evaluation.evaluator import Kind
    from edgeq.records.accuracy import AveragePrecision


def _summary(figures: AveragePrecision) -> tuple[float | None, ...]:
    return (
        figures.ap,
        figures.ap50,
        figures.ap75,
        figures.small,
        figures.medium,
        figures.large,
    )


def _score(scene: Scene, kind: Kind) -> AveragePrecision:
    scored = score(scene.annotations, scene.predictions, scene.class_to_category)
    return scored.mask if kind == "mask" else scored.box


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(1, 6), ties=st.booleans())
def test_figures_equal_those_of_pycocotools(kind: Kind, seed: int, images: int, ties: bool) -> None:
    scene = draw(seed, images=images, ties=ties)
    figures, expected = _score(scene, kind), pycocotools(scene, kind)
    assert _summary(figures) == pytest.approx(expected.summary, abs=1e-9)
    names = {category.name: category.id for category in scene.annotations.categories}
    by_category = {names[name]: value for name, value in figures.by_class.items()}
    assert by_category == pytest.approx(expected.by_category, abs=1e-9)


def test_more_than_a_hundred_detections_of_a_class_are_cut_as_by_pycocotools() -> None:
    scene = draw(7, images=2, classes=1)
    first = scene.predictions[0]
    assert first.labels
    many = first.model_copy(
        update={
            "boxes": first.boxes * 120,
            "labels": first.labels * 120,
            "scores": tuple(0.9 - 1e-4 * n for n in range(120 * len(first.labels))),
            "masks": first.masks * 120,
        }
    )
    scene = replace(scene, predictions=(many, *scene.predictions[1:]))
    expected = pycocotools(scene, "mask").summary
    assert _summary(_score(scene, "mask")) == pytest.approx(expected, abs=1e-9)


def test_only_the_named_images_count() -> None:
    scene = draw(11, images=5)
    wanted = [image.id for image in scene.annotations.images[:2]]
    part = replace(
        scene,
        annotations=replace(
            scene.annotations,
            images=scene.annotations.images[:2],
            instances=tuple(i for i in scene.annotations.instances if i.image_id in wanted),
        ),
        predictions=scene.predictions[:2],
    )
    scored = score(scene.annotations, scene.predictions, scene.class_to_category, wanted)
    assert scored == score(part.annotations, part.predictions, part.class_to_category)
    assert scored.images == 2


def test_classes_without_a_category_are_dropped() -> None:
    scene = draw(5, images=4, classes=3)
    one = {0: scene.class_to_category[0]}
    scored = score(scene.annotations, scene.predictions, one)
    everything = score(scene.annotations, scene.predictions, scene.class_to_category)
    (name,) = scored.mask.by_class
    assert scored.mask.ap == everything.mask.by_class[name]
    assert scored.instances < everything.instances


def test_two_classes_may_share_a_category() -> None:
    scene = draw(3, images=4, classes=1)
    (category,) = scene.class_to_category.values()
    relabelled = [
        p.model_copy(update={"labels": tuple(n % 2 for n, _ in enumerate(p.labels))})
        for p in scene.predictions
    ]
    shared = score(scene.annotations, relabelled, {0: category, 1: category})
    assert shared == score(scene.annotations, scene.predictions, scene.class_to_category)


def test_crowds_are_no_instances() -> None:
    scene = draw(3)
    crowds = replace(
        scene.annotations,
        instances=tuple(replace(i, crowd=True) for i in scene.annotations.instances),
    )
    scored = score(crowds, scene.predictions, scene.class_to_category)
    assert scored.instances == 0
    assert scored.mask.ap is None
    assert set(scored.box.by_class.values()) == {None}


def test_categories_of_one_name_are_told_apart() -> None:
    scene = draw(3, classes=2)
    twins = replace(
        scene.annotations,
        categories=tuple(Category(id=c.id, name="pig") for c in scene.annotations.categories),
    )
    scored = score(twins, scene.predictions, scene.class_to_category)
    assert set(scored.mask.by_class) == {f"pig ({c.id})" for c in twins.categories}


def test_evaluation_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    scene = draw(1)
    accuracy(match(scene.annotations, scene.predictions, scene.class_to_category))
    assert capfd.readouterr() == ("", "")


def test_images_without_a_prediction_are_named_together() -> None:
    scene = draw(1, images=3)
    with pytest.raises(InputErrors) as caught:
        match(scene.annotations, scene.predictions[:1], scene.class_to_category)
    missing = [image.file_name for image in scene.annotations.images[1:]]
    assert [name in str(p) for name, p in zip(missing, caught.value.problems, strict=True)]


def test_image_of_another_size_than_annotated_is_refused() -> None:
    scene = draw(1, images=2)
    turned = scene.predictions[0].model_copy(update={"height": 140, "width": 110})
    with pytest.raises(InputError, match="annotated as 140x110 pixels, predicted as 110x140"):
        match(scene.annotations, [turned, scene.predictions[1]], scene.class_to_category)


@pytest.mark.parametrize(
    ("class_to_category", "image_ids", "message"),
    [
        ({}, None, "no class of the model maps to a category"),
        ({0: 4711}, None, "category 4711 is not among the categories"),
        (None, [], "no image is to be scored"),
        (None, [4711], "image 4711 is not among the images"),
    ],
)
def test_what_the_annotations_do_not_have_is_refused(
    class_to_category: dict[int, int] | None, image_ids: list[int] | None, message: str
) -> None:
    scene = draw(1)
    mapping = scene.class_to_category if class_to_category is None else class_to_category
    with pytest.raises(InputError, match=message):
        match(scene.annotations, scene.predictions, mapping, image_ids)
