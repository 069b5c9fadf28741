"""NMS against a naive loop over all pairs."""

from __future__ import annotations

import time
from typing import Any, List

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.agent.vision import nms
from edgeq.agent.vision.nms import suppress


def naive(boxes: Any, scores: Any, labels: Any, threshold: Any, limit: int) -> List[int]:
    """Every class on its own, every pair, then the best of all."""
    kept: List[int] = []
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    for i in order:
        if all(labels[i] != labels[k] or iou(boxes[i], boxes[k]) <= threshold for k in kept):
            kept.append(i)
    return kept[:limit]


def iou(a: Any, b: Any) -> Any:
    w = max(min(a[2], b[2]) - max(a[0], b[0]), np.float32(0))
    h = max(min(a[3], b[3]) - max(a[1], b[1]), np.float32(0))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union if union > 0 else np.float32(0)


def crowd(seed: int, count: int, classes: int) -> Any:
    random = np.random.default_rng(seed)
    corner = random.integers(0, 30, (count, 2))
    boxes = np.concatenate((corner, corner + random.integers(0, 30, (count, 2))), axis=1)
    # Few different scores, so that ties are common.
    scores = random.integers(1, 9, count) / np.float32(10)
    return boxes.astype(np.float32), scores.astype(np.float32), random.integers(0, classes, count)


@given(
    st.integers(0, 10_000),
    st.integers(0, 60),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.3, 0.5, 0.6, 1.0]),
    st.sampled_from([1, 7, 300]),
)
@settings(deadline=None, max_examples=150)
def test_survivors_are_those_of_the_naive_loop(
    seed: int, count: int, classes: int, threshold: float, limit: int
) -> None:
    boxes, scores, labels = crowd(seed, count, classes)
    expected = naive(boxes, scores, labels, np.float32(threshold), limit)
    assert suppress(boxes, scores, labels, threshold, limit).tolist() == expected


def test_survivors_are_the_same_across_blocks() -> None:
    boxes, scores, labels = crowd(1, 1500, 3)
    expected = naive(boxes, scores, labels, np.float32(0.5), 300)
    assert suppress(boxes, scores, labels, 0.5, 300).tolist() == expected


def test_ties_go_by_index() -> None:
    boxes = np.array([[0, 0, 10, 10]] * 3 + [[50, 50, 60, 60]], np.float32)
    scores = np.full(4, 0.5, np.float32)
    assert suppress(boxes, scores, np.zeros(4, np.int64), 0.5, 10).tolist() == [0, 3]


def test_only_the_best_candidates_are_considered() -> None:
    count = nms.MAX_CANDIDATES + 500
    boxes = np.tile(np.array([[0, 0, 9, 9]], np.float32), (count, 1))
    scores = np.arange(1, count + 1, dtype=np.float32)
    labels = (np.arange(count) < 500).astype(np.int64)
    # The 500 worst are the only ones of their class, which nothing else would suppress.
    assert suppress(boxes, scores, labels, 0.5, count).tolist() == [count - 1]
    labels[500] = 1
    assert suppress(boxes, scores, labels, 0.5, count).tolist() == [count - 1, 500]


def test_thousands_of_candidates_take_milliseconds() -> None:
    random = np.random.default_rng(0)
    corner = random.uniform(0, 600, (nms.MAX_CANDIDATES, 2))
    boxes = np.concatenate((corner, corner + random.uniform(5, 99, corner.shape)), axis=1)
    scores = random.random(len(boxes)).astype(np.float32)
    labels = random.integers(0, 80, len(boxes))
    start_s = time.process_time()
    suppress(boxes.astype(np.float32), scores, labels, 0.6, 100)
    assert time.process_time() - start_s < 0.1
