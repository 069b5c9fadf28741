"""A network in segments of a few layers, cut where the fewest tensors go on.

After BRECQ (Li et al. 2021, arXiv 2102.05426): several layers trained together see what they do to
each other, and a few of them at a time need little time and memory.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import onnx

from edgeq.graph.model import Model

LAYERS = 5, 7, 9
"""Fewest, usual and most layers of a segment"""
ACTIVATIONS = (
    *("Relu", "LeakyRelu", "PRelu", "Clip", "Elu", "Tanh", "Sigmoid", "HardSigmoid", "HardSwish"),
    *("Gelu", "Mul"),
)
"""What is trained for where it stands behind a last layer: an error that it hides is none"""


@dataclass(frozen=True)
class Segment:
    """Nodes in execution order, the layers among them, and what goes out of it into others."""

    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    outputs: tuple[str, ...]


def segments(model: Model, layers: Collection[str]) -> tuple[Segment, ...]:
    """The nodes that layers (by node name) depend on, and these, in segments."""
    nodes = _needed(model, layers)
    live = _crossing(model, nodes)
    fewest, usual, most = LAYERS
    found, begin = [], 0
    while begin < len(nodes):
        counted, choices = 0, []
        for end in range(begin, len(nodes)):
            counted += nodes[end].name in layers
            if counted > most:
                break
            if counted >= fewest:
                choices.append((live[end], abs(counted - usual), end))
        left = sum(node.name in layers for node in nodes[begin:])
        end = len(nodes) - 1 if left <= most or not choices else min(choices)[2]
        found.append(_segment(model, nodes[begin : end + 1], layers))
        begin = end + 1
    return tuple(found)


def _needed(model: Model, layers: Collection[str]) -> list[onnx.NodeProto]:
    wanted: set[str] = set()
    needed: set[str] = set()
    for node in reversed(model.nodes):
        if node.name in layers or wanted.intersection(node.output):
            needed.add(node.name)
            wanted.update(filter(None, node.input))
    made = {name for node in model.nodes if node.name in needed for name in node.output}
    known = {*made, *model.initializers, *model.inputs}
    for node in model.nodes:
        if node.name in needed or node.op_type not in ACTIVATIONS:
            continue
        if made.intersection(node.input) and known.issuperset(filter(None, node.input)):
            needed.add(node.name)
            made.update(node.output)
            known.update(node.output)
    return [node for node in model.nodes if node.name in needed]


def _crossing(model: Model, nodes: Sequence[onnx.NodeProto]) -> list[int]:
    """How many tensors are still to be read behind each node."""
    last: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in node.input:
            if name and name not in model.initializers:
                last[name] = index
    made = dict.fromkeys(model.inputs, -1)
    made.update((name, index) for index, node in enumerate(nodes) for name in node.output)
    return [
        sum(made[name] <= index < end for name, end in last.items()) for index in range(len(nodes))
    ]


def _segment(model: Model, nodes: Sequence[onnx.NodeProto], layers: Collection[str]) -> Segment:
    inside = {node.name for node in nodes}
    outputs = [
        name
        for node in nodes
        for name in node.output
        if name in model.outputs or any(c.name not in inside for c in model.consumers.get(name, ()))
    ]
    return Segment(
        tuple(node.name for node in nodes),
        tuple(node.name for node in nodes if node.name in layers),
        tuple(outputs),
    )
