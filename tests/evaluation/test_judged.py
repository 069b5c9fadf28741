from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import InputError
from edgeq.evaluation.evaluator import AREAS, Kind
from edgeq.evaluation.judged import SIZES, category_hits_of, judge_hits, size_of
from edgeq.evaluation.matches import match
from edgeq.evaluation.overlaps import Overlaps, overlaps
from edgeq.evaluation.precision import category_precisions
from edgeq.records.insight import Size

from .scenes import Scene, draw


def beside(scene: Scene) -> Overlaps:
    return overlaps(scene.annotations, scene.predictions, scene.class_to_category)


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(1, 5), ties=st.booleans())
def test_hits_of_each_size_give_the_evaluators_ap(
    kind: Kind, seed: int, images: int, ties: bool
) -> None:
    scene = draw(seed, images=images, ties=ties)
    expected = match(scene.annotations, scene.predictions, scene.class_to_category).of(kind)
    sizes: tuple[Size | None, ...] = (None, *get_args(Size))
    for size in sizes:
        hits = category_hits_of(beside(scene), judge_hits(beside(scene), kind, size))
        found = category_precisions(hits, np.ones((1, images), np.int64))[0]
        by_category = expected.precision[:, :, AREAS.index(size or "all")].mean(axis=0)
        np.testing.assert_allclose(found, by_category, atol=1e-9)


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_hits_are_those_of_a_match(kind: Kind, seed: int) -> None:
    scene = draw(seed)
    found = category_hits_of(beside(scene), judge_hits(beside(scene), kind))
    expected = match(scene.annotations, scene.predictions, scene.class_to_category).of(kind).hits
    for here, there in zip(found, expected, strict=True):
        counts = ~there.ignored.all(axis=0)
        for name in ("hit", "ignored", "scores", "image_index"):
            np.testing.assert_array_equal(getattr(here, name), getattr(there, name)[..., counts])
        np.testing.assert_array_equal(here.instances, there.instances)


def test_each_area_has_a_size() -> None:
    assert [size_of(area) for area in (0, 1024, 1025, 9216, 9217)] == [
        *("small", "small", "medium", "medium", "large")
    ]
    assert tuple(SIZES) == get_args(Size) == AREAS[1:]


def test_an_image_without_a_prediction_is_refused() -> None:
    scene = draw(3)
    with pytest.raises(InputError, match="has no prediction"):
        overlaps(scene.annotations, scene.predictions[1:], scene.class_to_category)
