"""Which tensors have to be looked at, and how the statistics of the others follow from those.

SiLU, Sigmoid, Concat, Reshape and the like are functions of tensors that are counted anyway: their
histograms are pushed forward on the host, which leaves a third of the elements to fetch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.calibration.silu import SILU_MINIMISER, lowest_by_silu, sigmoid, silu
from edgeq.calibrators.histogram import Histogram, union
from edgeq.graph.model import Model, attribute

SAME = ("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity")

Values = NDArray[np.float64]
Function = Callable[[Values], Values]


@dataclass(frozen=True)
class Derivation:
    """A tensor's histogram is the union of its parents', each mapped and scaled."""

    parents: tuple[str, ...]
    function: Function | None = None
    factor: float = 1.0
    silu: bool = False


@dataclass(frozen=True)
class Derivations:
    """What to fetch, and how to get from there to every wanted tensor."""

    sources: tuple[str, ...]
    rules: dict[str, Derivation]

    @cached_property
    def feeds_silu(self) -> dict[str, bool]:
        """Every source, and whether SiLU is taken of its values as they are."""
        watched = {root for r in self.rules.values() if r.silu for root in self._roots(r.parents)}
        return {source: source in watched for source in self.sources}

    def _roots(self, tensors: Iterable[str]) -> list[str]:
        """What lies behind tensors, through all rules that keep every value as it is."""
        found: list[str] = []
        for tensor in tensors:
            rule = self.rules.get(tensor)
            unchanged = rule is not None and rule.function is None
            found += self._roots(rule.parents) if rule and unchanged else [tensor]
        return found

    def histogram(
        self, tensor: str, counted: dict[str, Histogram], lowest: dict[str, float]
    ) -> Histogram:
        """The histogram of a wanted tensor from those of the sources; memoized in `counted`."""
        if tensor not in counted:
            rule = self.rules[tensor]
            parts = [self.histogram(parent, counted, lowest) for parent in rule.parents]
            result = parts[0] if len(parts) == 1 else union(parts)
            if rule.function is not None:
                low = None
                if rule.silu and result.low < SILU_MINIMISER < result.high:
                    roots = self._roots(rule.parents)
                    seen = lowest_by_silu(lowest.get(root, SILU_MINIMISER) for root in roots)
                    low = float(silu(np.array(seen)))
                result = result.mapped(rule.function, low)
            counted[tensor] = result.scaled(rule.factor) if rule.factor != 1 else result
        return counted[tensor]


def derivations(model: Model, wanted: Iterable[str]) -> Derivations:
    """Sources and rules for the wanted tensors of a model."""
    rules: dict[str, Derivation] = {}
    sources: dict[str, None] = {}
    pending = list(wanted)
    while pending:
        tensor = pending.pop()
        if tensor in rules or tensor in sources:
            continue
        rule = _rule(model, tensor)
        if rule is None:
            sources[tensor] = None
        else:
            rules[tensor] = rule
            pending += rule.parents
    return Derivations(tuple(sorted(sources)), rules)


def _rule(model: Model, tensor: str) -> Derivation | None:
    node = model.producers.get(tensor)
    if node is None:
        return None
    if node.op_type in SAME:
        return Derivation((node.input[0],))
    if node.op_type == "Concat" and len(model.activations(node)) == len(node.input):
        return Derivation(tuple(node.input))
    if node.op_type == "Resize":
        return _resize(model, node)
    if node.op_type == "Mul":
        for x, gate in (node.input, reversed(node.input)):
            maker = model.producers.get(gate)
            if maker is not None and maker.op_type == "Sigmoid" and maker.input[0] == x:
                return Derivation((x,), silu, silu=True)
    function = _monotone(model, node)
    return Derivation((node.input[0],), function) if function else None


def _resize(model: Model, node: onnx.NodeProto) -> Derivation | None:
    """Nearest by whole factors repeats every value equally often."""
    before, after = model.shapes.get(node.input[0], ()), model.shapes.get(node.output[0], ())
    if attribute(node, "mode", "nearest") != "nearest" or not before or len(before) != len(after):
        return None
    if any(not a or b % a for a, b in zip(before, after, strict=True)):
        return None
    mode = attribute(node, "coordinate_transformation_mode", "half_pixel")
    if mode not in ("asymmetric", "half_pixel", "pytorch_half_pixel"):
        return None
    return Derivation((node.input[0],), factor=float(np.prod(after) / np.prod(before)))


def _monotone(model: Model, node: onnx.NodeProto) -> Function | None:
    if node.op_type == "Sigmoid":
        return sigmoid
    if node.op_type == "Relu":
        return lambda x: np.maximum(x, 0)
    if node.op_type == "LeakyRelu":
        alpha = float(attribute(node, "alpha", 0.01))  # type: ignore[arg-type]
        return (lambda x: np.where(x >= 0, x, alpha * x)) if alpha >= 0 else None
    if node.op_type == "Tanh":
        return np.tanh
    if node.op_type == "Clip":
        bounds = [model.initializers.get(name) for name in node.input[1:3] if name]
        if len(node.input) < 3 or len(bounds) != 2 or None in bounds:
            return None
        low, high = (float(model.constant(name).reshape(-1)[0]) for name in node.input[1:3])
        return lambda x: np.clip(x, low, high)
    return None
