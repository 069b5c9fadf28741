from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools.cocoeval import COCOeval
from scipy import ndimage

from edgeq.agent.vision import rle
from edgeq.evaluation.boundary import boundary, boundary_overlaps
from edgeq.evaluation.judged import judge_hits
from edgeq.evaluation.outlines import outlines, sampled_outlines
from edgeq.evaluation.overlaps import overlaps
from edgeq.evaluation.portions import drawn_images
from edgeq.records.insight import Outlines

from .reference import pycocotools
from .scenes import Box, Scene, arranged, draw, encoded

REACH = 4  # 2% of the diagonal of 110 x 140


def rim(bitmap: NDArray[Any]) -> NDArray[np.bool_]:
    """The pixels that are at most so many king's moves from what is not the mask, by scipy."""
    padded = np.pad(bitmap.astype(bool), 1)
    depth = ndimage.distance_transform_cdt(padded, metric="chessboard")
    return np.asarray((padded & (depth <= REACH))[1:-1, 1:-1])


class BoundaryEvaluator(COCOeval):  # type: ignore[misc]
    """pycocotools with the lesser of mask and boundary IoU."""

    def computeIoU(self, imgId: int, catId: int) -> Any:  # noqa: N802, N803
        ious = super().computeIoU(imgId, catId)
        if not len(ious):
            return ious
        found = sorted(self._dts[imgId, catId], key=lambda one: -one["score"])
        rims = [
            [rim(rle.decode(one["segmentation"])) for one in side]
            for side in (found, self._gts[imgId, catId])
        ]
        for d, mine in enumerate(rims[0]):
            for g, theirs in enumerate(rims[1]):
                if not self._gts[imgId, catId][g]["iscrowd"]:
                    iou = (mine & theirs).sum() / max(1, (mine | theirs).sum())
                    ious[d, g] = min(ious[d, g], iou)
        return ious


def found_outlines(scene: Scene, threshold: float = 0.0) -> Outlines:
    beside = overlaps(scene.annotations, scene.predictions, scene.class_to_category)
    lesser = boundary_overlaps(beside)
    sampled = sampled_outlines(beside, lesser, drawn_images(len(beside.images), 3))
    return outlines(beside, judge_hits(beside, "mask"), lesser, sampled, None, threshold)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), density=st.sampled_from([0.0, 0.5, 0.98, 1.0]))
def test_boundary_is_what_is_near_the_edge(seed: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    bitmap = np.zeros((110, 140), np.bool_)
    top, left = rng.integers(0, 100), rng.integers(0, 130)
    bitmap[top : top + rng.integers(1, 110), left : left + rng.integers(1, 140)] = True
    bitmap &= rng.random(bitmap.shape) < density
    found = boundary(encoded(bitmap))
    height, width = found.pixels.shape
    whole = np.zeros_like(bitmap)
    whole[found.top : found.top + height, found.left : found.left + width] = found.pixels
    np.testing.assert_array_equal(whole, rim(bitmap))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_boundary_iou_is_that_of_the_pixels(seed: int) -> None:
    scene = draw(seed, images=1)
    all_masks = [*scene.predictions[0].masks, *(i.mask for i in scene.annotations.instances)]
    for one in all_masks:
        for other in all_masks:
            mine, theirs = (rim(rle.decode(m.model_dump())) for m in (one, other))
            expected = (mine & theirs).sum() / (mine | theirs).sum()
            assert boundary(one).iou(boundary(other)) == pytest.approx(expected)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_boundary_ap_is_pycocotools_with_boundary_iou(seed: int, ties: bool) -> None:
    scene = draw(seed, images=3, ties=ties)
    expected = pycocotools(scene, "mask", BoundaryEvaluator)
    found = found_outlines(scene)
    assert found.ap == (None if expected.ap is None else pytest.approx(expected.ap, abs=1e-9))
    ap50 = expected.summary[1]
    assert found.ap50 == (None if ap50 is None else pytest.approx(ap50, abs=1e-9))


def test_an_outline_that_is_off_costs_more_than_the_area() -> None:
    pen: Box = (10.0, 10.0, 80.0, 80.0)
    off: Box = (13.0, 10.0, 80.0, 80.0)
    found = found_outlines(arranged([(0, pen)], [(0, 0.9, off), (0, 0.2, pen)]), threshold=0.5)
    assert found.pairs == 1
    assert found.mask_iou == pytest.approx(77 / 83)
    # Rings four wide: both have rows in common, and of the upright sides one column each.
    ring, common = 80**2 - 72**2, 2 * 4 * 77 + 2 * 72
    assert found.boundary_iou == pytest.approx(common / (2 * ring - common))
