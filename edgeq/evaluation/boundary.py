"""Boundary IoU: how well outlines fit, which the area of a large mask hides.

Source: Cheng et al., Boundary IoU: Improving Object-Centric Image Segmentation Evaluation (2021,
arXiv 2103.16562), sections 4 and 5, and the authors' program: the outline is as wide as 2% of the
image's diagonal, and AP is that of the lesser of boundary and mask IoU.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgeq.agent.vision import rle
from edgeq.evaluation.mistakes import FOREGROUND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeq.evaluation.overlaps import ImageOverlaps, Overlaps
    from edgeq.records.accuracy import RunLength

DILATION_RATIO = 0.02
"""Width of the outline over the diagonal of the image."""


@dataclass(frozen=True, eq=False)
class Boundary:
    """The outline of a mask within the box around it, which starts at row `top`, column `left`."""

    top: int
    left: int
    pixels: NDArray[np.uint8]

    def iou(self, other: Boundary) -> float:
        """The intersection over the union of two outlines of one image; 0 where both are empty."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom = min(self.top + self.pixels.shape[0], other.top + other.pixels.shape[0])
        right = min(self.left + self.pixels.shape[1], other.left + other.pixels.shape[1])
        inside = 0
        if top < bottom and left < right:
            mine, theirs = (
                one.pixels[top - one.top : bottom - one.top, left - one.left : right - one.left]
                for one in (self, other)
            )
            inside = int(np.count_nonzero(mine & theirs))
        union = int(np.count_nonzero(self.pixels)) + int(np.count_nonzero(other.pixels)) - inside
        return inside / union if union else 0.0


def boundary(mask: RunLength) -> Boundary:
    """The pixels of a mask at most so far from its edge, or from that of the image."""
    height, width = mask.size
    reach = max(1, round(DILATION_RATIO * math.hypot(height, width)))
    top, left, inside = _cropped(mask)
    # One ring of nothing is the edge, at the image's border too; beyond it nothing is looked at.
    padded = np.pad(inside, 1)
    side = 2 * reach + 1
    eroded = cv2.erode(padded, np.ones((side, side), np.uint8))[1:-1, 1:-1]
    return Boundary(top, left, np.asarray(inside - eroded, np.uint8))


def _cropped(mask: RunLength) -> tuple[int, int, NDArray[np.uint8]]:
    """The box around a mask: its first row and column, and its pixels of 0 and 1.

    Whole images take most of the time where they are decoded for small masks.
    """
    height, _ = mask.size
    ends = np.cumsum(rle.counts_of(mask.counts))
    begin, end = ends[:-1:2], ends[1::2]  # of each run of ones, down the columns
    begin, end = begin[begin < end], end[begin < end]
    if not len(begin):
        return 0, 0, np.zeros((0, 0), np.uint8)
    left, right = int(begin[0] // height), int((end[-1] - 1) // height) + 1
    at = np.clip(ends, left * height, right * height)
    lengths = np.diff(at, prepend=left * height)
    values = (np.arange(len(lengths)) % 2).astype(np.uint8)
    columns = np.repeat(values, lengths).reshape(right - left, height)
    rows = np.flatnonzero(columns.any(axis=0))
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    return top, left, np.ascontiguousarray(columns[:, top:bottom].T)


def boundary_overlaps(beside: Overlaps) -> tuple[NDArray[np.float64], ...]:
    """The lesser of boundary and mask IoU (D, G) of each image, where AP may ask for it.

    That is within a category, from a mask IoU of .5 on; elsewhere it is the mask's, as for crowds.
    """
    outlines: dict[int, Boundary] = {}
    return tuple(_lesser(beside, image, outlines) for image in beside.images)


def _lesser(
    beside: Overlaps, image: ImageOverlaps, outlines: dict[int, Boundary]
) -> NDArray[np.float64]:
    found, annotated = beside.found, beside.annotated
    same = found.category[image.rows, None] == annotated.category[image.instances]
    asked = same & ~annotated.crowd[image.instances] & (image.mask >= FOREGROUND)
    lesser = image.mask.copy()
    of_found: dict[int, Boundary] = {}
    for d, g in np.argwhere(asked):
        row, instance = int(image.rows[d]), int(image.instances[g])
        if row not in of_found:
            of_found[row] = boundary(found.masks[row])
        if instance not in outlines:
            outlines[instance] = boundary(annotated.masks[instance])
        lesser[d, g] = min(lesser[d, g], of_found[row].iou(outlines[instance]))
    return lesser
