"""Placement rules: what a runtime can do in int8 and how Q/DQ have to lie for that. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx

from edgeq.graph.bounds import bounds
from edgeq.graph.hard_swish import product_of_gate
from edgeq.graph.model import Model, attribute
from edgeq.spec.quantize import InputOutput

Role = Literal["layer", "joins", "carries", "merges", "absorbed", "residual", "float"]
"""layer: multiplies constant weights; inputs, weights and, in some engines, output are quantized.
joins: computes between quantized tensors, with a scale of its own at the output.
carries: moves values; all inputs and outputs have one scale.
merges: has a scale of its own at the output, which inputs that nobody else reads take over; the
others are brought to it.
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
    `fixed` is the scale and zero point that the engine demands of an output, whatever was seen.
    `constants` says what a constant operand is: a reason to stay float, an operand that gets a
    scale from its own values, or a parameter (axes, bounds) that is none of the kernel's integers.

    Of these every one has to be true for a rule to fit. `below_channels`: layers with fewer input
    or output channels; `computed`: nodes of which no operand is constant; `weight_rank`: layers
    with a constant weight of so many dimensions; `least_rank`: nodes whose operands all have as
    many; `clips`: a Relu or Clip with such bounds; `gates`: the HardSigmoid of a HardSwish;
    `behind`: the one reader of a node that one of these rules is about, whose result is no output
    of the model. The first rule that fits a node counts.
    """

    name: str
    role: Role
    op_types: tuple[str, ...]
    reason: str
    source: str
    weight_axis: int | None = None
    bounded: bool = False
    only: tuple[tuple[str, tuple[str | int, ...]], ...] = ()
    fixed: tuple[float, int] | None = None
    constants: Literal["refused", "quantized", "parameters"] = "refused"
    below_channels: int | None = None
    computed: bool = False
    weight_rank: int | None = None
    least_rank: int = 0
    clips: tuple[tuple[float, float], ...] = ()
    gates: bool = False
    behind: tuple[str, ...] = ()

    def fits(self, model: Model, node: onnx.NodeProto) -> bool:
        """Whether this rule is about such a node."""
        if node.op_type not in self.op_types:
            return False
        if self.computed and any(name in model.initializers for name in node.input if name):
            return False
        if self.weight_rank is not None and _weight_rank(model, node) != self.weight_rank:
            return False
        if self.least_rank > min(len(model.shapes.get(name, ())) for name in node.input):
            return False
        if self.gates and product_of_gate(model, node) is None:
            return False
        if self.clips and bounds(model, node) not in self.clips:
            return False
        return self.below_channels is None or _channels(model, node) < self.below_channels


@dataclass(frozen=True)
class Placement:
    """All rules of a runtime, and the integers that it computes with.

    `scheme` is what recipe scheme `target` means for activations; `quantized_bias` says whether
    biases become int32, `layer_outputs` whether a layer writes integers, rather than floats that
    its readers quantize, `fuses` whether int8 is what the engine makes of Q/DQ pairs, rather than
    a kernel that it has for an operator. `pair_limit` is the most that two weights of one sign may
    sum to which a kernel multiplies side by side, None where it does not matter. `ios` are the
    types that inputs and outputs can have, `dynamic` says whether the first extent of what is int8
    may be open until it runs.
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
    fuses: bool = True
    ios: tuple[InputOutput, ...] = ("float32",)
    dynamic: bool = False
    pair_limit: int | None = None

    def rule(self, model: Model, node: onnx.NodeProto) -> Rule | None:
        """The rule for a node, None where the runtime has none."""
        fitting = (rule for rule in self.rules if rule.fits(model, node))
        return next(
            (r for r in fitting if not r.behind or self._behind(model, node) in r.behind), None
        )

    def _behind(self, model: Model, node: onnx.NodeProto) -> str | None:
        """The rule of the node whose result goes nowhere but into this one."""
        source = node.input[0]
        if len(model.consumers[source]) > 1 or source in model.outputs:
            return None
        maker = model.producers.get(source)
        rule = None if maker is None else self.rule(model, maker)
        return None if rule is None else rule.name

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


def _weight_rank(model: Model, node: onnx.NodeProto) -> int | None:
    weight = model.weight(node)
    return None if weight is None else len(model.shapes[weight])
