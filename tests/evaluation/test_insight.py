from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from edgeq.evaluation.dataset import Dataset
from edgeq.evaluation.insight import look_into
from edgeq.evaluation.matches import match
from edgeq.evaluation.score import accuracy
from edgeq.records.insight import Insight
from edgeq.spec.images import Image

from .scenes import Scene, draw, thinned


def dataset(scene: Scene) -> Dataset:
    files = {image.id: Image(Path(image.file_name), "0" * 64) for image in scene.annotations.images}
    return Dataset(scene.annotations, files, scene.class_to_category)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return draw(21, images=8, classes=4)


@pytest.fixture(scope="module")
def insight(scene: Scene) -> Insight:
    columns = {"float": scene.predictions, "device": thinned(scene.predictions)}
    return look_into(dataset(scene), columns, 0.5)


def test_insight_survives_json(insight: Insight) -> None:
    assert Insight.model_validate_json(insight.model_dump_json()) == insight


def test_columns_are_held_to_the_first(scene: Scene, insight: Insight) -> None:
    reference, device = insight.columns
    assert reference == insight.reference
    assert (reference.images, reference.outlines.drop) == ((), None)
    assert all(one.drop is None for one in reference.mask.by_class)
    assert {one.id for one in device.images} == {one.id for one in scene.annotations.images}
    assert [one.amount for one in device.images] == sorted(
        (one.amount for one in device.images), reverse=True
    )
    assert device.outlines.drop is not None
    assert all(one.drop is not None for one in device.mask.by_class)
    assert 0 <= device.mask.by_chance <= 0.05 * len(device.mask.by_class) + 1e-9


def test_figures_are_those_of_the_accuracy(scene: Scene, insight: Insight) -> None:
    for column, found in zip(
        insight.columns, (scene.predictions, thinned(scene.predictions)), strict=True
    ):
        expected = accuracy(match(scene.annotations, found, scene.class_to_category))
        for part, ap in ((column.mask, expected.mask), (column.box, expected.box)):
            by_class = {name: value for name, value in ap.by_class.items() if value is not None}
            assert {one.name: one.ap for one in part.by_class} == pytest.approx(by_class)
            sizes = [one.ap for one in part.by_size]
            assert sizes == pytest.approx([ap.small, ap.medium, ap.large])
        assert (
            insight.instances
            == expected.instances
            == sum(one.count for one in column.confusion if one.annotated)
        )


def test_without_a_threshold_it_is_the_best_of_the_reference(scene: Scene) -> None:
    columns = {"float": scene.predictions, "device": thinned(scene.predictions)}
    found = look_into(dataset(scene), columns)
    best = found.reference.mask.curve.best
    assert best is not None
    assert found.threshold_from == "best" and found.threshold < best.threshold
    # Nothing of the reference lies between: it keeps the same, and has the same F1.
    scores = [score for image in scene.predictions for score in image.scores]
    assert not any(found.threshold <= score < best.threshold for score in scores)
    assert found.reference.mask.curve.deployed.f1 == best.f1
    assert found.columns[1].mask.curve.deployed.threshold == found.threshold


def test_what_differs_comes_before_what_only_looks_otherwise(scene: Scene) -> None:
    columns = {"float": scene.predictions, "device": thinned(scene.predictions)}
    images = look_into(dataset(scene), columns, 0.01).columns[1].images
    assert [one.is_alike for one in images] == sorted(one.is_alike for one in images)
    for one, two in pairwise(images):
        assert one.is_alike < two.is_alike or one.amount >= two.amount


def test_equal_columns_differ_by_nothing(scene: Scene) -> None:
    columns = {"float": scene.predictions, "device": scene.predictions}
    reference, device = look_into(dataset(scene), columns, 0.5).columns
    assert device.confusion == reference.confusion
    assert device.mask.mistakes == reference.mask.mistakes
    for one in (*device.mask.by_class, *device.box.by_class):
        assert one.drop is not None
        assert (one.drop.low, one.drop.high, one.outcome) == (0, 0, "cannot tell")
    assert not any(one.amount for one in device.images)


def test_nothing_annotated_and_nothing_found_gives_no_figures(scene: Scene) -> None:
    bare = replace(scene, annotations=replace(scene.annotations, instances=()))
    nothing = tuple(
        image.model_copy(update=dict.fromkeys(("boxes", "labels", "scores", "masks"), ()))
        for image in bare.predictions
    )
    found = look_into(dataset(bare), {"float": nothing, "device": nothing})
    assert Insight.model_validate_json(found.model_dump_json()) == found
    assert (found.instances, found.reference.mask.by_class) == (0, ())
    assert found.reference.outlines.ap is None
    assert all(one.count == 0 for one in found.reference.mask.mistakes)
