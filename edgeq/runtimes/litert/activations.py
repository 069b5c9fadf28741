"""Activations: what kernels do not take in, and what is more than one operator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from edgeq.graph.bounds import bounds
from edgeq.graph.hard_swish import gate_of_product, product_of_gate
from edgeq.graph.model import attribute, number
from edgeq.quantization.arithmetic import quantize
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.emission import Unsupported
from edgeq.runtimes.litert.fusion import ACTIVATIONS, activation_of
from edgeq.runtimes.litert.lowering import Lowering
from edgeq.runtimes.litert.pointwise import binary, unary

_INT32 = (np.iinfo(np.int32).min, np.iinfo(np.int32).max)


def activation(low: Lowering, node: onnx.NodeProto) -> None:
    """Relu and Clip that no kernel before them took in."""
    code = activation_of(low.model, node)
    if code is not None and low.dtype(node.input[0]) == "float32":
        unary(code)(low, node)
        return
    limits = bounds(low.model, node)
    if limits is None:
        raise Unsupported("its bounds are computed")
    value = low.read(node, 0)
    for bound, operator in zip(limits, ("MAXIMUM", "MINIMUM"), strict=True):
        if np.isfinite(bound):
            if value.dtype == "int32":
                # Of 64-bit integers, which exporters bound by the largest and least there are.
                bound = float(np.clip(bound, *_INT32))
            limit = np.array(bound, np.float32 if value.dtype == "int8" else value.dtype)
            if value.scale is not None:
                constant = low.constant(quantize(np.asarray(limit), value.scale), value.scale)
            else:
                constant = low.constant(limit)
            value = low.emit(
                operator, [value, constant], value.shape, value.layout, value.scale, value.dtype
            )
    low.finish(node, value)


def leaky_relu(low: Lowering, node: onnx.NodeProto) -> None:
    """LeakyRelu, whose slope is an option."""
    unary("LEAKY_RELU", alpha=number(node, "alpha", 0.01))(low, node)


def elu(low: Lowering, node: onnx.NodeProto) -> None:
    """Elu; TFLite's has alpha 1."""
    if number(node, "alpha", 1.0) != 1.0:
        raise Unsupported("has an alpha other than 1, which TFLite's ELU has not")
    unary("ELU")(low, node)


def gelu(low: Lowering, node: onnx.NodeProto) -> None:
    """Gelu, exact or by tanh."""
    unary("GELU", approximate=attribute(node, "approximate", "none") == "tanh")(low, node)


def prelu(low: Lowering, node: onnx.NodeProto) -> None:
    """PRelu: its slopes are a constant, of one rank less where that is enough, as converters do."""
    if low.known(node.input[1]) is None:
        raise Unsupported("its slopes are computed")
    value = low.read(node, 0)
    known = np.asarray(low.known(node.input[1]), np.float32)
    full = known.reshape((1,) * (len(value.shape) - known.ndim) + known.shape)
    stored = full.transpose(value.layout)
    stored = stored[0] if stored.shape[0] == 1 else stored
    scale, slope_scale = low.result(node).scale, low.scale_read(node, 1)
    if value.scale is None or slope_scale is None:
        value, scale = low.read(node, 0, value.layout, floats=True), None
        slopes = low.constant(stored, name=node.input[1])
    else:
        slopes = low.constant(quantize(stored, slope_scale), slope_scale, node.input[1])
    low.finish(node, low.emit("PRELU", [value, slopes], value.shape, value.layout, scale))


def hard_sigmoid(low: Lowering, node: onnx.NodeProto) -> None:
    """HardSigmoid: min(relu(alpha x + beta), 1); as part of a HardSwish nothing by itself."""
    if hard_swish_behind(low, node):
        return
    value = low.read(node, 0, floats=True)
    alpha, beta = number(node, "alpha", 0.2), number(node, "beta", 0.5)
    shape, layout = value.shape, value.layout
    steps = (("MUL", alpha, "NONE"), ("ADD", beta, "RELU"), ("MINIMUM", 1.0, ""))
    for code, operand, ending in steps:
        options: dict[str, Any] = {"fusedActivationFunction": ACTIVATIONS[ending]} if ending else {}
        constant = low.constant(np.array(operand, np.float32))
        value = low.emit(code, [value, constant], shape, layout, **options)
    low.finish(node, value)


def hard_swish_behind(low: Lowering, gate: onnx.NodeProto) -> bool:
    """Whether a HardSigmoid is computed with the product behind it, in one kernel."""
    product = product_of_gate(low.model, gate)
    if product is None or low.result(product).activation != "NONE":
        return False
    return low.is_quantized(product) == low.is_quantized(gate)


def multiply(low: Lowering, node: onnx.NodeProto) -> None:
    """Mul; HARD_SWISH where it is the product of a HardSigmoid with its own input."""
    gate = gate_of_product(low.model, node)
    if gate is None or not hard_swish_behind(low, gate):
        binary("MUL", takes_activation=True)(low, node)
        return
    low.take_in(gate)
    value = low.read(node, list(node.input).index(gate.input[0]))
    scale = low.result(node).scale if value.scale is not None else None
    low.finish(node, low.emit("HARD_SWISH", [value], value.shape, value.layout, scale))


def softplus(low: Lowering, node: onnx.NodeProto) -> None:
    """Softplus: relu(x) + log(1 + exp(-|x|)), which no input overflows."""
    value = low.read(node, 0, floats=True)
    shape, layout = value.shape, value.layout
    size = low.emit("NEG", [low.emit("ABS", [value], shape, layout)], shape, layout)
    one = low.constant(np.array(1, np.float32))
    grown = low.emit("EXP", [size], shape, layout)
    grown = low.emit("ADD", [grown, one], shape, layout)
    parts = [low.emit("RELU", [value], shape, layout), low.emit("LOG", [grown], shape, layout)]
    low.finish(node, low.emit("ADD", parts, shape, layout))


def softmax(low: Lowering, node: onnx.NodeProto) -> None:
    """Softmax: its axis has to be stored last."""
    shape = low.shape(node.input[0])
    axis = attribute(node, "axis", -1)
    assert isinstance(axis, int)
    there = low.read(node, 0)
    value = low.read(node, 0, layouts.last(there.layout, [axis % len(shape)]))
    scale = low.result(node).scale if value.scale is not None else None
    low.finish(node, low.emit("SOFTMAX", [value], value.shape, value.layout, scale, beta=1.0))
