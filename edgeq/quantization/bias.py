"""A layer's bias, as what an int32 bias can be made of: one constant a channel."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import Model, attribute


def has_bias(node: onnx.NodeProto) -> bool:
    """Whether a Conv or Gemm has a bias at all."""
    return node.op_type != "MatMul" and len(node.input) > 2 and bool(node.input[2])


def is_one_a_channel(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a layer's bias, if any, is constant and the same in every row."""
    if not has_bias(node):
        return True
    shape = model.shapes.get(node.input[2], ())
    return node.input[2] in model.initializers and all(extent == 1 for extent in shape[:-1])


def bias_of(model: Model, node: onnx.NodeProto) -> NDArray[np.float32]:
    """A layer's bias [c], or [1] if it is the same for all channels."""
    return np.asarray(model.constant(node.input[2]), np.float32).reshape(-1)


def takes_bias(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a constant can be added to each channel of a layer."""
    if node.op_type == "MatMul" or attribute(node, "beta", 1.0) != 1.0:
        return False
    original = next(other for other in model.nodes if other.name == node.name)
    return not has_bias(original) or original.input[2] in model.initializers
