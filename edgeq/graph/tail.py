"""The head's tail: what turns the head's feature maps into boxes, scores and coefficients.

Behind the head's reshape lie decoding steps (sigmoid, DFL, anchors) and Concats that put pixels
and scores side by side. They cost next to nothing and lose everything in int8.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.graph.layers import HEAVY, multiply_adds
from edgeq.graph.model import Model

RESHAPING = ("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze")
CARRYING = ("Concat", "Split", "Slice", "Identity", *RESHAPING)
TAIL_SHARE = 0.01
"""A reshape with less than this share of the multiply-adds behind it belongs to the head; those of
attention blocks, inside the network, have the rest of the network behind them."""


@dataclass(frozen=True)
class Tail:
    """Node names of the tail, and of the heavy layers that feed it."""

    nodes: frozenset[str]
    feeders: frozenset[str]


def find_tail(model: Model) -> Tail:
    """The tail of a model; empty where no feature map is reshaped on the way to an output."""
    nodes = model.nodes
    behind = _behind(model)
    macs = {node.name: multiply_adds(model, node) for node in nodes}
    total = sum(count or 0 for count in macs.values())
    # A second stage, of which only a run tells how often it computes; masks that are made of
    # coefficients and prototypes multiply no weight.
    stages = {n.name for n in nodes if macs[n.name] is None and model.weight(n) is not None}
    starts = [
        node.name
        for node in nodes
        if node.op_type in RESHAPING
        and _flattens(model, node.input[0], node.output[0])
        and not behind[node.name] & stages
        and sum(macs[name] or 0 for name in behind[node.name]) < TAIL_SHARE * total
    ]
    tail = set(starts).union(*(behind[name] for name in starts))
    # What only carries data into the tail goes with it, such as v8's Concat of boxes and scores.
    for node in reversed(nodes):
        readers = [c for name in node.output for c in model.consumers.get(name, [])]
        is_output = any(name in model.outputs for name in node.output)
        carried = node.op_type in CARRYING and readers and not is_output
        if carried and all(reader.name in tail for reader in readers):
            tail.add(node.name)
    feeders = {
        node.name
        for node in nodes
        if node.op_type in HEAVY
        and node.name not in tail
        and any(c.name in tail for name in node.output for c in model.consumers.get(name, []))
    }
    return Tail(frozenset(tail), frozenset(feeders))


def _flattens(model: Model, before: str, after: str) -> bool:
    """Whether a feature map [N,C,H,W] loses its form: another rank, or other rows and columns."""
    shape, result = model.shapes.get(before, ()), model.shapes.get(after, ())
    return len(shape) == 4 and (len(result) != 4 or result[2:] != shape[2:])


def _behind(model: Model) -> dict[str, set[str]]:
    """For every node the names of all nodes that depend on it."""
    behind: dict[str, set[str]] = {}
    for node in reversed(model.nodes):
        found: set[str] = set()
        for name in node.output:
            for consumer in model.consumers.get(name, []):
                found.add(consumer.name)
                found |= behind[consumer.name]
        behind[node.name] = found
    return behind
