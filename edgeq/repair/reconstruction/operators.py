"""ONNX's operators in PyTorch, so that what a plan makes of a model can be trained.

Every function takes a node and its inputs, in order, and gives the node's outputs. Only what float
networks compute is here; loading has folded everything else into constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx

from edgeq.errors import InputError, require
from edgeq.graph.model import attribute, integer, number
from edgeq.repair.reconstruction.inputs import Inputs, Tensor, given
from edgeq.repair.reconstruction.moving import (
    axes_of,
    flatten,
    gathered,
    pad,
    reshape,
    resize,
    sliced,
    split,
    squeeze,
    transpose,
    unsqueeze,
)
from edgeq.repair.reconstruction.sliding import average_pool, conv, conv_transpose, max_pool

torch = require("torch", "train")
functional = torch.nn.functional

Operator = Callable[[onnx.NodeProto, Inputs], Tensor]


def compute(node: onnx.NodeProto, inputs: Inputs) -> tuple[Tensor, ...]:
    """The outputs of a node. Raises InputError for an operator that is not among these."""
    operator = OPERATORS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if operator is None:
        what = f"'{node.op_type}' is none of the operators that are trained through"
        raise InputError(node.name or node.op_type, what, "leave 'reconstruct' out of 'repair'")
    made = operator(node, inputs)
    return made if isinstance(made, tuple) else (made,)


def _gemm(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    a, b = inputs[0], inputs[1]
    a = a.transpose(0, 1) if integer(node, "transA", 0) else a
    b = b.transpose(0, 1) if integer(node, "transB", 0) else b
    product = number(node, "alpha", 1.0) * (a @ b)
    c = given(inputs, 2)
    return product if c is None else product + number(node, "beta", 1.0) * c


def _reduced(
    function: Callable[[Tensor, list[int], bool], Tensor],
) -> Operator:
    def reduce(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
        axes = axes_of(node, inputs)
        if axes is None and integer(node, "noop_with_empty_axes", 0):
            return inputs[0]
        every = list(range(inputs[0].dim()))
        return function(inputs[0], axes or every, bool(integer(node, "keepdims", 1)))

    return reduce


def _clip(node: onnx.NodeProto, inputs: Inputs) -> Tensor:
    low, high = given(inputs, 1), given(inputs, 2)
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


OPERATORS: dict[str, Operator] = {
    "Abs": _one(torch.abs),
    "Add": _two(torch.add),
    "AveragePool": average_pool,
    "BatchNormalization": _batch_normalization,
    "Clip": _clip,
    "Concat": lambda node, inputs: torch.cat(list(inputs), dim=integer(node, "axis", 0)),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Div": _two(torch.div),
    "Dropout": _one(lambda x: x),
    "Elu": lambda node, inputs: functional.elu(inputs[0], number(node, "alpha", 1.0)),
    "Erf": _one(torch.erf),
    "Exp": _one(torch.exp),
    "Flatten": flatten,
    "Gather": gathered,
    "Gelu": lambda node, inputs: functional.gelu(
        inputs[0], approximate=str(attribute(node, "approximate", "none"))
    ),
    "Gemm": _gemm,
    "GlobalAveragePool": _one(lambda x: x.mean(dim=tuple(range(2, x.dim())), keepdim=True)),
    "GlobalMaxPool": _one(lambda x: x.amax(dim=tuple(range(2, x.dim())), keepdim=True)),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _one(functional.hardswish),
    "Identity": _one(lambda x: x),
    "LeakyRelu": lambda node, inputs: functional.leaky_relu(inputs[0], number(node, "alpha", 0.01)),
    "Log": _one(torch.log),
    "MatMul": _two(torch.matmul),
    "Max": _folded(torch.maximum),
    "MaxPool": max_pool,
    "Min": _folded(torch.minimum),
    "Mul": _two(torch.mul),
    "Neg": _one(torch.neg),
    "PRelu": _two(lambda x, slope: torch.where(x < 0, slope * x, x)),
    "Pad": pad,
    "Pow": _two(torch.pow),
    "Reciprocal": _one(torch.reciprocal),
    "ReduceMax": _reduced(lambda x, axes, keep: x.amax(dim=axes, keepdim=keep)),
    "ReduceMean": _reduced(lambda x, axes, keep: x.mean(dim=axes, keepdim=keep)),
    "ReduceMin": _reduced(lambda x, axes, keep: x.amin(dim=axes, keepdim=keep)),
    "ReduceSum": _reduced(lambda x, axes, keep: x.sum(dim=axes, keepdim=keep)),
    "Relu": _one(torch.relu),
    "Reshape": reshape,
    "Resize": resize,
    "Sigmoid": _one(torch.sigmoid),
    "Slice": sliced,
    "Softmax": lambda node, inputs: torch.softmax(inputs[0], dim=integer(node, "axis", -1)),
    "Softplus": _one(functional.softplus),
    "Split": split,
    "Sqrt": _one(torch.sqrt),
    "Squeeze": squeeze,
    "Sub": _two(torch.sub),
    "Sum": _folded(torch.add),
    "Tanh": _one(torch.tanh),
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
"""What can be trained through, by ONNX's name."""
