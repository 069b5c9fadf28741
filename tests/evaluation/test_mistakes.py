from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as masks

from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.judged import judge_hits
from edgeq.evaluation.mended import ap50_gains
from edgeq.evaluation.mistakes import MISTAKE_KINDS, mistakes
from edgeq.evaluation.overlaps import overlaps
from edgeq.records.accuracy import ImagePrediction
from edgeq.records.insight import MistakeKind

from .scenes import Box, Scene, above, arranged, draw

PEN: Box = (10.0, 10.0, 40.0, 40.0)
NEAR: Box = (30.0, 10.0, 40.0, 40.0)  # a third of both together is in both
GATE: Box = (90.0, 10.0, 40.0, 40.0)
TROUGH: Box = (90.0, 60.0, 40.0, 40.0)
NOWHERE: Box = (10.0, 65.0, 40.0, 40.0)

Counts = dict[MistakeKind, int]
Gains = dict[MistakeKind, float]


def told(scene: Scene, kind: Kind, threshold: float = 0.0) -> Counts:
    beside = overlaps(scene.annotations, scene.predictions, scene.class_to_category)
    found = mistakes(beside, judge_hits(beside, kind), kind, threshold)
    return {name: found.count(name) for name in MISTAKE_KINDS}


def gains(scene: Scene, kind: Kind) -> Gains:
    beside = overlaps(scene.annotations, scene.predictions, scene.class_to_category)
    judged = judge_hits(beside, kind)
    found = mistakes(beside, judged, kind)
    return dict(zip(MISTAKE_KINDS, ap50_gains(beside, judged, found), strict=True))


CALF, COW = 0, 1
COW_FOUND = (COW, 0.5, GATE)
CASES: list[tuple[MistakeKind, list[Any], list[Any], float]] = [
    # The cow's AP is a half with the calf before it, the calf's 0.
    ("classification", [(CALF, PEN)], [(COW, 0.9, PEN)], 0.75),
    ("localisation", [(CALF, PEN)], [(CALF, 0.9, NEAR)], 0.5),
    ("both", [(CALF, PEN)], [(CALF, 0.5, PEN), (COW, 0.9, NEAR)], 0.25),
    # After the first calf, up to a recall of .5, precision is 2/3.
    (
        "duplicate",
        [(CALF, PEN), (CALF, TROUGH)],
        [(CALF, 0.9, PEN), (CALF, 0.8, PEN), (CALF, 0.5, TROUGH)],
        50 / 101 / 3 / 2,
    ),
    ("background", [(CALF, PEN)], [(CALF, 0.5, PEN), (CALF, 0.9, NOWHERE)], 0.25),
    ("missed", [(CALF, PEN), (CALF, TROUGH)], [(CALF, 0.9, PEN)], 50 / 101 / 2),
]


@pytest.mark.parametrize("kind", ["mask", "box"])
@pytest.mark.parametrize(("name", "annotated", "found", "gain"), CASES)
def test_one_error_is_of_one_kind(
    kind: Kind, name: MistakeKind, annotated: list[Any], found: list[Any], gain: float
) -> None:
    scene = arranged([(COW, GATE), *annotated], [COW_FOUND, *found])
    assert told(scene, kind) == {one: int(one == name) for one in MISTAKE_KINDS}
    expected = {one: gain if one == name else 0.0 for one in MISTAKE_KINDS}
    assert gains(scene, kind) == pytest.approx(expected, abs=1e-9)


def test_what_is_right_is_no_error() -> None:
    scene = arranged([(COW, GATE), (CALF, PEN)], [COW_FOUND, (CALF, 0.4, PEN)])
    assert set(told(scene, "mask").values()) == {0}
    assert set(gains(scene, "mask").values()) == {0.0}


def test_what_a_crowd_excuses_is_no_error() -> None:
    scene = arranged([(COW, GATE), (CALF, PEN)], [COW_FOUND, (CALF, 0.9, PEN)])
    cow, calf = scene.annotations.instances
    crowd = replace(scene.annotations, instances=(cow, replace(calf, crowd=True)))
    assert set(told(replace(scene, annotations=crowd), "mask").values()) == {0}


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), classes=st.integers(1, 4))
def test_drawn_errors_are_counted_as_one_by_one(kind: Kind, seed: int, classes: int) -> None:
    # Of equal scores and overlaps any is as good, and which is taken decides what is left.
    scene = draw(seed, classes=classes, ties=False)
    expected, mended = _one_by_one(scene, kind)
    assert told(scene, kind) == expected
    assert gains(scene, kind) == pytest.approx(mended, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0, 1))
