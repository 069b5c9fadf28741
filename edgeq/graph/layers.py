"""The compute-heavy layers of a model: what they hold and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx

from edgeq.graph.model import Model, Shape, attribute

HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Layer:
    """A convolution or matrix product. Counts are for one inference at the model's static shape.

    `macs` are multiply-adds, `moved_bytes` the float inputs, weights and outputs, each once.
    """

    name: str
    op_type: str
    weight: str | None
    input_shape: Shape
    output_shape: Shape
    parameters: int
    macs: int
    moved_bytes: int

    @property
    def intensity(self) -> float:
        """Arithmetic intensity in operations (two a multiply-add) per byte moved in float."""
        return 2 * self.macs / self.moved_bytes if self.moved_bytes else 0.0


def layers(model: Model) -> list[Layer]:
    """Every compute-heavy node, in execution order."""
    return [_layer(model, node) for node in model.nodes if node.op_type in HEAVY]


def multiply_adds(model: Model, node: onnx.NodeProto) -> int:
    """Multiply-adds of a heavy node; 0 for any other, or where a shape is unknown."""
    if node.op_type not in HEAVY:
        return 0
    output = math.prod(model.shapes.get(node.output[0], (0,)))
    first, second = model.shapes.get(node.input[0], ()), model.shapes.get(node.input[1], ())
    if node.op_type == "Conv":
        return output * math.prod(second[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(first) * math.prod(second[1:])
    transposed = node.op_type == "Gemm" and attribute(node, "transA", 0)
    return output * (first[0] if transposed else first[-1]) if first else 0


def _layer(model: Model, node: onnx.NodeProto) -> Layer:
    weight = model.weight(node)
    constants = [name for name in node.input if name in model.initializers]
    parameters = sum(math.prod(model.shapes[name]) for name in constants)
    output_shape = model.shapes.get(node.output[0], ())
    activations = [math.prod(model.shapes.get(name, ())) for name in model.activations(node)]
    moved = 4 * (parameters + sum(activations) + math.prod(output_shape))
    return Layer(
        node.name,
        node.op_type,
        weight,
        model.shapes.get(node.input[0], ()),
        output_shape,
        parameters,
        multiply_adds(model, node),
        moved,
    )
