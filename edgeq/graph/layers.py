"""The compute-heavy layers of a model: what they hold and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx

from edgeq.graph.model import Model, Shape, attribute, inner_graphs

HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Layer:
    """A convolution or matrix product. Counts are for one inference at the model's static shape.

    `macs` are multiply-adds, `moved_bytes` the float inputs, weights and outputs, each once; both
    are None where a shape is not static, so that only a run could tell.
    """

    name: str
    op_type: str
    weight: str | None
    input_shape: Shape
    output_shape: Shape
    parameters: int
    macs: int | None
    moved_bytes: int | None

    @property
    def intensity(self) -> float | None:
        """Arithmetic intensity in operations (two a multiply-add) per byte moved in float."""
        if self.macs is None or not self.moved_bytes:
            return None
        return 2 * self.macs / self.moved_bytes


def layers(model: Model) -> list[Layer]:
    """Every compute-heavy node, in execution order."""
    return [_layer(model, node) for node in model.nodes if node.op_type in HEAVY]


def hidden_layers(model: Model) -> int:
    """How many compute-heavy nodes lie inside control flow, where nothing is known of them."""
    graphs = [g for node in model.nodes for g in inner_graphs(node)]
    found = 0
    while graphs:
        for node in graphs.pop().node:
            found += node.op_type in HEAVY
            graphs += inner_graphs(node)
    return found


def multiply_adds(model: Model, node: onnx.NodeProto) -> int | None:
    """Multiply-adds of a heavy node, 0 for any other; None where a shape is not static."""
    if node.op_type not in HEAVY:
        return 0
    tensors = (node.output[0], node.input[0], node.input[1])
    if not all(_is_static(model, name) for name in tensors):
        return None
    output = math.prod(model.shapes[node.output[0]])
    first, second = model.shapes[node.input[0]], model.shapes[node.input[1]]
    if node.op_type == "Conv":
        return output * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])
    transposed = node.op_type == "Gemm" and attribute(node, "transA", 0)
    return output * (first[0] if transposed else first[-1])


def _is_static(model: Model, tensor: str) -> bool:
    """Whether a tensor's shape is known; no operand of a heavy node is a scalar."""
    shape = model.shapes.get(tensor)
    if tensor in model.initializers:
        return True
    # A product of two vectors is a scalar; a shape that inference gave up on is () as well.
    return bool(shape and all(shape))


def _layer(model: Model, node: onnx.NodeProto) -> Layer:
    weight = model.weight(node)
    constants = [name for name in node.input if name in model.initializers]
    parameters = sum(math.prod(model.shapes[name]) for name in constants)
    output_shape = model.shapes.get(node.output[0], ())
    macs = multiply_adds(model, node)
    activations = [math.prod(model.shapes.get(name, ())) for name in model.activations(node)]
    moved = 4 * (parameters + sum(activations) + math.prod(output_shape))
    return Layer(
        node.name,
        node.op_type,
        weight,
        model.shapes.get(node.input[0], ()),
        output_shape,
        parameters,
        macs,
        None if macs is None else moved,
    )
