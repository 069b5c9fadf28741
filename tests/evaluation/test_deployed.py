from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as masks

from edgeq.evaluation.deployed import Scored, deployed
from edgeq.evaluation.evaluator import Kind
from edgeq.evaluation.matches import match
from edgeq.evaluation.score import accuracy
from edgeq.records.accuracy import Deployed
from edgeq.records.report import Column
from edgeq.spec.gates import Gates, judge

from .scenes import Scene, draw


def side(scene: Scene) -> Scored:
    matches = match(scene.annotations, scene.predictions, scene.class_to_category)
    return Scored(matches, scene.predictions)


def scaled(scene: Scene, factor: float) -> Scene:
    """The same detections in the same order, with every score multiplied."""
    predictions = tuple(
        p.model_copy(update={"scores": tuple(s * factor for s in p.scores)})
        for p in scene.predictions
    )
    return replace(scene, predictions=predictions)


def counted(scene: Scene, threshold: float, kind: Kind) -> tuple[int, int, int]:
    """Right, wrong and annotated, one detection after the other, with pycocotools' overlaps."""
    right = wrong = annotated = 0
    for image in scene.predictions:
        for label, category in scene.class_to_category.items():
            here = [
                i
                for i in scene.annotations.instances
                if i.image_id == image.id and i.category_id == category
            ]
            taken: set[int] = set()
            annotated += sum(not i.crowd for i in here)
            rows = [
                n
                for n in range(len(image.scores))
                if image.labels[n] == label and image.scores[n] >= threshold
            ]
            for row in rows:
                overlaps = _overlaps(image, row, here, kind)
                free = [
                    (overlap, n)
                    for n, overlap in enumerate(overlaps)
                    if n not in taken and not here[n].crowd and overlap >= 0.5
                ]
                if free:
                    taken.add(max(free)[1])
                    right += 1
                elif not any(o >= 0.5 and i.crowd for o, i in zip(overlaps, here, strict=True)):
                    wrong += 1
    return right, wrong, annotated


def _overlaps(image: Any, row: int, instances: Any, kind: str) -> list[float]:
    if not instances:
        return []
    crowds = [int(i.crowd) for i in instances]
    if kind == "box":
        boxes = np.array([image.boxes[row]]), np.array([i.box for i in instances])
        return list(masks.iou(*boxes, crowds)[0].tolist())
    runs = [_runs(image.masks[row])], [_runs(i.mask) for i in instances]
    return list(masks.iou(*runs, crowds)[0].tolist())


def _runs(mask: Any) -> dict[str, Any]:
    return {"size": list(mask.size), "counts": mask.counts}


@pytest.mark.parametrize("kind", ["mask", "box"])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    images=st.integers(1, 6),
    ties=st.booleans(),
    threshold=st.sampled_from([0.001, 0.2, 0.4, 0.41, 0.79, 1.0]),
)
def test_figures_are_those_of_a_direct_count(
    kind: Kind, seed: int, images: int, ties: bool, threshold: float
) -> None:
    scene = draw(seed, images=images, ties=ties)
    found = getattr(deployed(side(scene), threshold), kind)
    right, wrong, annotated = counted(scene, threshold, kind)
    assert (found.right, found.wrong, found.missed) == (right, wrong, annotated - right)
    for figure, part, whole in (
        (found.precision, right, right + wrong),
        (found.recall, right, annotated),
        (found.f1, 2 * right, right + wrong + annotated),
    ):
        assert figure == (pytest.approx(part / whole) if whole else None)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.2, 0.5, 0.8]))
def test_threshold_given_back_is_the_highest_with_the_recall_of_float(
    seed: int, threshold: float
) -> None:
    scene = draw(seed, images=6, ties=False)
    other = replace(
        scaled(scene, 0.7),
        predictions=tuple(
            p.model_copy(
                update={
                    name: getattr(p, name)[: -1 if p.id % 3 == 0 else None]
                    for name in ("boxes", "labels", "scores", "masks")
                }
            )
            for p in scaled(scene, 0.7).predictions
        ),
    )
    wanted = counted(scene, threshold, "mask")[0]
    found = deployed(side(other), threshold, side(scene))
    scores = sorted({s for p in other.predictions for s in p.scores}, reverse=True)
    enough = [s for s in scores if counted(other, s, "mask")[0] >= wanted]
    assert found.recall_threshold == (enough[0] if wanted and enough else None)


def test_interval_of_the_score_shift_equals_a_bootstrap_of_medians() -> None:
    scene = draw(7, images=8, ties=False)
    other = scaled(scene, 0.5)
    found = deployed(side(other), 0.3, side(scene))
    shifts = [[-s / 2 for s in p.scores if s >= 0.3] for p in scene.predictions]
    assert found.score_shift is not None
    # Two objects of one class that overlap may take each other's partner: here none does.
    assert found.matched == found.matched_of == sum(map(len, shifts))
    assert found.score_shift.estimate == pytest.approx(np.median(np.concatenate(shifts)))
    drawn = np.random.default_rng(0).multinomial(8, np.full(8, 1 / 8), 1000)
    medians = [
        np.median([s for one, n in zip(shifts, counts, strict=True) for s in one * int(n)])
        for counts in drawn
    ]
    low, high = np.quantile(medians, (0.025, 0.975))
    assert (found.score_shift.low, found.score_shift.high) == pytest.approx((low, high))


def _column(name, scene: Scene, found: Deployed) -> Column:  # type: ignore[no-untyped-def]
    return Column(name=name, where="here", accuracy=accuracy(side(scene).matches), deployed=found)


def test_scores_that_halve_keep_ap_and_fail_the_gates() -> None:
    scene = draw(21, images=12, ties=False)
    half = scaled(scene, 0.5)
    before, after = side(scene), side(half)
    assert accuracy(before.matches) == accuracy(after.matches)
    found = deployed(after, 0.4, before)
    columns = (
        _column("float", scene, deployed(before, 0.4)),
        _column("device", half, found),
    )
    gates = Gates(
        mask_recall_drop=0.05,
        box_recall_drop=0.05,
        score_shift=0.1,
        threshold_drop=0.05,
    )
    verdicts = judge(gates, columns, 1, None)
    assert len(verdicts) == 4
    assert {(v.gate, v.status) for v in verdicts} == {(v.gate, "failed") for v in verdicts}
    # What the threshold is lowered to gives back what was lost.
    assert found.recall_threshold is not None
    assert 0.2 <= found.recall_threshold < 0.4
    again = deployed(after, found.recall_threshold, before)
    assert again.mask.right == columns[0].deployed.mask.right  # type: ignore[union-attr]


def test_equal_models_lose_nothing_at_the_threshold() -> None:
    scene = draw(21, images=6, ties=False)
    found = deployed(side(scene), 0.4, side(scene))
    for at in (found.mask, found.box):
        for drop in (at.precision_drop, at.recall_drop, at.f1_drop):
            assert drop is not None
            assert (drop.low, drop.estimate, drop.high) == (0, 0, 0)
    assert found.score_shift is not None
    assert found.score_shift.estimate == 0


def test_device_that_finds_nothing_gives_no_precision_and_fails_recall() -> None:
    scene = draw(21, images=6, ties=False)
    nothing = scaled(scene, 0.0)
    found = deployed(side(nothing), 0.4, side(scene))
    assert found.mask.precision is None
    assert found.mask.recall == 0
    columns = (_column("device", nothing, found),)
    gates = Gates(mask_precision_drop=0.1, mask_recall_drop=0.1)
    precision, recall = judge(gates, columns, 1, None)
    assert (precision.status, recall.status) == ("not measured", "failed")
