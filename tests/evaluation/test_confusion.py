from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.evaluation.confusion import confusion
from edgeq.evaluation.deployed import Scored, deployed
from edgeq.evaluation.judged import judge_hits
from edgeq.evaluation.matches import match
from edgeq.evaluation.overlaps import overlaps
from edgeq.records.insight import Confused

from .scenes import Box, Scene, arranged, draw

PEN: Box = (10.0, 10.0, 40.0, 40.0)
BESIDE: Box = (15.0, 10.0, 40.0, 40.0)
GATE: Box = (90.0, 10.0, 40.0, 40.0)
TROUGH: Box = (90.0, 60.0, 40.0, 40.0)


def confused(scene: Scene, threshold: float) -> tuple[Confused, ...]:
    beside = overlaps(scene.annotations, scene.predictions, scene.class_to_category)
    return confusion(beside, judge_hits(beside, "mask"), "mask", threshold)


def test_each_detection_and_each_instance_is_told_once() -> None:
    scene = arranged(
        [(0, PEN), (1, GATE)],
        [(0, 0.9, PEN), (1, 0.8, BESIDE), (0, 0.7, GATE), (1, 0.6, TROUGH), (1, 0.1, GATE)],
    )
    assert set(confused(scene, 0.5)) == {
        Confused(annotated="calf", found="calf", count=1),
        Confused(annotated="cow", found="calf", count=1),
        Confused(annotated=None, found="cow", count=2),
    }
    # From .1 on the cow is found as one, and the calf there is too many.
    assert set(confused(scene, 0.1)) == {
        Confused(annotated="calf", found="calf", count=1),
        Confused(annotated="cow", found="cow", count=1),
        Confused(annotated=None, found="cow", count=2),
        Confused(annotated=None, found="calf", count=1),
    }


def test_of_two_wrong_classes_the_better_score_takes_the_instance_it_overlaps_most() -> None:
    scene = arranged([(0, PEN), (0, BESIDE)], [(1, 0.9, BESIDE), (1, 0.8, BESIDE)])
    assert confused(scene, 0.5) == (Confused(annotated="calf", found="cow", count=2),)
    scene = arranged([(0, PEN)], [(1, 0.9, BESIDE), (1, 0.8, PEN)])
    assert set(confused(scene, 0.5)) == {
        Confused(annotated="calf", found="cow", count=1),
        Confused(annotated=None, found="cow", count=1),
    }


def test_nothing_found_is_all_background() -> None:
    assert confused(arranged([(0, PEN), (0, GATE)], []), 0.5) == (
        Confused(annotated="calf", found=None, count=2),
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0, 1))
def test_sums_are_those_of_the_deployed_accuracy(seed: int, threshold: float) -> None:
    scene = draw(seed)
    matches = match(scene.annotations, scene.predictions, scene.class_to_category)
    expected = deployed(Scored(matches, scene.predictions), threshold).mask
    found = confused(scene, threshold)
    right = sum(one.count for one in found if one.annotated == one.found)
    assert right == expected.right
    assert sum(one.count for one in found if one.found) - right == expected.wrong
    assert sum(one.count for one in found if one.annotated) - right == expected.missed
    names = {category.id: category.name for category in scene.annotations.categories}
    annotated: Counter[str] = Counter()
    for one in found:
        if one.annotated is not None:
            annotated[one.annotated] += one.count
    instances = [i for i in scene.annotations.instances if not i.crowd]
    assert annotated == Counter(names[i.category_id] for i in instances)
