"""Greedy non-maximum suppression per class, in numpy.

Walking all classes together in order of score gives the same survivors as each class on its own,
and lets the walk end at the last detection that is wanted. It goes block by block: a block is first
held against everything kept so far, in one matrix, then thinned out in itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .arrays import Bools, Floats, Ints

MAX_CANDIDATES = 30_000
_BLOCK = 512


class _Boxes(NamedTuple):
    """Corners x1,y1,x2,y2 [n,4], areas [n] and labels [n] of some boxes."""

    corners: Floats
    areas: Floats
    labels: Ints

    def take(self, indices: Ints) -> _Boxes:
        """The boxes at `indices`."""
        return _Boxes(self.corners[indices], self.areas[indices], self.labels[indices])


def suppress(
    boxes: Floats, scores: Floats, labels: Ints, iou_threshold: float, max_detections: int
) -> Ints:
    """Indices of the survivors, by score descending, ties by index; at most `max_detections`.

    Boxes [n,4] x1,y1,x2,y2, scores [n], labels [n]. A candidate goes when a better one of its class
    overlaps it with IoU > `iou_threshold`. Only the MAX_CANDIDATES best are considered.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    every = _Boxes(boxes, areas, labels)
    order = _best_first(scores)
    kept = np.zeros(0, np.int64)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        beaten = _beaten(every.take(kept), every.take(block), iou_threshold)
        block = block[~beaten.any(axis=0)]
        kept = np.concatenate((kept, _thin_out(every, block, iou_threshold, max_detections)))
        if len(kept) >= max_detections:
            break
    return kept[:max_detections]


def _thin_out(every: _Boxes, block: Ints, iou_threshold: float, at_most: int) -> Ints:
    """The survivors among candidates that are compared with each other only."""
    kept: list[int] = []
    while len(block) and len(kept) < at_most:
        best, block = block[:1], block[1:]
        kept.append(int(best[0]))
        block = block[~_beaten(every.take(best), every.take(block), iou_threshold)[0]]
    return np.array(kept, np.int64)


def _best_first(scores: Floats) -> Ints:
    candidates = np.arange(len(scores))
    if len(scores) > MAX_CANDIDATES:
        cut = len(scores) - MAX_CANDIDATES
        candidates = np.flatnonzero(scores >= np.partition(scores, cut)[cut])
    order = np.argsort(-scores[candidates], kind="stable")
    return candidates[order][:MAX_CANDIDATES].astype(np.int64)


def _beaten(better: _Boxes, others: _Boxes, iou_threshold: float) -> Bools:
    """Which of the others [n] each of the better ones [m] suppresses: [m,n]."""
    first, second = better.corners[:, None], others.corners[None]
    width = np.minimum(first[..., 2], second[..., 2]) - np.maximum(first[..., 0], second[..., 0])
    height = np.minimum(first[..., 3], second[..., 3]) - np.maximum(first[..., 1], second[..., 1])
    shared = np.maximum(width, np.float32(0)) * np.maximum(height, np.float32(0))
    union = better.areas[:, None] + others.areas[None] - shared
    overlap = np.zeros_like(union)
    np.divide(shared, union, out=overlap, where=union > 0)
    beaten: Bools = overlap > np.float32(iou_threshold)
    beaten &= better.labels[:, None] == others.labels[None]
    return beaten
