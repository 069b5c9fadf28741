"""Operators that slide a window over an image: convolutions and pools."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx

from edgeq.errors import InputError, require
from edgeq.graph.model import attribute, integer, integers
from edgeq.repair.reconstruction.inputs import Inputs, Tensor, given

torch = require("torch", "train")
functional = torch.nn.functional

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


def _padded(x: Tensor, node: onnx.NodeProto, kernel: Sequence[int], fill: float) -> Tensor:
    """The input with the border that a window's `pads` or `auto_pad` put around it."""
    count = len(kernel)
    pads = _pads(x, node, kernel)
    if not any(pads):
        return x
    flat = [n for axis in reversed(range(count)) for n in (pads[axis], pads[axis + count])]
    return functional.pad(x, flat, value=fill)


def _pads(x: Tensor, node: onnx.NodeProto, kernel: Sequence[int]) -> list[int]:
    count = len(kernel)
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode == "NOTSET":
        return integers(node, "pads", [0] * 2 * count)
    strides, dilations = (integers(node, n, [1] * count) for n in ("strides", "dilations"))
    before, after = [], []
    for axis, size in enumerate(x.shape[2:]):
        windows = -(-size // strides[axis])
        extent = (kernel[axis] - 1) * dilations[axis] + 1
        total = max((windows - 1) * strides[axis] + extent - size, 0) if mode != "VALID" else 0
        small = total // 2
        before.append(small if mode == "SAME_UPPER" else total - small)
        after.append(total - before[-1])
    return before + after


def conv(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """Conv."""
    x, weight = inputs[0], inputs[1]
    count = weight.dim() - 2
    return _CONVOLUTIONS[count](
        _padded(x, node, weight.shape[2:], 0.0),
        weight,
        given(inputs, 2),
        stride=integers(node, "strides", [1] * count),
        dilation=integers(node, "dilations", [1] * count),
        groups=integer(node, "group", 1),
    )


def conv_transpose(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """ConvTranspose."""
    x, weight = inputs[0], inputs[1]
    count = weight.dim() - 2
    strides, dilations = (integers(node, n, [1] * count) for n in ("strides", "dilations"))
    whole = _TRANSPOSED[count](
        x,
        weight,
        given(inputs, 2),
        stride=strides,
        dilation=dilations,
        output_padding=0,
        groups=integer(node, "group", 1),
    )
    more = integers(node, "output_padding", [0] * count)
    pads = integers(node, "pads", [0] * 2 * count)
    mode = attribute(node, "auto_pad", "NOTSET")
    wanted = integers(node, "output_shape", [0] * count)
    if mode in ("SAME_UPPER", "SAME_LOWER") and not any(wanted):
        wanted = [size * stride for size, stride in zip(x.shape[2:], strides, strict=True)]
    flat = []
    for axis in reversed(range(count)):
        before, after = pads[axis], pads[axis + count]
        if any(wanted):
            total = whole.shape[2 + axis] + more[axis] - wanted[axis]
            small = total // 2
            before = small if mode == "SAME_UPPER" else total - small
            after = total - before
        flat += [-before, more[axis] - after]
    bias = given(inputs, 2)
    if not any(flat):
        return whole
    if bias is None or max(flat) <= 0:
        return functional.pad(whole, flat)
    # What output_padding adds is no product, but has the bias.
    shape = [1, -1, *[1] * count]
    return functional.pad(whole - bias.reshape(shape), flat) + bias.reshape(shape)


def max_pool(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """MaxPool."""
    kernel = integers(node, "kernel_shape", [])
    return _MAX_POOLS[len(kernel)](
        _padded(inputs[0], node, kernel, -math.inf),
        kernel,
        stride=integers(node, "strides", [1] * len(kernel)),
        dilation=integers(node, "dilations", [1] * len(kernel)),
        ceil_mode=bool(integer(node, "ceil_mode", 0)),
    )


def average_pool(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """As a convolution with ones over a convolution with ones: every way to count the border."""
    x, kernel = inputs[0], integers(node, "kernel_shape", [])
    if integer(node, "ceil_mode", 0):
        what = "AveragePool with ceil_mode is none of the operators that are trained through"
        raise InputError(node.name, what, "leave 'reconstruct' out of 'repair'")
    count = len(kernel)
    strides = integers(node, "strides", [1] * count)
    dilations = integers(node, "dilations", [1] * count)
    ones = torch.ones_like(x)
    counted = bool(integer(node, "count_include_pad", 0))
    weight = x.new_ones((x.shape[1], 1, *kernel))

    def summed(values: Tensor, fill: float) -> Tensor:
        return _CONVOLUTIONS[count](
            _padded(values, node, kernel, fill),
            weight,
            stride=strides,
            dilation=dilations,
            groups=x.shape[1],
        )

    return summed(x, 0.0) / summed(ones, 1.0 if counted else 0.0)
