"""Soft masks on a coarse grid to RLE at image size, without ever drawing the image-sized mask.

Along an image column a bilinearly upsampled grid is a straight line between two grid rows. So
where it crosses the threshold is known from the grid alone: interpolate the columns, find the rows
between which the sign changes, solve for the pixel. Those crossings are the runs of the RLE.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .rle import changes_of, from_boundaries

if TYPE_CHECKING:
    from .arrays import Array, Floats, Ints
    from .letterbox import Geometry


class Axis(NamedTuple):
    """Grid coordinate of pixel p's centre: offset + scale * p; grid values lie at 0, 1, 2 ..."""

    offset: float
    scale: float


class MaskWindow(NamedTuple):
    """The pixels of an image where a mask may be set: rows top to bottom - 1, likewise columns."""

    top: int
    left: int
    bottom: int
    right: int


def axis_of(pixels: float, cells: float, start: float) -> Axis:
    """The axis on which `pixels` span `cells` of the grid and pixel 0's edge is at cell `start`.

    Half-pixel centres, as cv2.resize with INTER_LINEAR and torch with align_corners=False.
    """
    scale = cells / pixels
    return Axis(start + 0.5 * scale - 0.5, scale)


def threshold_grid(
    grid: Floats,
    rows: Axis,
    columns: Axis,
    window: MaskWindow,
    threshold: float,
    height: int,
    width: int,
) -> dict[str, Any]:
    """The RLE, in an image of height x width, of `grid` upsampled bilinearly > `threshold`.

    `grid` is [h,w]; values beyond its border repeat the border; pixels outside `window` are 0.
    """
    if window.bottom <= window.top or window.right <= window.left:
        return from_boundaries(np.zeros(0, np.int64), height, width)
    first_row, last_row = _rows_between(rows, window.top, window.bottom, grid.shape[0])
    x = np.arange(window.left, window.right)
    above = _columns(grid[first_row : last_row + 1], columns, x)
    above -= np.float32(threshold)

    # One row below the threshold after each column keeps neighbouring columns apart.
    sign = np.zeros((len(x), above.shape[1] + 1), np.bool_)
    np.greater(above, 0, out=sign[:, :-1])
    changes = changes_of(sign.reshape(-1))
    column = changes // sign.shape[1]
    y = _pixel_rows(above, changes, column, first_row, rows, window)
    boundaries = (window.left + column) * height + y
    # A peak that barely reaches the threshold at a pixel's very centre may round to a run of -1.
    return from_boundaries(np.maximum.accumulate(boundaries), height, width)


def prototype_masks(
    coefficients: Floats,
    prototypes: Floats,
    boxes: Floats,
    geometry: Geometry,
    mask_threshold: float,
) -> list[dict[str, Any]]:
    """One RLE a detection: sigmoid(coefficients @ prototypes) > mask_threshold inside its box.

    Coefficients [n,M], prototypes [M,h,w] over the whole input, boxes [n,4] in image pixels. The
    logits are upsampled, not their sigmoid (Ultralytics, `process_mask_native`).
    """
    if not len(coefficients):
        return []
    members, grid_height, grid_width = prototypes.shape
    if not np.isfinite(prototypes.sum()):
        prototypes = np.nan_to_num(prototypes)
    logits = (coefficients @ prototypes.reshape(members, -1)).reshape(-1, grid_height, grid_width)
    g = geometry
    rows = axis_of(
        g.image_height * g.input_height / g.resized_height,
        grid_height,
        g.top * grid_height / g.input_height,
    )
    columns = axis_of(
        g.image_width * g.input_width / g.resized_width,
        grid_width,
        g.left * grid_width / g.input_width,
    )
    threshold = math.log(mask_threshold / (1.0 - mask_threshold))
    return [
        threshold_grid(
            grid, rows, columns, pixels_in(box), threshold, g.image_height, g.image_width
        )
        for grid, box in zip(logits, boxes)
    ]


def pixels_in(box: Array) -> MaskWindow:
    """The pixels whose centre lies in the box [4]: x1 <= x + 0.5 < x2, likewise y."""
    x1, y1, x2, y2 = (math.ceil(edge - 0.5) for edge in box.tolist())
    return MaskWindow(y1, x1, y2, x2)


def _rows_between(axis: Axis, start: int, stop: int, cells: int) -> tuple[int, int]:
    first = math.floor(axis.offset + axis.scale * start)
    last = math.floor(axis.offset + axis.scale * (stop - 1)) + 1
    return min(max(first, 0), cells - 1), min(max(last, 0), cells - 1)


def _columns(grid: Floats, axis: Axis, x: Ints) -> Floats:
    """The grid [h,w] interpolated at the pixel columns x: [len(x),h], one image column a row."""
    at = np.clip(axis.offset + axis.scale * x, 0.0, grid.shape[1] - 1.0)
    cell = np.minimum(at.astype(np.int64), max(grid.shape[1] - 2, 0))
    weight = (at - cell).astype(np.float32)[:, None]
    first, last = int(cell[0]), int(cell[-1]) + 2
    turned = np.ascontiguousarray(grid[:, first:last].T)
    if turned.shape[0] == 1:
        return np.repeat(turned, len(x), axis=0)
    slope = turned[1:] - turned[:-1]
    values: Floats = slope[cell - first]
    values *= weight
    values += turned[cell - first]
    return values


def _pixel_rows(
    above: Floats, changes: Ints, column: Ints, first_row: int, rows: Axis, window: MaskWindow
) -> Ints:
    """The first pixel row with the new value, for each change of sign.

    Changes alternate: every column starts and ends below the threshold, so the even ones rise.
    """
    cells = above.shape[1]
    row = changes - column * (cells + 1)
    y = np.empty(len(changes), np.int64)
    y[0::2], y[1::2] = window.top, window.bottom
    inner = np.flatnonzero((row > 0) & (row < cells))
    after_at = (changes - column)[inner]
    flat = above.reshape(-1)
    before = flat[after_at - 1].astype(np.float64)
    after = flat[after_at].astype(np.float64)
    crossing = first_row - 1 + row[inner] + before / (before - after)
    pixel = (crossing - rows.offset) / rows.scale
    # A rising pixel must be strictly past the crossing, a falling one may sit on it.
    pixel = np.where(inner % 2 == 0, np.floor(pixel) + 1, np.ceil(pixel))
    y[inner] = np.clip(pixel, window.top, window.bottom)
    return y
