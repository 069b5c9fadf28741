"""ONNX's operators in PyTorch, so that what a plan makes of a model can be trained.

Every function takes a node and its inputs, in order, and gives the node's outputs. Only what float
networks compute is here; loading has folded everything else into constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import onnx

from edgeq.errors import InputError, require
from edgeq.graph.model import attribute, integer, integers, number

torch = require("torch", "train")
functional = torch.nn.functional

Tensor = Any
"""torch.Tensor"""
Inputs = Sequence[Tensor]
"""What a node reads; None where an optional input is left out"""
Operator = Callable[[onnx.NodeProto, Inputs], Tensor]

_CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}


def compute(node: onnx.NodeProto, inputs: Inputs) -> tuple[Tensor, ...]:
    """The outputs of a node. Raises InputError for an operator that is not among these."""
    operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if operator is None:
        what = f"'{node.op_type}' is none of the operators that are trained through"
        raise InputError(node.name or node.op_type, what, "leave 'reconstruct' out of 'repair'")
    made = operator(node, inputs)
    return made if isinstance(made, tuple) else (made,)


def _given(inputs: Inputs, index: int) -> Tensor | None:
    return inputs[index] if len(inputs) > index else None


def _numbers(value: Tensor) -> list[Any]:
    found = value.reshape(-1).tolist()
    return list(found)


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


def _conv(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x, weight = inputs[0], inputs[1]
    count = weight.dim() - 2
    return _CONVOLUTIONS[count](
        _padded(x, node, weight.shape[2:], 0.0),
        weight,
        _given(inputs, 2),
        stride=integers(node, "strides", [1] * count),
        dilation=integers(node, "dilations", [1] * count),
        groups=integer(node, "group", 1),
    )


def _conv_transpose(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x, weight = inputs[0], inputs[1]
    count = weight.dim() - 2
    strides, dilations = (integers(node, n, [1] * count) for n in ("strides", "dilations"))
    whole = _TRANSPOSED[count](
        x,
        weight,
        _given(inputs, 2),
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
    bias = _given(inputs, 2)
    if not any(flat):
        return whole
    if bias is None or max(flat) <= 0:
        return functional.pad(whole, flat)
    # What output_padding adds is no product, but has the bias.
    shape = [1, -1, *[1] * count]
    return functional.pad(whole - bias.reshape(shape), flat) + bias.reshape(shape)


def _gemm(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    a, b = inputs[0], inputs[1]
    a = a.transpose(0, 1) if integer(node, "transA", 0) else a
    b = b.transpose(0, 1) if integer(node, "transB", 0) else b
    product = number(node, "alpha", 1.0) * (a @ b)
    c = _given(inputs, 2)
    return product if c is None else product + number(node, "beta", 1.0) * c


def _max_pool(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    kernel = integers(node, "kernel_shape", [])
    return _MAX_POOLS[len(kernel)](
        _padded(inputs[0], node, kernel, -math.inf),
        kernel,
        stride=integers(node, "strides", [1] * len(kernel)),
        dilation=integers(node, "dilations", [1] * len(kernel)),
        ceil_mode=bool(integer(node, "ceil_mode", 0)),
    )


def _average_pool(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
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


def _resize(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    """By whole factors where nearest, by any where linear; both as most exporters write them."""
    x, scales, sizes = inputs[0], _given(inputs, 2), _given(inputs, 3)
    mode = attribute(node, "mode", "nearest")
    where = attribute(node, "coordinate_transformation_mode", "half_pixel")
    if scales is not None and scales.numel():
        factors = [float(s) for s in _numbers(scales)][-(x.dim() - 2) :]
    elif sizes is not None:
        wanted = _numbers(sizes)[-(x.dim() - 2) :]
        factors = [size / old for size, old in zip(wanted, x.shape[2:], strict=True)]
    else:
        factors = []
    whole = all(factor >= 1 and factor == int(factor) for factor in factors)
    if mode == "nearest" and factors and whole:
        for axis, factor in enumerate(factors):
            x = x.repeat_interleave(int(factor), dim=2 + axis)
        return x
    known = where in ("half_pixel", "pytorch_half_pixel", "align_corners")
    if mode == "linear" and factors and known and x.dim() in (3, 4):
        size = [math.floor(s * f) for s, f in zip(x.shape[2:], factors, strict=True)]
        named = "linear" if x.dim() == 3 else "bilinear"
        return functional.interpolate(x, size, mode=named, align_corners=where == "align_corners")
    what = f"Resize of mode {mode} ({where}) by {factors} cannot be trained through"
    raise InputError(node.name, what, "leave 'reconstruct' out of 'repair'")


def _split(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x, axis = inputs[0], integer(node, "axis", 0)
    sizes = _given(inputs, 1)
    if sizes is not None:
        return tuple(torch.split(x, _numbers(sizes), dim=axis))
    stated = attribute(node, "split")
    if isinstance(stated, list):
        return tuple(torch.split(x, stated, dim=axis))
    return tuple(torch.split(x, -(-x.shape[axis] // len(node.output)), dim=axis))


def _slice(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x = inputs[0]
    starts, ends = _numbers(inputs[1]), _numbers(inputs[2])
    given, steps = _given(inputs, 3), _given(inputs, 4)
    axes = _numbers(given) if given is not None else list(range(len(starts)))
    strides = _numbers(steps) if steps is not None else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, strides, strict=True):
        places = range(x.shape[axis])[slice(start, _end(end, x.shape[axis]), step)]
        if step == 1:
            x = x.narrow(axis, places.start, len(places))
        else:
            x = x.index_select(axis, torch.tensor(list(places)))
    return x


def _end(end: int, size: int) -> int | None:
    """A slice's end; None for one that lies before the first element, as backwards slices have."""
    return None if end < -size else end