def test_errors_from_a_threshold_on_are_those_of_what_is_kept(seed: int, threshold: float) -> None:
    scene = draw(seed)
    kept = replace(scene, predictions=above(scene.predictions, threshold))
    assert told(scene, "mask", threshold) == told(kept, "mask")


# A detection: score, class, and whether it is a hit, by image and row.
Point = tuple[float, int, bool]
Key = tuple[int, int]


def _one_by_one(scene: Scene, kind: Kind) -> tuple[Counts, Gains]:
    """The same after the paper's definitions, with pycocotools' overlaps, object after object."""
    category_of = scene.class_to_category
    points: dict[Key, Point] = {}
    mended: dict[MistakeKind, dict[Key, Point | None]] = {name: {} for name in MISTAKE_KINDS}
    count: Counter[MistakeKind] = Counter()
    annotated: Counter[int] = Counter()
    missed: Counter[int] = Counter()
    for image in scene.predictions:
        here = [i for i in scene.annotations.instances if i.image_id == image.id]
        objects = [i for i in here if not i.crowd]
        annotated.update(i.category_id for i in objects)
        overlap = [_overlaps(image, row, here, kind) for row in range(len(image.scores))]
        taken: dict[int, int] = {}
        wrong = []
        for row, label in enumerate(image.labels):
            category = category_of[label]
            mine = [(o, n) for n, o in enumerate(overlap[row]) if here[n].category_id == category]
            free = [(o, n) for o, n in mine if n not in taken and not here[n].crowd and o >= 0.5]
            if free:
                taken[max(free)[1]] = row
            elif any(here[n].crowd and o >= 0.5 for o, n in mine):
                continue
            else:
                wrong.append(row)
            points[image.id, row] = (image.scores[row], category, bool(free))
        covered: set[int] = set()
        for row in wrong:
            category = category_of[image.labels[row]]
            sides: dict[bool, list[tuple[float, int]]] = defaultdict(lambda: [(0.0, 0)])
            for n, instance in enumerate(here):
                if not instance.crowd:
                    sides[instance.category_id == category].append((overlap[row][n], -n))
            (right, at), (other, there) = max(sides[True]), max(sides[False])
            name = _kind_of(right, other)
            count[name] += 1
            mended[name][image.id, row] = None
            meant = {"localisation": -at, "classification": -there}.get(name)
            if meant is not None and meant not in taken and meant not in covered:
                covered.add(meant)
                fixed = (image.scores[row], here[meant].category_id, True)
                mended[name][image.id, row] = fixed
        lost = [
            i for n, i in enumerate(here) if not i.crowd and n not in taken and n not in covered
        ]
        count["missed"] += len(lost)
        missed.update(i.category_id for i in lost)
    before = _mean_ap(points.values(), annotated, annotated)
    found: Gains = {}
    for name in MISTAKE_KINDS:
        after = [mended[name].get(key, point) for key, point in points.items()]
        asked = annotated - missed if name == "missed" else annotated
        found[name] = max(0.0, _mean_ap([p for p in after if p], annotated, asked) - before)
    return {name: count[name] for name in MISTAKE_KINDS}, found


def _kind_of(right: float, other: float) -> MistakeKind:
    """By the largest overlap with an instance of the right category, and of another one."""
    if 0.1 <= right <= 0.5:
        return "localisation"
    if other >= 0.5:
        return "classification"
    if right >= 0.5:
        return "duplicate"
    return "background" if max(right, other) <= 0.1 else "both"


def _mean_ap(points: Any, annotated: Counter[int], asked: Counter[int]) -> float:
    """AP of 101 recalls, a mean over what was annotated at first."""
    total = 0.0
    for category in annotated:
        here = sorted((p for p in points if p[1] == category), key=lambda p: -p[0])
        curve = []
        for seen in range(1, len(here) + 1):
            hits = sum(p[2] for p in here[:seen])
            curve.append((hits / asked[category] if asked[category] else -1.0, hits / seen))
        recalls = np.linspace(0, 1, 101)  # COCO's, which are not all hundredths to the last bit
        best = [max((p for r, p in curve if r >= least), default=0.0) for least in recalls]
        total += sum(best) / 101
    return total / len(annotated) if annotated else 0.0


def _overlaps(image: ImagePrediction, row: int, instances: Any, kind: Kind) -> list[float]:
    if not instances:
        return []
    crowds = [int(i.crowd) for i in instances]
    if kind == "box":
        boxes = [list(image.boxes[row])], [list(i.box) for i in instances]
        return list(masks.iou(*boxes, crowds)[0].tolist())
    runs = [
        [{"size": list(one.size), "counts": one.counts} for one in side]
        for side in ([image.masks[row]], [i.mask for i in instances])
    ]
    return list(masks.iou(*runs, crowds)[0].tolist())
