"""Convolutions, plain, grouped, depthwise and transposed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from edgeq.graph.model import attribute, integer, integers
from edgeq.quantization.bias import bias_of, has_bias
from edgeq.runtimes.litert.emission import Unsupported, Value
from edgeq.runtimes.litert.fusion import ACTIVATIONS
from edgeq.runtimes.litert.layout import Shape
from edgeq.runtimes.litert.lowering import Lowering
from edgeq.runtimes.litert.pointwise import ended
from edgeq.runtimes.litert.weights import Floats, layer_constants
from edgeq.runtimes.litert.window import (
    image,
    image_shape,
    padded,
    spatial_rank,
    unfolded,
    window,
)

_IMAGE = (0, 2, 3, 1)


def conv(low: Lowering, node: onnx.NodeProto) -> None:
    """Conv: CONV_2D, or DEPTHWISE_CONV_2D where every channel has filters of its own."""
    weights = _weights(low, node)
    before, after = low.shape(node.input[0]), low.shape(node.output[0])
    groups = integer(node, "group", 1)
    seen = window(node, before, after, weights.shape[2:])
    if weights.ndim == 3:
        weights = weights[:, :, None, :]
    value = image(low, node)
    if seen.padded and not seen.same:
        value = padded(low, value, seen)
    result = low.result(node)
    depthwise = groups == before[1] and groups > 1
    # [out, in, h, w] to [out, h, w, in], or [1, h, w, out] where each has one input.
    order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    axis = 3 if depthwise else 0
    bias = _bias(low, node)
    stored = weights.transpose(order)
    inputs = [value, *layer_constants(low, node, stored, axis, bias, value)]
    options: dict[str, Any] = {
        "padding": seen.padding,
        "strideH": seen.strides[0],
        "strideW": seen.strides[1],
        "dilationHFactor": seen.dilations[0],
        "dilationWFactor": seen.dilations[1],
        "fusedActivationFunction": ACTIVATIONS[result.activation],
    }
    if depthwise:
        options["depthMultiplier"] = weights.shape[0] // groups
    code = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    scale = result.scale if value.scale is not None else None
    made = low.emit(code, inputs, image_shape(after), _IMAGE, scale, **options)
    low.finish(node, unfolded(low, made, len(after)))


def conv_transpose(low: Lowering, node: onnx.NodeProto) -> None:
    """ConvTranspose: TRANSPOSE_CONV, with padding SAME where that is what ONNX asks for.

    Otherwise it writes all it can and the pads are cut off. Dilation becomes zeros between the
    weights, and each group an operator of its own.
    """
    weights = _weights(low, node)
    before, after = low.shape(node.input[0]), low.shape(node.output[0])
    axes = _axes(node, before, after, weights.shape[2:])
    if weights.ndim == 3:
        weights = weights[:, :, None, :]
    weights = _dilated(weights, (axes[0].dilation, axes[1].dilation))
    groups = integer(node, "group", 1)
    value = image(low, node, floats=groups > 1)
    result = low.result(node)
    scale = result.scale if value.scale is not None else None
    target = image_shape(after)
    same = all(axis.is_same for axis in axes)
    sizes = target[1:3] if same else tuple(axis.needed for axis in axes)

    def deconvolved(part: Value, constants: list[Value]) -> Value:
        shape = (target[0], *sizes, constants[0].shape[0])
        inputs = [low.integers(*shape), constants[0], part, constants[1]]
        return low.emit(
            "TRANSPOSE_CONV",
            inputs,
            shape,
            _IMAGE,
            scale,
            padding=0 if same else 1,
            strideH=axes[0].stride,
            strideW=axes[1].stride,
        )

    order = (1, 2, 3, 0)
    if groups == 1:
        constants = layer_constants(low, node, weights.transpose(order), 0, _bias(low, node), value)
        made = deconvolved(value, constants)
    else:
        channels = groups * weights.shape[1]
        bias = np.broadcast_to(_bias(low, node), (channels,)).reshape(groups, -1)
        parts = []
        for i, kernel in enumerate(np.split(weights, groups)):
            stored = np.ascontiguousarray(kernel.transpose(order))
            constants = [low.constant(stored), low.constant(bias[i])]
            parts.append(deconvolved(_channels(low, value, i, groups), constants))
        shape = (*parts[0].shape[:3], groups * parts[0].shape[3])
        made = low.emit("CONCATENATION", parts, shape, _IMAGE, axis=3)
    if made.shape != target:
        begin = low.integers(0, axes[0].first, axes[1].first, 0)
        inputs = [made, begin, low.integers(*target)]
        made = low.emit("SLICE", inputs, target, _IMAGE, made.scale)
    # Old kernels of TRANSPOSE_CONV take none in.
    made = ended(low, made, result.activation)
    low.finish(node, unfolded(low, made, len(after)))


def _bias(low: Lowering, node: onnx.NodeProto) -> Floats:
    return bias_of(low.model, node) if has_bias(node) else np.zeros(1, np.float32)


def _weights(low: Lowering, node: onnx.NodeProto) -> Floats:
    found = low.known(node.input[1])
    if found is None:
        raise Unsupported("its weights are computed; TFLite's kernels take constant ones")
    if has_bias(node) and low.known(node.input[2]) is None:
        raise Unsupported("its bias is computed; TFLite's kernels take a constant one")
    return np.asarray(found, np.float32)


@dataclass(frozen=True)
class _Axis:
    """One spatial axis of a ConvTranspose: `first` is the pad before, `extent` of the kernel."""

    size: int
    result: int
    stride: int
    dilation: int
    extent: int
    first: int

    @property
    def needed(self) -> int:
        """What has to be written, of which the result is cut; output_padding may go beyond."""
        return max((self.size - 1) * self.stride + self.extent, self.first + self.result)

    @property
    def is_same(self) -> bool:
        """Whether TFLite's padding SAME cuts the same off."""
        total = (self.size - 1) * self.stride + self.extent - self.result
        fits = self.size == -(-self.result // self.stride)
        return fits and total >= 0 and self.first == total // 2


def _axes(
    node: onnx.NodeProto, before: Shape, after: Shape, kernel: tuple[int, ...]
) -> tuple[_Axis, _Axis]:
    """Height and width; a one-dimensional one has height 1. Raises Unsupported for three."""
    count = spatial_rank(before)
    strides, dilations = (integers(node, name, [1] * count) for name in ("strides", "dilations"))
    pads = integers(node, "pads", [0] * 2 * count)
    extra = integers(node, "output_padding", [0] * count)
    mode = attribute(node, "auto_pad", "NOTSET")
    by_shape = mode in ("SAME_UPPER", "SAME_LOWER") or attribute(node, "output_shape") is not None
    found = [_Axis(1, 1, 1, 1, 1, 0)] * (2 - count)
    for i in range(count):
        size, result, extent = before[2 + i], after[2 + i], (kernel[i] - 1) * dilations[i] + 1
        first = 0 if mode == "VALID" else pads[i]
        if by_shape:
            total = max((size - 1) * strides[i] + extra[i] + extent - result, 0)
            first = total // 2 if mode == "SAME_UPPER" else total - total // 2
        found.append(_Axis(size, result, strides[i], dilations[i], extent, first))
    return found[0], found[1]


def _dilated(weights: Floats, dilations: tuple[int, int]) -> Floats:
    """The weights with zeros between them."""
    height, width = weights.shape[2:]
    extents = (height - 1) * dilations[0] + 1, (width - 1) * dilations[1] + 1
    wide = np.zeros((*weights.shape[:2], *extents), np.float32)
    wide[:, :, :: dilations[0], :: dilations[1]] = weights
    return wide


def _channels(low: Lowering, value: Value, part: int, parts: int) -> Value:
    """One of so many equal parts of an image's channels."""
    count = value.shape[3] // parts
    shape = (*value.shape[:3], count)
    inputs = [value, low.integers(0, 0, 0, part * count), low.integers(*shape)]
    return low.emit("SLICE", inputs, shape, value.layout, value.scale)
