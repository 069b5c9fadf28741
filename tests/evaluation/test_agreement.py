from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.evaluation.agreement import LABEL_SCORE, agreeing, agreement, own_labels
from edgeq.evaluation.annotations import Category, Instance
from edgeq.spec.images import Image

from .reference import pycocotools
from .scenes import Scene, draw, thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeq.evaluation.dataset import Dataset
    from edgeq.evaluation.evaluator import Kind
    from edgeq.records.accuracy import ImagePrediction


def own(scene: Scene, found: Sequence[ImagePrediction] | None = None) -> Dataset:
    """What a scene's predictions are as labels; the files are only named."""
    files = {image.id: Image(Path(image.file_name), "") for image in scene.annotations.images}
    classes = [f"class {label}" for label in scene.class_to_category]
    return own_labels(scene.predictions if found is None else found, files, classes)


def without_scores_below(found: Sequence[ImagePrediction], least: float) -> list[ImagePrediction]:
    kept = []
    for image in found:
        count = sum(score >= least for score in image.scores)  # the best come first
        names = ("boxes", "labels", "scores", "masks")
        kept.append(image.model_copy(update={n: getattr(image, n)[:count] for n in names}))
    return kept


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(1, 6))
def test_float_model_agrees_with_itself_whatever_it_finds(seed: int, images: int) -> None:
    scene = draw(seed, images=images, ties=False)
    labels = own(scene)
    found = agreement(agreeing(labels, scene.predictions))
    if not labels.annotations.instances:
        assert found is None
        return
    assert found is not None
    for one in (found.mask, found.box):
        assert (one.low, one.estimate, one.high) == pytest.approx((1, 1, 1), abs=1e-9)


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_agreement_is_pycocotools_ap_on_the_sure_detections(kind: Kind, seed: int) -> None:
    scene = draw(seed, ties=False)
    sure = [
        Instance(image.id, label, mask, box, area=1.0, crowd=False)
        for image in scene.predictions
        for label, score, mask, box in zip(
            image.labels, image.scores, image.masks, image.boxes, strict=True
        )
        if score >= LABEL_SCORE
    ]
    categories = tuple(Category(id=n, name=str(n)) for n in scene.class_to_category)
    labelled = Scene(
        replace(scene.annotations, categories=categories, instances=tuple(sure)),
        thinned(scene.predictions),
        {n: n for n in scene.class_to_category},
    )
    expected = pycocotools(labelled, kind).ap
    found = agreement(agreeing(own(scene), labelled.predictions))
    assert (found is None) == (expected is None)
    if found is not None:
        one = getattr(found, kind)
        assert one.estimate == pytest.approx(expected, abs=1e-9)
        assert one.low <= one.estimate <= one.high


def test_what_the_float_model_is_not_sure_of_is_no_label_and_costs_nothing() -> None:
    scene = draw(21, images=6, ties=False)
    sure = without_scores_below(scene.predictions, LABEL_SCORE)
    assert sum(len(image.scores) for image in sure) < sum(
        len(image.scores) for image in scene.predictions
    )
    assert agreement(agreeing(own(scene), sure)) == agreement(
        agreeing(own(scene, sure), scene.predictions)
    )


def test_there_is_nothing_to_agree_with_where_the_float_model_is_sure_of_nothing() -> None:
    scene = draw(21, images=3)
    labels = own(scene, without_scores_below(scene.predictions, 2))
    assert agreement(agreeing(labels, scene.predictions)) is None
