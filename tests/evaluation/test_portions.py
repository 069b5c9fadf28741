from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.evaluation import bootstrap
from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.judged import judge_hits
from edgeq.evaluation.matches import match
from edgeq.evaluation.overlaps import Overlaps, overlaps
from edgeq.evaluation.portions import (
    Weights,
    drawn_images,
    portions,
    sampled_classes,
    sampled_sizes,
)
from edgeq.records.accuracy import Interval
from edgeq.records.insight import Portion

from .reference import pycocotools
from .scenes import Scene, draw, repeated, thinned


def beside(scene: Scene) -> Overlaps:
    return overlaps(scene.annotations, scene.predictions, scene.class_to_category)


def worse(scene: Scene) -> Scene:
    return replace(scene, predictions=thinned(scene.predictions))


def by_class(scene: Scene, other: Scene, kind: Kind, weights: Weights) -> tuple[Portion, ...]:
    first, second = (
        sampled_classes(beside(one), judge_hits(beside(one), kind), weights)
        for one in (scene, other)
    )
    return portions(second, first)


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_class_by_itself_has_the_same_ap_and_drop(kind: Kind, seed: int) -> None:
    scene = draw(seed, images=5)
    found = by_class(scene, worse(scene), kind, drawn_images(5, 40))
    names = {category.id: category.name for category in scene.annotations.categories}
    expected = []
    for label, category in scene.class_to_category.items():
        before, after = (
            match(scene.annotations, one.predictions, {label: category})
            for one in (scene, worse(scene))
        )
        counted = [
            i for i in scene.annotations.instances if i.category_id == category and not i.crowd
        ]
        precision = bootstrap.precision(after, kind, resamples=1)
        if precision is not None:
            expected.append(
                Portion(
                    name=names[category],
                    instances=len(counted),
                    images=len({i.image_id for i in counted}),
                    ap=precision.estimate,
                    drop=bootstrap.drop(before, after, kind, resamples=40),
                )
            )
    assert sorted(found, key=lambda one: one.name) == sorted(expected, key=lambda one: one.name)


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_resampled_sizes_are_pycocotools_on_the_repeated_images(kind: Kind, seed: int) -> None:
    # Scores that tie within one image would be interleaved by pycocotools' copies.
    scene = draw(seed, images=4, ties=False)
    weights = drawn_images(4, 3)
    found = sampled_sizes(beside(scene), kind, weights)
    assert [one.name for one in found] == ["small", "medium", "large"]
    for row, counts in enumerate(weights.tolist()):
        expected = pycocotools(repeated(scene, counts), kind).summary[3:]
        for one, ap in zip(found, expected, strict=True):
            value = np.nan if ap is None else ap
            assert one.values[row] == pytest.approx(value, abs=1e-9, nan_ok=True)


def test_sizes_add_up_to_all_instances() -> None:
    scene = draw(21, images=6)
    sizes = portions(sampled_sizes(beside(scene), "mask", drawn_images(6, 2)), None)
    instances = [i for i in scene.annotations.instances if not i.crowd]
    assert sum(one.instances for one in sizes) == len(instances)
    assert all(one.drop is None and one.outcome is None for one in sizes)


def told(low: float, high: float, images: int) -> str | None:
    drop = Interval(estimate=(low + high) / 2, low=low, high=high, resamples=9)
    return Portion(name="calf", instances=images, images=images, ap=0.5, drop=drop).outcome


def test_a_class_is_worse_where_its_interval_is_and_enough_images_have_it() -> None:
    assert told(0.01, 0.2, 6) == "worse"
    assert told(-0.2, -0.01, 6) == "better"
    assert told(0.0, 0.2, 60) == told(-0.1, 0.2, 60) == "cannot tell"
    # Five of five are worse by chance once in sixteen times, counting better as well.
    assert told(0.01, 0.2, 5) == "cannot tell"
