"""Pairs of layers between which a channel can be scaled without changing what comes out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import onnx

from edgeq.graph.model import Model, attribute, integer
from edgeq.repair.constants import is_own

HOMOGENEOUS = (
    *("Relu", "LeakyRelu", "PRelu", "Identity"),
    *("MaxPool", "AveragePool", "GlobalAveragePool"),
)
"""f(s x) = s f(x) for every positive s, channel by channel."""
_ACTIVATIONS = (
    *("Clip", "Elu", "Gelu", "HardSigmoid", "HardSwish", "Mish", "Selu", "Sigmoid", "Softplus"),
    "Tanh",
)


@dataclass(frozen=True)
class Pairs:
    """Node names of first and second layer, and how often which activation stood between two."""

    found: tuple[tuple[str, str], ...]
    hindered: Counter[str]


def find_pairs(model: Model) -> Pairs:
    """All pairs of a model, in execution order."""
    found, hindered = [], Counter[str]()
    for node in model.nodes:
        if not _is_layer(model, node):
            continue
        second = _behind(model, node, hindered)
        if second is not None and _is_layer(model, second) and _takes(model, node, second):
            found.append((node.name, second.name))
    return Pairs(tuple(found), hindered)


def _behind(model: Model, node: onnx.NodeProto, hindered: Counter[str]) -> onnx.NodeProto | None:
    """What reads a layer's output through functions that are positively homogeneous, alone."""
    while True:
        tensor = node.output[0]
        readers = model.consumers.get(tensor, [])
        if tensor in model.outputs or not readers:
            return None
        types = {reader.op_type for reader in readers}
        if len(readers) > 1:
            if types == {"Sigmoid", "Mul"}:
                hindered["SiLU"] += 1
            return None
        node = readers[0]
        if node.input[0] != tensor:
            return None
        if node.op_type not in HOMOGENEOUS:
            hindered.update(types & set(_ACTIVATIONS))
            return node
        if len([name for name in node.output if name]) != 1:
            return None  # MaxPool with indices


def _is_layer(model: Model, node: onnx.NodeProto) -> bool:
    """Whether a node has a weight and a bias of its own, which can be scaled by channel."""
    weight = model.weight(node)
    if weight is None or node.op_type not in ("Conv", "Gemm") or not is_own(model, weight):
        return False
    bias = node.input[2] if len(node.input) > 2 else ""
    if bias and not (bias in model.initializers and is_own(model, bias)):
        return False
    if node.op_type == "Conv":
        return True
    one_a_channel = not bias or model.shapes[bias][-1:] == (channels(model, node),)
    return one_a_channel and not attribute(node, "transA", 0)


def _takes(model: Model, first: onnx.NodeProto, second: onnx.NodeProto) -> bool:
    """Whether the second layer's input channels are the first one's output channels, one by one."""
    groups = integer(second, "group", 1)
    shape = model.shapes[second.input[1]]
    if second.op_type == "Gemm":
        taken = shape[1] if attribute(second, "transB", 0) else shape[0]
    else:
        taken = shape[1] * groups
    ranks = {len(model.shapes.get(node.output[0], ())) for node in (first, second)}
    return taken == channels(model, first) and len(ranks) == 1


def channels(model: Model, node: onnx.NodeProto) -> int:
    """The output channels of a Conv or Gemm."""
    shape = model.shapes[node.input[1]]
    return shape[0] if node.op_type == "Conv" or attribute(node, "transB", 0) else shape[1]
