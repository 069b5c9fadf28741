"""What a layer multiplies and adds, as constants: the one place that turns plans into integers."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.quantization import arithmetic
from edgeq.quantization.bias import has_bias
from edgeq.runtimes.litert.emission import Value
from edgeq.runtimes.litert.lowering import Lowering

Floats = NDArray[np.float32]


def layer_constants(
    low: Lowering,
    node: onnx.NodeProto,
    weights: Floats,
    axis: int,
    bias: Floats,
    value: Value,
    factor: float = 1.0,
) -> list[Value]:
    """Weights and bias of a layer, in int8 and int32 if its input `value` is int8.

    `weights` lie as TFLite wants them, with the output channels along `axis`; they count `factor`
    times. `bias` [c] or [1] counts as it is.
    """
    bias = np.broadcast_to(bias, (weights.shape[axis],)).astype(np.float32)
    weight_name, bias_name = node.input[1], f"{node.name}/bias"
    # Behind a factor of its own it is no longer what ONNX calls so.
    if has_bias(node) and node.op_type != "Gemm":
        bias_name = node.input[2]
    if value.scale is None or low.plan is None:
        stored = np.ascontiguousarray(weights * np.float32(factor))
        return [low.constant(stored, name=weight_name), low.constant(bias, name=bias_name)]
    planned = low.plan.weights[node.name]
    scales = np.array(planned.scales, np.float32)
    along = None if planned.axis is None else axis
    integers = arithmetic.quantize_weights(weights, scales, along, planned.bits)
    # A scale has to be positive.
    integers = np.asarray(np.sign(factor) * integers, np.int8)
    scales = np.asarray(scales * np.float32(abs(factor) or 1.0))
    biases, products = arithmetic.bias_integers(bias, value.scale.scale, scales)
    return [
        low.weights(weight_name, integers, scales, along or 0),
        low.weights(bias_name, biases, products, 0),
    ]
