"""Cross-layer equalization: channels of neighbouring layers get ranges of one size.

Nagel et al. 2019, Data-free quantization through weight equalization and bias correction
(arXiv 1906.04721), section 4.1: where f is positively homogeneous, W2 f(W1 x + b1) is
(W2 S) f(S^-1 W1 x + S^-1 b1), and s_i = sqrt(r1_i r2_i) / r2_i makes both ranges of channel i
sqrt(r1_i r2_i).
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.model import Model, attribute
from edgeq.repair.constants import Floats, with_constants
from edgeq.repair.pairs import Pairs, find_pairs
from edgeq.repair.repaired import Repaired

ROUNDS = 100
"""Chains converge within a few dozen; each round costs next to nothing."""
CONVERGED = 1e-6
DEAD = 1e-6
"""A channel with a smaller share of the layer's range is left alone: scaled up, its bias would
widen the range of the whole activation."""

Doubles = NDArray[np.float64]


def equalized(model: Model) -> Repaired:
    """The model with equal ranges on both sides of every pair, which computes what it did."""
    pairs = find_pairs(model)
    if not pairs.found:
        return Repaired(model, (_why_none(pairs),))
    nodes = {node.name: node for node in model.nodes}
    parts = {name: _Part(model, nodes[name]) for pair in pairs.found for name in pair}
    rounds, widest = 0, 1.0
    for rounds in range(1, ROUNDS + 1):
        factors = [_equalize(parts[first], parts[second]) for first, second in pairs.found]
        moved = max(float(np.abs(np.log(factor)).max(initial=0.0)) for factor in factors)
        # Of the first round only: what is left is what later rounds make of it.
        widest = max(np.exp(2 * moved), widest) if rounds == 1 else widest
        if moved < CONVERGED:
            break
    constants = {key: value for part in parts.values() for key, value in part.constants().items()}
    note = (
        f"equalized {len(pairs.found)} pairs of layers in {rounds} rounds; ranges of a channel "
        f"differed by a factor of up to {widest:.3g}"
    )
    return Repaired(with_constants(model, constants, "equalized"), (note,))


def _why_none(pairs: Pairs) -> str:
    what = "no pairs of layers to equalize"
    if not pairs.hindered:
        return f"{what}: none are joined by nothing but ReLU, LeakyReLU or pooling"
    named = ", ".join(f"{name} ({count} times)" for name, count in pairs.hindered.most_common())
    return f"{what}: {named} behind a layer is not positively homogeneous"


class _Part:
    """A layer's constants as a pair sees them: by output channel, and by input channel."""

    def __init__(self, model: Model, node: onnx.NodeProto) -> None:
        self.node = node
        self.weight = model.constant(node.input[1]).astype(np.float64)
        has_bias = len(node.input) > 2 and bool(node.input[2])
        self.bias = model.constant(node.input[2]).astype(np.float64) if has_bias else None
        self.is_gemm = node.op_type == "Gemm"
        self.transposed = bool(attribute(node, "transB", 0))
        groups = attribute(node, "group", 1)
        assert isinstance(groups, int)
        self.groups = groups

    @property
    def by_output(self) -> Doubles:
        """A view of the weight, [channels, whatever it is multiplied with, ...]."""
        return self.weight.T if self.is_gemm and not self.transposed else self.weight

    @property
    def by_input(self) -> Doubles:
        """A view of the weight [groups, channels of a group, outputs, ...]."""
        weight = self.by_output
        grouped = weight.reshape(self.groups, -1, *weight.shape[1:])
        return np.moveaxis(grouped, 2, 1)

    def constants(self) -> dict[tuple[str, int], Floats]:
        found = {(self.node.name, 1): np.ascontiguousarray(self.weight, np.float32)}
        if self.bias is not None:
            found[self.node.name, 2] = np.ascontiguousarray(self.bias, np.float32)
        return found


def _equalize(first: _Part, second: _Part) -> Doubles:
    """Scale both in place; the factors [channels] that the first one was divided by."""
    sent = _largest(first.by_output, 1)
    taken = _largest(second.by_input, 2).reshape(-1)
    live = (sent > DEAD * sent.max(initial=0.0)) & (taken > DEAD * taken.max(initial=0.0))
    factors = np.ones_like(sent)
    factors[live] = np.sqrt(sent[live] * taken[live]) / taken[live]
    first.by_output[...] /= _along(factors, first.by_output.ndim)
    if first.bias is not None:
        first.bias /= factors
    view = second.by_input
    view *= factors.reshape(view.shape[:2] + (1,) * (view.ndim - 2))
    return factors


def _largest(weight: Doubles, kept: int) -> Doubles:
    return np.asarray(np.abs(weight).max(axis=tuple(range(kept, weight.ndim)), initial=0.0))


def _along(values: Doubles, rank: int) -> Doubles:
    return values.reshape(-1, *(1,) * (rank - 1))
