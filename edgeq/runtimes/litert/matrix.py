"""Matrix products: with constant weights FULLY_CONNECTED, otherwise BATCH_MATMUL."""

from __future__ import annotations

import numpy as np
import onnx

from edgeq.graph.model import attribute, number
from edgeq.quantization.bias import bias_of, has_bias, is_one_a_channel
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.emission import Unsupported, Value
from edgeq.runtimes.litert.fusion import ACTIVATIONS
from edgeq.runtimes.litert.lowering import Lowering
from edgeq.runtimes.litert.pointwise import ended
from edgeq.runtimes.litert.weights import Floats, layer_constants


def gemm(low: Lowering, node: onnx.NodeProto) -> None:
    """Gemm: alpha and beta go into constants, a bias that is no row is added behind."""
    alpha, beta = (number(node, name, 1.0) for name in ("alpha", "beta"))
    left = low.read(node, 0, (1, 0) if attribute(node, "transA", 0) else (0, 1))
    left = low.relabelled(left, (0, 1))
    weights = low.known(node.input[1])
    flipped = bool(attribute(node, "transB", 0))
    bias = np.zeros(1, np.float32)
    fused = has_bias(node) and is_one_a_channel(low.model, node)
    if fused:
        bias = bias_of(low.model, node)
    if weights is not None:
        rows = np.asarray(weights, np.float32) if flipped else np.asarray(weights, np.float32).T
        made = _connected(low, node, left, rows, alpha, bias * beta, fused or not has_bias(node))
    else:
        right = low.read(node, 1, (0, 1), floats=left.scale is None)
        made = _multiplied(low, node, left, right, flipped)
        made = _scaled(low, made, alpha)
        if fused:
            made = _added(low, made, low.constant(bias * beta))
    if has_bias(node) and not fused:
        if low.known(node.input[2]) is None:
            rest = low.read(node, 2, layouts.plain(len(low.shape(node.input[2]))), floats=True)
        else:
            rest = low.constant(np.asarray(low.known(node.input[2])))
        made = _added(low, made, _scaled(low, rest, beta))
    _end(low, node, made, weights is not None and (fused or not has_bias(node)))


def matmul(low: Lowering, node: onnx.NodeProto) -> None:
    """MatMul."""
    weights = low.known(node.input[1])
    first, second = (len(low.shape(name)) for name in node.input[:2])
    if first == 1 or second == 1:
        raise Unsupported("multiplies a vector; give it an axis of 1")
    if weights is not None and weights.ndim == 2:
        left = low.read(node, 0, layouts.plain(first))
        rows = np.asarray(weights, np.float32).T
        made = _connected(low, node, left, rows, 1.0, np.zeros(1, np.float32), True)
        _end(low, node, made, True)
        return
    left = low.read(node, 0, layouts.plain(first))
    right = low.read(node, 1, layouts.plain(second))
    _end(low, node, _multiplied(low, node, left, right, False), False)


def _connected(
    low: Lowering,
    node: onnx.NodeProto,
    left: Value,
    rows: Floats,
    alpha: float,
    bias: Floats,
    ends: bool,
) -> Value:
    """The product of left [..., k] and rows [n, k] transposed, plus bias [n] or [1]."""
    result = low.result(node)
    scale = result.scale if left.scale is not None else None
    constants = layer_constants(low, node, rows, 0, bias, left, alpha)
    shape = (*left.shape[:-1], rows.shape[0])
    return low.emit(
        "FULLY_CONNECTED",
        [left, *constants],
        shape,
        layouts.plain(len(shape)),
        scale,
        fusedActivationFunction=ACTIVATIONS[result.activation if ends else "NONE"],
        weightsFormat=0,
        keepNumDims=len(shape) > 2,
        asymmetricQuantizeInputs=False,
    )


def _multiplied(
    low: Lowering, node: onnx.NodeProto, left: Value, right: Value, flipped: bool
) -> Value:
    """The product of left [..., m, k] and right [..., k, n]; [..., n, k] if it is flipped."""
    columns = right.shape[-2] if flipped else right.shape[-1]
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    shape = (*batch, left.shape[-2], columns)
    scale = low.result(node).scale if left.scale is not None else None
    return low.emit(
        "BATCH_MATMUL",
        [left, right],
        shape,
        layouts.plain(len(shape)),
        scale,
        adjX=False,
        adjY=flipped,
        asymmetricQuantizeInputs=False,
    )


def _end(low: Lowering, node: onnx.NodeProto, value: Value, fused: bool) -> None:
    """Behind what took no activation in, the one that it should have."""
    low.finish(node, value if fused else ended(low, value, low.result(node).activation))


def _scaled(low: Lowering, value: Value, factor: float) -> Value:
    if factor == 1.0:
        return value
    constant = low.constant(np.array(factor, np.float32))
    return low.emit("MUL", [value, constant], value.shape, value.layout)


def _added(low: Lowering, value: Value, other: Value) -> Value:
    return low.emit("ADD", [value, other], value.shape, value.layout)
