"""What one engine finds and another one does not, against a direct count over pixels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeq.agent.vision import rle
from edgeq.evaluation.unchanged import LEAST_SCORE, SAME_IOU, changed
from edgeq.records.accuracy import ImagePrediction, RunLength

SIDE = 24
Found = list[tuple[int, float, tuple[int, int, int, int]]]
DETECTIONS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([0.1, 0.25, 0.9]),
        st.tuples(*[st.integers(0, 2)] * 2, *[st.integers(20, 22)] * 2),
    ),
    max_size=4,
)


def mask(box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    drawn = np.zeros((SIDE, SIDE), bool)
    drawn[box[0] : box[2], box[1] : box[3]] = True
    return drawn


def predicted(id_: int, found: Found) -> ImagePrediction:
    runs = [rle.encode(mask(box)) for _, _, box in found]
    return ImagePrediction(
        id=id_,
        height=SIDE,
        width=SIDE,
        boxes=tuple((0.0, 0.0, 1.0, 1.0) for _ in found),
        labels=tuple(label for label, _, _ in found),
        scores=tuple(score for _, score, _ in found),
        masks=tuple(RunLength(size=(SIDE, SIDE), counts=one["counts"]) for one in runs),
    )


def lacks(one: Found, other: Found) -> list[bool]:
    return [
        not any(
            label == theirs
            and (mask(box) & mask(box_)).sum() >= SAME_IOU * (mask(box) | mask(box_)).sum()
            for theirs, _, box_ in other
        )
        for label, score, box in one
        if score >= LEAST_SCORE
    ]


@settings(max_examples=60)
@given(st.lists(st.tuples(DETECTIONS, DETECTIONS), min_size=1, max_size=3))
def test_share_is_a_direct_count(images: list[tuple[Found, Found]]) -> None:
    first = [predicted(id_, one) for id_, (one, _) in enumerate(images)]
    second = [predicted(id_, other) for id_, (_, other) in enumerate(images)]
    missed = [lack for one, other in images for lack in (*lacks(one, other), *lacks(other, one))]
    wanted = sum(missed) / len(missed) if missed else None
    assert changed(first, second) == wanted == changed(second, first)
    assert changed(first, first) in (0.0, None)
