"""The Q/DQ graph of a plan in the segments of its float model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import onnx

from edgeq.graph.model import Model
from edgeq.quantization.bias import takes_bias
from edgeq.repair.reconstruction.segments import Segment
from edgeq.repair.reconstruction.training import GraphPart

_PAIR = ("QuantizeLinear", "DequantizeLinear")


def float_parts(model: Model, found: Sequence[Segment]) -> list[GraphPart]:
    """The float model's nodes by segment."""
    names = {name for segment in found for name in segment.nodes}
    nodes = [node for node in model.nodes if node.name in names]
    return _parts(nodes, found, set(model.inputs), set(model.initializers))


def quantized_parts(
    model: Model, proto: onnx.ModelProto, found: Sequence[Segment]
) -> list[GraphPart]:
    """The nodes of a Q/DQ graph by segment, without those that make a layer's weight of integers.

    Weights and biases are what is trained: they come from outside.
    """
    layers = {name for segment in found for name in segment.layers}
    wanted = {name for segment in found for name in segment.outputs}
    constants = {tensor.name for tensor in proto.graph.initializer}
    kept = []
    for node in reversed(proto.graph.node):
        if node.op_type == "QuantizeLinear" and node.input[0] in constants:
            # An operand that is constant: it has no part in what images go through.
            constants.update(node.output)
        elif wanted.intersection(filter(None, node.output)):
            kept.append(node)
            wanted.update(_computed(model, node) if node.name in layers else node.input)
    return _parts(kept[::-1], found, set(model.inputs), constants)


def behind_rounding(part: GraphPart, tensors: Collection[str]) -> GraphPart:
    """A part of a Q/DQ graph with the nodes that round these tensors, where their ranges lie.

    What it puts out is looked at behind them: otherwise nothing would be learned from it.
    """
    restored = {node.input[0]: node.output[0] for node in part.nodes if node.op_type == _PAIR[1]}
    ranges, behind = {}, {}
    for node in part.nodes:
        if node.op_type != _PAIR[0]:
            continue
        # An output of the model is rounded under another name, and has its own behind that.
        names = node.input[0], restored.get(node.output[0], "")
        tensor = next((name for name in names if name in tensors), None)
        if tensor is not None:
            ranges[node.name], behind[tensor] = tensor, node.output[0]
    outputs = [behind.get(name, name) for name in part.outputs]
    return replace(part, outputs=outputs, ranges=ranges)


def _computed(model: Model, layer: onnx.NodeProto) -> list[str]:
    """What a layer reads beside its weight, and beside a bias that can be learned."""
    original = next(node for node in model.nodes if node.name == layer.name)
    own = 2 if takes_bias(model, original) else 1
    return [layer.input[0], *layer.input[own + 1 :]]


def _parts(
    nodes: Sequence[onnx.NodeProto],
    found: Sequence[Segment],
    inputs: set[str],
    constants: set[str],
) -> list[GraphPart]:
    ends = [_end(nodes, segment) for segment in found]
    made = dict.fromkeys(inputs, -1)
    made |= {name: index for index, node in enumerate(nodes) for name in node.output}
    last = {name: index for index, node in enumerate(nodes) for name in node.input if name}
    parts, begin = [], 0
    for end, segment in zip(ends, found, strict=True):
        live = [
            name
            for name, read in last.items()
            if name not in constants and made.get(name, read) < end <= read
        ]
        parts.append(GraphPart(nodes[begin:end], segment.outputs, live))
        begin = end
    return parts


def _end(nodes: Sequence[onnx.NodeProto], segment: Segment) -> int:
    """Behind the last node of a segment, and behind the Q and DQ through which its outputs go."""
    end = 1 + max(i for i, node in enumerate(nodes) if node.name in segment.nodes)
    carried = set(nodes[end - 1].output)
    while end < len(nodes) and nodes[end].op_type in _PAIR:
        node = nodes[end]
        if node.input[0] not in carried:
            break
        if node.op_type == "DequantizeLinear" and node.output[0] not in segment.outputs:
            break
        carried.update(node.output)
        end += 1
    return end
