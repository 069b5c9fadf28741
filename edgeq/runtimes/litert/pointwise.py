"""What computes number by number: arithmetic, activations, comparisons, choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import attribute, number
from edgeq.quantization.arithmetic import LIMITS, quantize
from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.emission import Unsupported, Value
from edgeq.runtimes.litert.flatbuffer import DType
from edgeq.runtimes.litert.fusion import ACTIVATIONS, BOUNDS
from edgeq.runtimes.litert.layout import Layout, Shape
from edgeq.runtimes.litert.lowering import Lowering

Lower = Callable[[Lowering, onnx.NodeProto], None]


def unary(code: str, **options: Any) -> Lower:
    """An operator of one tensor, in whatever layout that has."""

    def lower(low: Lowering, node: onnx.NodeProto) -> None:
        value = low.read(node, 0)
        scale = low.result(node).scale if value.scale is not None else None
        made = low.emit(code, [value], value.shape, value.layout, scale, value.dtype, **options)
        low.finish(node, made)

    return lower


def binary(code: str, takes_activation: bool = False, result: DType | None = None) -> Lower:
    """An operator of two tensors that are stretched to one shape; `result` its type if another."""

    def lower(low: Lowering, node: onnx.NodeProto) -> None:
        found = low.result(node)
        left, right = aligned(low, node, (0, 1))
        shape = layouts.stored_shape(low.shape(node.output[0]), left.layout)
        options = {"fusedActivationFunction": ACTIVATIONS[found.activation]}
        made = low.emit(
            code,
            [left, right],
            shape,
            left.layout,
            found.scale if left.scale is not None and result is None else None,
            result or left.dtype,
            **(options if takes_activation else {}),
        )
        low.finish(node, made)

    return lower


def variadic(code: str) -> Lower:
    """Max, Min, Sum: one operator after the other; Mean divides at the end."""

    def lower(low: Lowering, node: onnx.NodeProto) -> None:
        values = aligned(low, node, range(len(node.input)))
        made = values[0]
        shape = layouts.stored_shape(low.shape(node.output[0]), made.layout)
        for value in values[1:]:
            made = low.emit(code, [made, value], shape, made.layout, made.scale, made.dtype)
        if node.op_type == "Mean":
            share = low.constant(np.array(1 / len(values), np.float32))
            made = low.emit("MUL", [made, share], shape, made.layout)
        low.finish(node, made)

    return lower


def ended(low: Lowering, value: Value, activation: str) -> Value:
    """Behind an activation that its kernel did not compute; integers may end there anyway.

    They do not where their scale spans more than the activation leaves: that of a Concat does.
    """
    if activation == "NONE":
        return value
    if value.scale is not None:
        step, zero = value.scale.scale, value.scale.zero_point
        least, greatest = ((limit - zero) * step for limit in LIMITS["int8"])
        lower, upper = BOUNDS[activation]
        if lower - step / 2 <= least and greatest <= upper + step / 2:
            return value
    return low.emit(activation, [value], value.shape, value.layout, value.scale)


def aligned(low: Lowering, node: onnx.NodeProto, indices: Any) -> list[Value]:
    """Inputs of one node in one layout of the output's rank, so that TFLite stretches them alike.

    The layout is that of the largest computed one; constants are stored as it demands.
    """
    rank = len(low.shape(node.output[0]))
    names = [node.input[i] for i in indices]
    computed = [i for i in indices if low.known(node.input[i]) is None]
    values = {i: low.read(node, i) for i in computed}

    def size(i: int) -> tuple[int, int]:
        return len(values[i].layout), int(np.prod(values[i].shape))

    layout = layouts.plain(rank)
    if computed:
        largest = max(computed, key=size)
        if len(values[largest].layout) == rank:
            layout = values[largest].layout
    found = []
    for i, name in zip(indices, names, strict=True):
        shape = low.shape(name)
        if len(shape) == rank:
            found.append(low.read(node, i, layout))
        elif i in values:
            found.append(_raised(low, low.read(node, i, layouts.plain(len(shape))), shape, layout))
        else:
            found.append(_constant(low, node, i, shape, layout))
    return found


def _raised(low: Lowering, value: Value, shape: Shape, layout: Layout) -> Value:
    """A tensor of a lower rank with extents of 1 in front, in a layout of the full rank."""
    full = (*(1,) * (len(layout) - len(shape)), *shape)
    if layout != layouts.plain(len(layout)) and sum(extent > 1 for extent in full) > 1:
        return low.laid(low.reshaped(value, full, layouts.plain(len(full))), layout, full)
    return low.reshaped(value, layouts.stored_shape(full, layout), layout)


def _constant(
    low: Lowering, node: onnx.NodeProto, index: int, shape: Shape, layout: Layout
) -> Value:
    """A constant of a lower rank, stored as a layout of the full rank demands."""
    name = node.input[index]
    full = (*(1,) * (len(layout) - len(shape)), *shape)
    array: NDArray[np.generic] = np.asarray(low.known(name)).reshape(full).transpose(layout)
    scale = low.scale_read(node, index)
    if scale is not None:
        array = quantize(np.asarray(array, np.float32), scale)
    return low.relabelled(low.constant(array, scale, name), layout)


def power(low: Lowering, node: onnx.NodeProto) -> None:
    """Pow; squares and roots have operators of their own, which are faster."""
    exponent = low.known(node.input[1])
    known = {1.0: "", 2.0: "SQUARE", 0.5: "SQRT"}
    alike = (
        exponent is not None and exponent.size > 0 and bool((exponent == exponent.flat[0]).all())
    )
    if alike and exponent is not None and float(exponent.flat[0]) in known:
        stretched = low.shape(node.input[0]) != low.shape(node.output[0])
        value = low.read(node, 0, floats=True)
        code = known[float(exponent.flat[0])]
        if not stretched and value.dtype == "float32":
            if code:
                value = low.emit(code, [value], value.shape, value.layout)
            low.finish(node, value)
            return
    left, right = aligned(low, node, (0, 1))
    if left.dtype != right.dtype:
        right = low.emit("CAST", [right], right.shape, right.layout, None, left.dtype)
    shape = layouts.stored_shape(low.shape(node.output[0]), left.layout)
    low.finish(node, low.emit("POW", [left, right], shape, left.layout, None, left.dtype))


def reciprocal(low: Lowering, node: onnx.NodeProto) -> None:
    """Reciprocal: one divided by it."""
    value = low.read(node, 0, floats=True)
    one = low.constant(np.array(1, np.float32))
    low.finish(node, low.emit("DIV", [one, value], value.shape, value.layout))


def batch_normalization(low: Lowering, node: onnx.NodeProto) -> None:
    """BatchNormalization that could not be folded: a factor and a shift a channel."""
    if attribute(node, "training_mode", 0):
        raise Unsupported("is in training mode")
    constants = [low.known(name) for name in node.input[1:5]]
    if any(found is None for found in constants):
        raise Unsupported("its parameters are computed")
    scale, shift, mean, variance = (np.asarray(found, np.float64) for found in constants)
    factor = scale / np.sqrt(variance + number(node, "epsilon", 1e-5))
    value = low.read(node, 0, floats=True)
    extents = [1] * len(value.shape)
    extents[value.layout.index(1)] = factor.size
    for code, numbers in (("MUL", factor), ("ADD", shift - mean * factor)):
        constant = low.constant(numbers.astype(np.float32).reshape(extents))
        value = low.emit(code, [value, constant], value.shape, value.layout)
    low.finish(node, value)


def cast(low: Lowering, node: onnx.NodeProto) -> None:
    """Cast between floats, integers and truth."""
    target = low.dtype(node.output[0])
    value = low.read(node, 0, floats=True)
    if value.dtype != target:
        value = low.emit("CAST", [value], value.shape, value.layout, None, target)
    low.finish(node, value)


def where(low: Lowering, node: onnx.NodeProto) -> None:
    """Where: one or the other by a condition."""
    values = aligned(low, node, (0, 1, 2))
    scale = low.result(node).scale if values[1].scale is not None else None
    values = [values[0], *(low.rescaled(v, scale) if v.dtype == "int8" else v for v in values[1:])]
    shape = layouts.stored_shape(low.shape(node.output[0]), values[0].layout)
    made = low.emit("SELECT_V2", values, shape, values[0].layout, scale, values[1].dtype)
    low.finish(node, made)
