from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.evaluation.deployed import Scored, deployed
from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.judged import judge_hits
from edgeq.evaluation.matches import match
from edgeq.evaluation.overlaps import overlaps
from edgeq.evaluation.score_curve import score_curve
from edgeq.records.insight import ScoreCurve

from .scenes import Box, Scene, arranged, draw

PEN: Box = (10.0, 10.0, 40.0, 40.0)
GATE: Box = (90.0, 10.0, 40.0, 40.0)
NOWHERE: Box = (10.0, 65.0, 40.0, 40.0)


def curve(scene: Scene, threshold: float, kind: Kind = "mask") -> ScoreCurve:
    beside = overlaps(scene.annotations, scene.predictions, scene.class_to_category)
    return score_curve(beside, judge_hits(beside, kind), threshold)


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.61, 1.0]))
def test_every_point_is_the_deployed_accuracy_there(
    kind: Kind, seed: int, threshold: float
) -> None:
    scene = draw(seed)
    matches = match(scene.annotations, scene.predictions, scene.class_to_category)
    found = curve(scene, threshold, kind)
    assert [round(100 * point.threshold) for point in found.points] == list(range(101))
    for point in (found.deployed, *found.points[::10]):
        expected = deployed(Scored(matches, scene.predictions), point.threshold)
        there = getattr(expected, kind)
        assert point.precision == pytest.approx(there.precision)
        assert point.recall == pytest.approx(there.recall)
        assert point.f1 == pytest.approx(there.f1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_no_score_has_a_higher_f1_than_the_best(seed: int, ties: bool) -> None:
    scene = draw(seed, ties=ties)
    scores = sorted({score for image in scene.predictions for score in image.scores})
    f1 = {score: curve(scene, score).deployed.f1 or 0.0 for score in scores}
    best = curve(scene, 0.5).best
    if best is None:
        assert not any(f1.values())
    else:
        assert best.f1 == pytest.approx(max(f1.values()))
        assert f1[best.threshold] == pytest.approx(best.f1)


def test_best_threshold_leaves_out_what_is_wrong() -> None:
    scene = arranged([(0, PEN), (1, GATE)], [(0, 0.9, PEN), (1, 0.6, GATE), (0, 0.3, NOWHERE)])
    best = curve(scene, 0.25).best
    assert best is not None
    assert (best.threshold, best.precision, best.recall, best.f1) == (0.6, 1.0, 1.0, 1.0)


def test_nothing_found_has_no_best_threshold() -> None:
    found = curve(arranged([(0, PEN)], []), 0.25)
    assert found.best is None
    assert (found.deployed.precision, found.deployed.recall) == (None, 0.0)
