"""What makes one number of many: means, sums, extremes, and where those are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx

from edgeq.graph.model import attribute
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.emission import Unsupported
from edgeq.runtimes.litert.lowering import Lowering, axis_of

_OWN_SCALE = ("MEAN", "SUM")
"""Their int8 kernels rescale; those of the others hand on the input's scale."""


def reduce(code: str) -> Callable[[Lowering, onnx.NodeProto], None]:
    """ReduceMean and its like over constant axes."""

    def lower(low: Lowering, node: onnx.NodeProto) -> None:
        rank = len(low.shape(node.input[0]))
        axes = _axes(low, node, rank)
        value = low.read(node, 0, floats=code == "REDUCE_PROD")
        if not axes:
            low.finish(node, value)
            return
        keeps = bool(attribute(node, "keepdims", 1))
        layout = value.layout if keeps else layouts.without(value.layout, axes)
        shape = layouts.stored_shape(low.shape(node.output[0]), layout)
        scale = low.result(node).scale if value.scale is not None else None
        if code not in _OWN_SCALE:
            scale = value.scale
        stored = sorted(value.layout.index(axis) for axis in axes)
        inputs = [value, low.integers(*stored)]
        made = low.emit(code, inputs, shape, layout, scale, value.dtype, keepDims=keeps)
        low.finish(node, made)

    return lower


def global_pool(code: str) -> Callable[[Lowering, onnx.NodeProto], None]:
    """GlobalAveragePool, GlobalMaxPool: over all but images and channels."""

    def lower(low: Lowering, node: onnx.NodeProto) -> None:
        rank = len(low.shape(node.input[0]))
        value = low.read(node, 0, layouts.channels_last(rank))
        shape = (value.shape[0], *(1,) * (rank - 2), value.shape[-1])
        scale = low.result(node).scale if value.scale is not None else None
        scale = scale if code in _OWN_SCALE else value.scale
        inputs = [value, low.integers(*range(1, rank - 1))]
        made = low.emit(code, inputs, shape, value.layout, scale, value.dtype, keepDims=True)
        low.finish(node, made)

    return lower


def arg(code: str) -> Callable[[Lowering, onnx.NodeProto], None]:
    """ArgMax, ArgMin: of several equal ones the first."""

    def lower(low: Lowering, node: onnx.NodeProto) -> None:
        if attribute(node, "select_last_index", 0):
            raise Unsupported("takes the last of several equal ones; TFLite takes the first")
        shape = low.shape(node.input[0])
        axis = axis_of(node, len(shape))
        value = low.read(node, 0)
        along = value.layout.index(axis)
        layout = layouts.without(value.layout, [axis])
        less = (*value.shape[:along], *value.shape[along + 1 :])
        inputs = [value, low.constant(np.array(along, np.int32))]
        # The schema's TensorType of the indices: INT32.
        made = low.emit(code, inputs, less, layout, None, "int32", outputType=2)
        if attribute(node, "keepdims", 1):
            kept = (*value.shape[:along], 1, *value.shape[along + 1 :])
            made = low.reshaped(made, kept, value.layout)
        low.finish(node, made)

    return lower


def top_k(low: Lowering, node: onnx.NodeProto) -> None:
    """TopK of the largest, sorted: along the last axis as stored."""
    count = low.known(node.input[1])
    if count is None:
        raise Unsupported("how many it takes is computed")
    if not attribute(node, "largest", 1):
        raise Unsupported("takes the smallest; TFLite takes the largest")
    shape = low.shape(node.input[0])
    axis = axis_of(node, len(shape), -1)
    there = low.read(node, 0)
    value = low.read(node, 0, layouts.last(there.layout, [axis]))
    k = int(count.reshape(-1)[0])
    target = (*value.shape[:-1], k)
    outputs = [
        (target, value.layout, value.scale, value.dtype),
        (target, value.layout, None, "int32"),
    ]
    inputs = [value, low.constant(np.array(k, np.int32))]
    found = low.emit_many("TOPK_V2", inputs, outputs)
    for output, made in enumerate(found):
        if output < len(node.output) and node.output[output]:
            low.finish(node, made, output)


def _axes(low: Lowering, node: onnx.NodeProto, rank: int) -> list[int]:
    """An attribute up to opset 17 (ReduceSum: 12), an input since; none: all of them or nothing."""
    stated = attribute(node, "axes")
    if len(node.input) > 1 and node.input[1]:
        known = low.known(node.input[1])
        if known is None:
            raise Unsupported("its axes are computed")
        stated = known.reshape(-1).tolist()
    assert stated is None or isinstance(stated, list)
    if not stated and attribute(node, "noop_with_empty_axes", 0):
        return []
    return [int(axis) % rank for axis in stated or range(rank)]
