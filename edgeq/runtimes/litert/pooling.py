"""Pools over windows."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import attribute, integers
from edgeq.quantization.arithmetic import LIMITS
from edgeq.runtimes.litert.emission import Unsupported, Value
from edgeq.runtimes.litert.layout import Shape
from edgeq.runtimes.litert.lowering import Lowering
from edgeq.runtimes.litert.window import (
    Window,
    image,
    image_shape,
    padded,
    spatial_rank,
    unfolded,
    window,
)

_IMAGE = (0, 2, 3, 1)


def max_pool(low: Lowering, node: onnx.NodeProto) -> None:
    """MaxPool: MAX_POOL_2D, behind a PADV2 with the least number where SAME gives other pads."""
    if len(node.output) > 1 and node.output[1]:
        raise Unsupported("its indices are asked for; TFLite's kernel gives none")
    seen, after = _window(low, node)
    value = image(low, node)
    if seen.padded and not seen.same:
        if value.scale is None:
            least = low.constant(np.array(np.finfo(np.float32).min, np.float32))
        else:
            least = low.constant(np.array(LIMITS["int8"][0], np.int8), value.scale)
        value = padded(low, value, seen, least)
    _finish(low, node, _pooled(low, "MAX_POOL_2D", value, seen, after))


def average_pool(low: Lowering, node: onnx.NodeProto) -> None:
    """AveragePool: AVERAGE_POOL_2D; where pads count otherwise than there, sums divided anew."""
    seen, after = _window(low, node)
    ours = _counts(low, node, seen, after)
    area = seen.kernel[0] * seen.kernel[1]
    needs_pads = seen.padded and not (seen.same and np.array_equal(ours, _valid(low, node, seen)))
    uneven = bool((ours != area).any()) and needs_pads
    value = image(low, node, floats=uneven)
    if needs_pads:
        value = padded(low, value, seen)
        seen = Window(seen.kernel, seen.strides, seen.dilations, ((0, 0), (0, 0)), same=False)
    made = _pooled(low, "AVERAGE_POOL_2D", value, seen, after)
    if uneven:
        factor = low.constant((area / ours).astype(np.float32)[None, :, :, None])
        made = low.emit("MUL", [made, factor], made.shape, _IMAGE)
    _finish(low, node, made)


def _window(low: Lowering, node: onnx.NodeProto) -> tuple[Window, Shape]:
    before, after = low.shape(node.input[0]), low.shape(node.output[0])
    kernel = tuple(integers(node, "kernel_shape", []))
    if any(n != 1 for n in integers(node, "dilations", [1])):
        raise Unsupported("has dilations; TFLite's pools have none")
    seen = window(node, before, after, kernel)
    for size, result, stride, (first, _) in zip(
        image_shape(before)[1:3], image_shape(after)[1:3], seen.strides, seen.pads, strict=True
    ):
        if (result - 1) * stride - first >= size:
            raise Unsupported("has a window behind the image; export it without ceil_mode")
    return seen, after


def _pooled(low: Lowering, code: str, value: Value, seen: Window, after: Shape) -> Value:
    return low.emit(
        code,
        [value],
        image_shape(after),
        _IMAGE,
        value.scale,
        padding=seen.padding,
        strideH=seen.strides[0],
        strideW=seen.strides[1],
        filterHeight=seen.kernel[0],
        filterWidth=seen.kernel[1],
    )


def _finish(low: Lowering, node: onnx.NodeProto, value: Value) -> None:
    low.finish(node, unfolded(low, value, len(low.shape(node.output[0]))))


def _counts(low: Lowering, node: onnx.NodeProto, seen: Window, after: Shape) -> NDArray[np.float64]:
    """By how much ONNX divides the sum at each place [H, W]."""
    if not attribute(node, "count_include_pad", 0):
        return _valid(low, node, seen)
    count = spatial_rank(low.shape(node.input[0]))
    stated = integers(node, "pads", [0] * 2 * count)
    behind = stated[count:]
    if attribute(node, "auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        behind = [last for _, last in seen.pads[2 - count :]]
    sizes = image_shape(low.shape(node.input[0]))[1:3]
    lasts = [0] * (2 - count) + behind
    inside = [
        _overlap(size, stride, kernel, first, results, -first, size + last)
        for size, stride, kernel, (first, _), results, last in zip(
            sizes, seen.strides, seen.kernel, seen.pads, image_shape(after)[1:3], lasts, strict=True
        )
    ]
    return np.outer(*inside)


def _valid(low: Lowering, node: onnx.NodeProto, seen: Window) -> NDArray[np.float64]:
    """How many pixels of the image each window sees."""
    sizes = image_shape(low.shape(node.input[0]))[1:3]
    results = image_shape(low.shape(node.output[0]))[1:3]
    inside = [
        _overlap(size, stride, kernel, first, result, 0, size)
        for size, stride, kernel, (first, _), result in zip(
            sizes, seen.strides, seen.kernel, seen.pads, results, strict=True
        )
    ]
    return np.outer(*inside)


def _overlap(
    size: int, stride: int, kernel: int, first: int, results: int, low: int, high: int
) -> NDArray[np.float64]:
    """How many of [low, high) the window at each of so many places covers."""
    starts = np.arange(results) * stride - first
    ends = np.minimum(starts + kernel, high)
    return np.asarray(ends - np.maximum(starts, low), np.float64)
