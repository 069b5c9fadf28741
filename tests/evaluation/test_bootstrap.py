from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.evaluation.bootstrap import average_precision, drop
from edgeq.evaluation.matches import Matches, match
from edgeq.evaluation.score import accuracy

from .reference import pycocotools
from .scenes import Scene, draw, repeated, thinned

if TYPE_CHECKING:
    from edgeq.evaluation.evaluator import Kind


def _match(scene: Scene) -> Matches:
    return match(scene.annotations, scene.predictions, scene.class_to_category)


def _worse(scene: Scene) -> Scene:
    """The same images with another model's detections: every second one is missing."""
    return replace(scene, predictions=thinned(scene.predictions))


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), images=st.integers(1, 8), ties=st.booleans())
def test_every_image_once_gives_the_evaluators_ap(
    kind: Kind, seed: int, images: int, ties: bool
) -> None:
    matches = _match(draw(seed, images=images, ties=ties))
    (ap,) = average_precision(matches.of(kind), np.ones((1, images), np.int64))
    expected = getattr(accuracy(matches), kind).ap
    assert ap == pytest.approx(np.nan if expected is None else expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    counts=st.lists(st.integers(0, 4), min_size=2, max_size=6).filter(any),
)
def test_resample_equals_pycocotools_on_the_repeated_images(
    kind: Kind, seed: int, counts: list[int]
) -> None:
    # scores that tie within one image would be interleaved by pycocotools' copies
    scene = draw(seed, images=len(counts), ties=False)
    (ap,) = average_precision(_match(scene).of(kind), np.array([counts]))
    expected = pycocotools(repeated(scene, counts), kind).ap
    assert ap == pytest.approx(np.nan if expected is None else expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("kind", ["mask", "box"])
def test_interval_equals_a_bootstrap_of_pycocotools(kind: Kind) -> None:
    scene = draw(21, images=5, classes=2, ties=False)
    worse = _worse(scene)
    interval = drop(_match(scene), _match(worse), kind, resamples=30, seed=4)
    drawn = np.random.default_rng(4).multinomial(5, np.full(5, 1 / 5), 30)
    drops = []
    for counts in drawn.tolist():
        before = pycocotools(repeated(scene, counts), kind).ap
        after = pycocotools(repeated(worse, counts), kind).ap
        if before is not None and after is not None:
            drops.append(before - after)
    low, high = np.percentile(drops, [2.5, 97.5])
    assert interval is not None
    assert interval.resamples == len(drops)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-9)


def test_estimate_is_the_difference_of_the_scores() -> None:
    scene = draw(21, images=6)
    before, after = _match(scene), _match(_worse(scene))
    interval = drop(before, after, "mask", resamples=50)
    mask_ap, other_mask_ap = accuracy(before).mask.ap, accuracy(after).mask.ap
    assert interval is not None
    assert mask_ap is not None
    assert other_mask_ap is not None
    assert interval.estimate == pytest.approx(mask_ap - other_mask_ap, abs=1e-9)


def test_equal_models_differ_by_nothing_in_every_resample() -> None:
    matches = _match(draw(21, images=6))
    interval = drop(matches, _match(draw(21, images=6)), "box", resamples=100)
    assert interval is not None
    assert (interval.low, interval.estimate, interval.high) == (0, 0, 0)


def test_seed_decides_the_interval() -> None:
    scene = draw(21, images=8)
    before, after = _match(scene), _match(_worse(scene))
    assert drop(before, after, "mask", 40, seed=1) == drop(before, after, "mask", 40, seed=1)
    assert drop(before, after, "mask", 40, seed=1) != drop(before, after, "mask", 40, seed=2)


def test_resamples_are_computed_in_chunks_with_one_result() -> None:
    matches = _match(draw(21, images=12, classes=1))
    weights = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 50)
    many = np.tile(weights, (2400, 1))
    (hits,) = matches.mask.hits
    assert len(hits.image_index) * len(many) > 4_000_000
    expected = np.tile(average_precision(matches.mask, weights), 2400)
    np.testing.assert_array_equal(average_precision(matches.mask, many), expected)


def test_nothing_annotated_gives_no_interval() -> None:
    scene = draw(3)
    empty = replace(scene, annotations=replace(scene.annotations, instances=()))
    assert drop(_match(empty), _match(empty), "mask") is None


def test_different_annotations_are_not_compared() -> None:
    with pytest.raises(EdgeqError, match="different annotations"):
        drop(_match(draw(1)), _match(draw(2)), "mask")
