from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.evaluation.changes import changes
from edgeq.records.insight import ImageChange

from .scenes import Box, above, draw, predicted, thinned

PEN: Box = (10.0, 10.0, 40.0, 40.0)
BESIDE: Box = (20.0, 10.0, 40.0, 40.0)
GATE: Box = (90.0, 10.0, 40.0, 40.0)
TROUGH: Box = (90.0, 60.0, 40.0, 40.0)
CALF, COW = 0, 1


def test_equal_sides_change_nothing() -> None:
    side = predicted([(CALF, 0.9, PEN), (CALF, 0.8, PEN), (COW, 0.7, GATE), (COW, 0.1, TROUGH)])
    found = changes(side, side, 0.5)
    assert (found.lost, found.found, found.changed, found.amount) == ((), (), (), 0.0)
    assert [(one.rows, one.iou) for one in found.same] == [((n, n), 1.0) for n in range(3)]


def test_lost_and_found_tell_what_the_other_side_has_below_the_threshold() -> None:
    first = predicted([(CALF, 0.9, PEN), (COW, 0.6, GATE)])
    second = predicted([(CALF, 0.7, TROUGH), (COW, 0.4, GATE), (COW, 0.3, GATE)])
    found = changes(first, second, 0.5)
    assert [(one.row, one.label, one.score, one.fell_to) for one in found.lost] == [
        (0, CALF, 0.9, None),
        (1, COW, 0.6, 0.4),
    ]
    assert [(one.row, one.label, one.score, one.fell_to) for one in found.found] == [
        (0, CALF, 0.7, None)
    ]
    assert found.amount == pytest.approx(0.9 + (0.6 - 0.4) + 0.7)


def test_a_second_detection_of_what_both_have_is_no_partner_of_a_third() -> None:
    first = predicted([(CALF, 0.9, PEN), (CALF, 0.8, PEN)])
    found = changes(first, predicted([(CALF, 0.9, PEN)]), 0.5)
    assert [one.rows for one in found.same] == [(0, 0)]
    assert [(one.row, one.fell_to) for one in found.lost] == [(1, None)]


def test_another_label_or_mask_is_a_change() -> None:
    first = predicted([(CALF, 0.9, PEN), (COW, 0.8, GATE)])
    second = predicted([(CALF, 0.9, BESIDE), (CALF, 0.8, GATE)])
    found = changes(first, second, 0.5)
    assert {one.labels: round(one.iou, 6) for one in found.changed} == {
        (CALF, CALF): 0.6,
        (COW, CALF): 1.0,
    }
    assert found.amount == pytest.approx(0.4 + 1)
    assert all(one.size == "medium" for one in found.changed)


def test_the_same_label_goes_together_before_the_larger_overlap() -> None:
    first = predicted([(CALF, 0.9, PEN)])
    found = changes(first, predicted([(COW, 0.9, PEN), (CALF, 0.8, BESIDE)]), 0.5)
    assert [one.labels for one in found.changed] == [(CALF, CALF)]
    assert [one.label for one in found.found] == [COW]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0, 1))
def test_each_detection_is_told_once_and_from_both_sides_alike(seed: int, threshold: float) -> None:
    [first] = draw(seed, images=1, ties=False).predictions
    [second] = thinned([draw(seed, images=1, ties=False).predictions[0]])
    [kept], [others] = above([first], threshold), above([second], threshold)
    here, back = changes(first, second, threshold), changes(second, first, threshold)
    assert _rows(here, 0) == list(range(len(kept.scores)))
    assert _rows(here, 1) == list(range(len(others.scores)))
    assert (len(here.lost), len(here.found)) == (len(back.found), len(back.lost))
    assert here.amount == pytest.approx(back.amount)
    # What was left out is all that differs.
    assert len(here.lost) == len(kept.scores) - len(others.scores)
    assert not here.found and not here.changed


def _rows(change: ImageChange, side: int) -> list[int]:
    alone = change.found if side else change.lost
    return sorted(
        [one.rows[side] for one in (*change.same, *change.changed)] + [one.row for one in alone]
    )