def _reshape(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x, wanted = inputs[0], _numbers(inputs[1])
    if not integer(node, "allowzero", 0):
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x = inputs[0]
    axis = integer(node, "axis", 1) % (x.dim() + 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _axes(node: onnx.NodeProto, inputs: Inputs) -> list[int] | None:
    """Axes as an attribute (old opsets) or as the second input; None where all are meant."""
    stated = attribute(node, "axes")
    if isinstance(stated, list):
        return [int(axis) for axis in stated]
    given = _given(inputs, 1)
    return None if given is None else _numbers(given)


def _squeeze(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    axes = _axes(node, inputs)
    return inputs[0].squeeze() if axes is None else inputs[0].squeeze(tuple(axes))


def _unsqueeze(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x, axes = inputs[0], _axes(node, inputs) or []
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _transpose(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x = inputs[0]
    return x.permute(integers(node, "perm", list(reversed(range(x.dim())))))


def _pad(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x, value = inputs[0], _given(inputs, 2)
    pads = _numbers(inputs[1])
    mode = attribute(node, "mode", "constant")
    count = len(pads) // 2
    chosen = _given(inputs, 3)
    axes = _numbers(chosen) if chosen is not None else list(range(count))
    by_axis = {axis % x.dim(): (pads[i], pads[i + count]) for i, axis in enumerate(axes)}
    flat = [n for axis in reversed(range(x.dim())) for n in by_axis.get(axis, (0, 0))]
    if mode == "constant":
        return functional.pad(x, flat, value=0.0 if value is None else float(value))
    while len(flat) > 2 and flat[-2:] == [0, 0]:
        flat = flat[:-2]
    return functional.pad(x, flat, mode={"reflect": "reflect", "edge": "replicate"}[str(mode)])


def _reduced(
    function: Callable[[Tensor, list[int], bool], Tensor],
) -> Operator:
    def reduce(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
        axes = _axes(node, inputs)
        if axes is None and integer(node, "noop_with_empty_axes", 0):
            return inputs[0]
        every = list(range(inputs[0].dim()))
        return function(inputs[0], axes or every, bool(integer(node, "keepdims", 1)))

    return reduce


def _clip(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    low, high = _given(inputs, 1), _given(inputs, 2)
    least = float(low) if low is not None else number(node, "min", -math.inf)
    most = float(high) if high is not None else number(node, "max", math.inf)
    return inputs[0].clamp(least, most)


def _hard_sigmoid(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    return (number(node, "alpha", 0.2) * inputs[0] + number(node, "beta", 0.5)).clamp(0.0, 1.0)


def _batch_normalization(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x, scale, bias, mean, variance = inputs[:5]
    return functional.batch_norm(x, mean, variance, scale, bias, eps=number(node, "epsilon", 1e-5))


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def fold(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
        found = inputs[0]
        for other in inputs[1:]:
            found = function(found, other)
        return found

    return fold


def _one(function: Callable[[Tensor], Tensor]) -> Operator:
    return lambda node, inputs: function(inputs[0])


def _two(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    return lambda node, inputs: function(inputs[0], inputs[1])


def _whole(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axes)


OPERATORS: dict[str, Operator] = {
    "Abs": _one(torch.abs),
    "Add": _two(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Concat": lambda node, inputs: torch.cat(list(inputs), dim=integer(node, "axis", 0)),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _two(torch.div),
    "Dropout": _one(lambda x: x),
    "Elu": lambda node, inputs: functional.elu(inputs[0], number(node, "alpha", 1.0)),
    "Erf": _one(torch.erf),
    "Exp": _one(torch.exp),
    "Flatten": _flatten,
    "Gather": lambda node, inputs: _gathered(node, inputs),
    "Gelu": lambda node, inputs: functional.gelu(
        inputs[0], approximate=str(attribute(node, "approximate", "none"))
    ),
    "Gemm": _gemm,
    "GlobalAveragePool": _one(lambda x: x.mean(dim=_whole(range(2, x.dim())), keepdim=True)),
    "GlobalMaxPool": _one(lambda x: x.amax(dim=_whole(range(2, x.dim())), keepdim=True)),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _one(functional.hardswish),
    "Identity": _one(lambda x: x),
    "LeakyRelu": lambda node, inputs: functional.leaky_relu(inputs[0], number(node, "alpha", 0.01)),
    "Log": _one(torch.log),
    "MatMul": _two(torch.matmul),
    "Max": _folded(torch.maximum),
    "MaxPool": _max_pool,
    "Min": _folded(torch.minimum),
    "Mul": _two(torch.mul),
    "Neg": _one(torch.neg),
    "PRelu": _two(lambda x, slope: torch.where(x < 0, slope * x, x)),
    "Pad": _pad,
    "Pow": _two(torch.pow),
    "Reciprocal": _one(torch.reciprocal),
    "ReduceMax": _reduced(lambda x, axes, keep: x.amax(dim=axes, keepdim=keep)),
    "ReduceMean": _reduced(lambda x, axes, keep: x.mean(dim=axes, keepdim=keep)),
    "ReduceMin": _reduced(lambda x, axes, keep: x.amin(dim=axes, keepdim=keep)),
    "ReduceSum": _reduced(lambda x, axes, keep: x.sum(dim=axes, keepdim=keep)),
    "Relu": _one(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _one(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda node, inputs: torch.softmax(inputs[0], dim=integer(node, "axis", -1)),
    "Softplus": _one(functional.softplus),
    "Split": _split,
    "Sqrt": _one(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _two(torch.sub),
    "Sum": _folded(torch.add),
    "Tanh": _one(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""What can be trained through, by ONNX's name."""


def _gathered(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    x, places = inputs[0], inputs[1]
    axis = integer(node, "axis", 0) % x.dim()
    found = x.index_select(axis, places.reshape(-1) % x.shape[axis])
    return found.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
