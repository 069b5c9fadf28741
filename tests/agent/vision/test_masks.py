"""Masks from the grid's crossings against masks drawn in full."""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.agent.vision import rle
from edgeq.agent.vision.letterbox import Geometry, geometry_of
from edgeq.agent.vision.masks import (
    Axis,
    MaskWindow,
    axis_of,
    pixels_in,
    prototype_masks,
    threshold_grid,
)


def drawn(grid: Any, rows: Axis, columns: Axis, height: int, width: int) -> Any:
    """The grid upsampled to the whole image in float64, one axis after the other."""
    y = rows.offset + rows.scale * np.arange(height)
    x = columns.offset + columns.scale * np.arange(width)
    along_x = np.array([np.interp(x, np.arange(grid.shape[1]), row) for row in grid])
    return np.array([np.interp(y, np.arange(grid.shape[0]), column) for column in along_x.T]).T


def inside(window: MaskWindow, height: int, width: int) -> Any:
    mask = np.zeros((height, width), np.bool_)
    mask[max(window.top, 0) : window.bottom, max(window.left, 0) : window.right] = True
    return mask


def assert_same_mask(found: Any, values: Any, window: MaskWindow, near: float = 1e-4) -> None:
    """Equal wherever the value is not so near to 0 that rounding decides."""
    expected = (values > 0) & inside(window, *values.shape)
    differs = rle.decode(found) != expected
    assert not (differs & (np.abs(values) > near)).any()
    assert not (differs & ~inside(window, *values.shape)).any()


@given(
    seed=st.integers(0, 10_000),
    grid=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    image=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    corners=st.tuples(*[st.integers(0, 50)] * 4),
    shift=st.floats(-2, 2),
)
@settings(deadline=None, max_examples=300)
def test_crossings_give_the_mask_that_drawing_gives(
    seed: int, grid: Any, image: Any, corners: Any, shift: float
) -> None:
    values = np.random.default_rng(seed).standard_normal(grid).astype(np.float32)
    (height, width), (t, le, b, r) = image, corners
    window = MaskWindow(min(t, height), min(le, width), min(b, height), min(r, width))
    rows = axis_of(height, grid[0] * 0.9, shift)
    columns = axis_of(width, grid[1] * 0.9, -shift)
    found = threshold_grid(values, rows, columns, window, 0.0, height, width)
    assert_same_mask(found, drawn(values, rows, columns, height, width), window)


@pytest.mark.parametrize("size", [(40, 60), (8, 8), (5, 3), (641, 479)])
def test_upsampling_is_that_of_opencv(size: Any) -> None:
    grid = np.random.default_rng(3).standard_normal((8, 12)).astype(np.float32)
    height, width = size
    whole = MaskWindow(0, 0, height, width)
    found = threshold_grid(grid, axis_of(height, 8, 0), axis_of(width, 12, 0), whole, 0, *size)
    values = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    assert_same_mask(found, values, whole, near=1e-3)


@pytest.mark.parametrize("value, area", [(1.0, 12), (-1.0, 0), (0.0, 0)])
def test_flat_grids_fill_the_window_or_nothing(value: float, area: int) -> None:
    grid = np.full((4, 4), value, np.float32)
    axis = axis_of(10, 4, 0)
    found = threshold_grid(grid, axis, axis, MaskWindow(2, 3, 5, 7), 0.0, 10, 10)
    assert rle.area(found) == area


def test_windows_without_pixels_give_empty_masks() -> None:
    grid = np.ones((4, 4), np.float32)
    axis = axis_of(10, 4, 0)
    for window in (MaskWindow(5, 5, 5, 9), MaskWindow(7, 2, 3, 9)):
        assert rle.area(threshold_grid(grid, axis, axis, window, 0.0, 10, 10)) == 0


@given(st.integers(0, 10_000), st.sampled_from([(480, 640), (333, 500), (640, 80), (7, 9)]))
@settings(deadline=None, max_examples=40)
def test_prototypes_lie_where_the_letterbox_put_the_image(seed: int, image: Any) -> None:
    random = np.random.default_rng(seed)
    g = geometry_of(image[0], image[1], 64, 64, letterbox=True)
    prototypes = random.standard_normal((3, 16, 16)).astype(np.float32)
    coefficients = random.standard_normal((2, 3)).astype(np.float32)
    box = np.sort(random.uniform(0, 1, (2, 2, 2)), axis=1) * np.array([image[1], image[0]])
    boxes = box.reshape(2, 4).astype(np.float32)
    found = prototype_masks(coefficients, prototypes, boxes, g, 0.5)
    for mask, coefficient, corners in zip(found, coefficients, boxes):
        logits = np.tensordot(coefficient.astype(np.float64), prototypes, 1)
        # Through the input's own pixels, as a scalar formula: image to input to cell.
        rows = cells(image[0], g.scale_y, g.top, 16 / 64)
        columns = cells(image[1], g.scale_x, g.left, 16 / 64)
        assert_same_mask(mask, drawn(logits, rows, columns, *image), pixels_in(corners))


def cells(pixels: int, scale: float, start: float, per_pixel: float) -> Axis:
    first, second = (((p + 0.5) * scale + start) * per_pixel - 0.5 for p in (0, 1))
    return Axis(first, second - first)


def test_mask_threshold_is_a_probability() -> None:
    g = Geometry(8, 8, 8, 8, 0, 0, 8, 8)
    prototypes = np.full((1, 8, 8), 1.0, np.float32)  # A probability of 0.731.
    box = np.array([[0, 0, 8, 8]], np.float32)
    for threshold, area in ((0.7, 64), (0.75, 0)):
        (mask,) = prototype_masks(np.ones((1, 1), np.float32), prototypes, box, g, threshold)
        assert rle.area(mask) == area


def test_pixels_belong_to_a_box_by_their_centres() -> None:
    assert pixels_in(np.array([1.5, 2.4, 4.5, 6.6])) == MaskWindow(2, 1, 7, 4)
    assert pixels_in(np.array([1.51, 2.6, 4.49, 6.4])) == MaskWindow(3, 2, 6, 4)


def test_prototypes_that_are_not_numbers_do_not_break_decoding() -> None:
    g = Geometry(8, 8, 8, 8, 0, 0, 8, 8)
    prototypes = np.full((1, 4, 4), np.nan, np.float32)
    box = np.array([[0, 0, 8, 8]], np.float32)
    (mask,) = prototype_masks(np.ones((1, 1), np.float32), prototypes, box, g, 0.5)
    assert rle.area(mask) == 0


def test_a_crowded_image_costs_less_than_inference() -> None:
    random = np.random.default_rng(0)
    coarse = random.standard_normal((32, 12, 12)).astype(np.float32)
    prototypes = np.stack(
        [cv2.resize(p, (160, 160), interpolation=cv2.INTER_CUBIC) for p in coarse]
    )
    coefficients = random.standard_normal((100, 32)).astype(np.float32)
    boxes = np.tile(np.array([[0, 0, 640, 480]], np.float32), (100, 1))
    g = geometry_of(480, 640, 640, 640, letterbox=True)
    start_s = time.process_time()
    prototype_masks(coefficients, prototypes, boxes, g, 0.5)
    # 40 ms on the machine it was written on, where yolov5n-seg takes 80 ms of one core.
    assert time.process_time() - start_s < 0.4
