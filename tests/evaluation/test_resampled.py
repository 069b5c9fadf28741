from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgeq.errors import EdgeqError
from edgeq.evaluation import bootstrap
from edgeq.evaluation.matches import Matches, match
from edgeq.evaluation.resampled import difference, interval, resampled
from edgeq.records.accuracy import Resampled

from .reference import pycocotools
from .scenes import Scene, draw, repeated, thinned

if TYPE_CHECKING:
    from edgeq.evaluation.evaluator import Kind

IMAGES = 6


@pytest.fixture(scope="module")
def scenes() -> tuple[Scene, Scene, Scene]:
    """A model, and two others on the same images: one finds less, one is less sure."""
    scene = draw(21, images=IMAGES, classes=2, ties=False)
    fewer = replace(scene, predictions=thinned(scene.predictions))
    shuffled = tuple(
        image.model_copy(update={"masks": image.masks[::-1], "boxes": image.boxes[::-1]})
        for image in scene.predictions
    )
    return scene, fewer, replace(scene, predictions=shuffled)


def matched(scene: Scene) -> Matches:
    return match(scene.annotations, scene.predictions, scene.class_to_category)


def of(*scenes: Scene, kind: Kind = "mask") -> Resampled:
    found = resampled([matched(scene) for scene in scenes], kind)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["mask", "box"])
def test_one_run_has_the_interval_of_its_ap_and_two_the_paired_one_of_their_difference(
    scenes: tuple[Scene, Scene, Scene], kind: Kind
) -> None:
    scene, fewer, _ = scenes
    both = matched(scene), matched(fewer)
    assert interval(of(scene, kind=kind)) == bootstrap.precision(both[0], kind)
    found = difference(of(scene, kind=kind), of(fewer, kind=kind))
    expected = bootstrap.drop(*both, kind)
    assert expected is not None
    assert found.model_dump() == pytest.approx(expected.model_dump(), abs=1e-12)


@pytest.mark.parametrize("kind", ["mask", "box"])
def test_runs_are_averaged_in_each_resample_as_pycocotools_scores_it(
    scenes: tuple[Scene, Scene, Scene], kind: Kind
) -> None:
    _, fewer, shuffled = scenes
    found = of(fewer, shuffled, kind=kind)
    drawn = np.random.default_rng(0).multinomial(IMAGES, np.full(IMAGES, 1 / IMAGES), 1000)
    for place in (0, 1, 2):
        counts = drawn[place].tolist()
        aps = [pycocotools(repeated(side, counts), kind).ap for side in (fewer, shuffled)]
        known = [ap for ap in aps if ap is not None]
        assert len(known) == 2
        assert found.values[place] == pytest.approx(np.mean(known), abs=1e-9)


def test_nothing_annotated_has_no_resamples(scenes: tuple[Scene, Scene, Scene]) -> None:
    scene = scenes[0]
    empty = replace(scene, annotations=replace(scene.annotations, instances=()))
    assert resampled([matched(empty)], "mask") is None


def test_resamples_of_other_labels_are_not_compared() -> None:
    few = Resampled(estimate=0.5, values=(0.5,) * 9)
    with pytest.raises(EdgeqError, match="different annotations"):
        difference(few, few.model_copy(update={"values": (0.5,) * 8}))
