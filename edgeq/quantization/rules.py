"""Placement rules: what a runtime can do in int8 and how Q/DQ have to lie for that. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx

from edgeq.graph.model import Model, attribute

Role = Literal["layer", "joins", "carries", "absorbed", "residual", "float"]
"""layer: multiplies constant weights; inputs, weights and, in some engines, output are quantized.
joins: computes between quantized tensors, with a scale of its own at the output.
carries: moves values; all inputs and outputs have one scale.
absorbed: an activation that becomes part of the layer before it.
residual: adds a branch to what it branched off from; that identity is quantized, the sum is not.
float: stays float, because that is what the engine does best with it."""
Form = Literal["own-pairs", "float-weights", "int8-weights", "float16"]
"""How the graph is written. own-pairs: each reader has a DequantizeLinear of its own; the others
share one a tensor. float-weights: a weight is float, with Q and DQ behind it; in all others it is
int8, with DQ behind it. float16: what is not quantized is float16, with types that hold."""


@dataclass(frozen=True)
class Rule:
    """One rule of one runtime: which op types play which role, why, and who says so.

    `weight_axis` is the output channel's axis of a layer's weight, None where there is none.
    `bounded` functions saturate by themselves: their range is what was seen, and no calibrator
    clips it (a gate that cannot open fully scales down everything behind it). `only` names
    attributes with the values that the rule holds for; a node without the attribute passes.
    `below_channels`: the rule is for layers with fewer input or output channels; `computed`: for
    nodes of which no operand is constant. The first rule that fits a node counts.
    """

    name: str
    role: Role
    op_types: tuple[str, ...]
    reason: str
    source: str
    weight_axis: int | None = None
    bounded: bool = False
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()
    below_channels: int | None = None
    computed: bool = False

    def fits(self, model: Model, node: onnx.NodeProto) -> bool:
        """Whether this rule is about such a node."""
        if node.op_type not in self.op_types:
            return False
        if self.computed and any(name in model.initializers for name in node.input if name):
            return False
        return self.below_channels is None or _channels(model, node) < self.below_channels


@dataclass(frozen=True)
class Placement:
    """All rules of a runtime, and the integers that it computes with.

    `scheme` is what recipe scheme `target` means for activations; `quantized_bias` says whether
    biases become int32, `layer_outputs` whether a layer writes integers, rather than floats that
    its readers quantize.
    """

    runtime: str
    rules: tuple[Rule, ...]
    activation_type: Literal["int8", "uint8"]
    weight_bits: Literal[7, 8]
    scheme: Literal["scale", "affine"]
    schemes: tuple[Literal["scale", "affine"], ...]
    quantized_bias: bool
    layer_outputs: bool = True
    form: Form = "own-pairs"

    def rule(self, model: Model, node: onnx.NodeProto) -> Rule | None:
        """The rule for a node, None where the runtime has none."""
        return next((rule for rule in self.rules if rule.fits(model, node)), None)

    def writes_integers(self, model: Model, node: onnx.NodeProto) -> bool:
        """Whether the output of a quantized node exists as integers only."""
        rule = self.rule(model, node)
        return self.layer_outputs or (rule is not None and rule.role in ("joins", "carries"))


def _channels(model: Model, node: onnx.NodeProto) -> int:
    """The input or output channels of a convolution, whichever are fewer."""
    shape = model.shapes.get(node.input[1], ())
    if len(shape) < 2:
        return 0
    groups = attribute(node, "group", 1)
    assert isinstance(groups, int)
    return min(shape[0], shape[1] * groups)
