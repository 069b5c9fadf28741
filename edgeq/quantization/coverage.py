"""How much of a model computes in int8, in multiply-adds, and what keeps the rest from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from edgeq.graph.layers import hidden_layers, layers
from edgeq.graph.model import Model, outer_names
from edgeq.quantization.plan import Decision

LEAST_SHARE = 0.5
"""Of the multiply-adds; with fewer in int8 a release costs accuracy and saves next to nothing."""


@dataclass(frozen=True)
class Coverage:
    """Layers and multiply-adds in int8 and in all; `reasons` counts the layers that stay float.

    `weights_int8` of the layers in int8 have a constant weight, without which nothing gets smaller.
    `unknown` layers have shapes that only a run tells, or lie inside control flow: they are in no
    sum of multiply-adds.
    """

    layers: int
    layers_int8: int
    weights_int8: int
    macs: int
    macs_int8: int
    unknown: int
    reasons: Mapping[str, int]

    @property
    def share(self) -> float | None:
        """Of the known multiply-adds those in int8; None where none is known."""
        return self.macs_int8 / self.macs if self.macs else None

    def why_float(self, most: int = 3) -> str:
        """The reasons with their counts, the most frequent first."""
        found = sorted(self.reasons.items(), key=lambda item: -item[1])
        said = [f"{count} because: {reason}" for reason, count in found[:most]]
        left = sum(count for _, count in found[most:])
        return "; ".join(said) + (f"; and {left} for other reasons" if left else "")

    def warning(self) -> str:
        """What a user should know before a release is made of it; '' if most of it is int8."""
        if self.share is not None and self.share < LEAST_SHARE:
            floats = self.layers - self.layers_int8
            return (
                f"only {self.share:.0%} of the multiply-adds compute in int8: {floats} of "
                f"{self.layers} layers stay float, {self.why_float()}"
            )
        return ""


def between(model: Model, decisions: Mapping[str, Decision]) -> dict[str, int]:
    """How many operators of each type compute in float with int8 ones behind and before them."""
    reads = [(node, {*node.input, *outer_names(node)}, {*node.output}) for node in model.nodes]
    after = _reached(reads, decisions)
    before = _reached([(node, made, read) for node, read, made in reversed(reads)], decisions)
    inside = (node.op_type for node in model.nodes if node.name in after & before)
    return dict(Counter(inside).most_common())


def _reached(
    steps: Sequence[tuple[onnx.NodeProto, set[str], set[str]]], decisions: Mapping[str, Decision]
) -> set[str]:
    """The float nodes that values of an int8 one get to; a step has what it takes and gives."""
    found: set[str] = set()
    carried: set[str] = set()
    for node, taken, given in steps:
        is_int8 = decisions[node.name].quantized
        if is_int8 or taken & carried:
            carried |= given
            found |= set() if is_int8 else {node.name}
    return found


def coverage(model: Model, decisions: Mapping[str, Decision]) -> Coverage:
    """What of a model's layers is decided to be int8."""
    found = layers(model)
    known = [layer for layer in found if layer.macs is not None]
    inside = [layer for layer in found if decisions[layer.name].quantized]
    return Coverage(
        layers=len(found),
        layers_int8=len(inside),
        weights_int8=sum(layer.weight is not None for layer in inside),
        macs=sum(layer.macs or 0 for layer in known),
        macs_int8=sum(layer.macs or 0 for layer in inside),
        unknown=len(found) - len(known) + hidden_layers(model),
        reasons=Counter(
            decisions[layer.name].reason for layer in found if not decisions[layer.name].quantized
        ),
    )
