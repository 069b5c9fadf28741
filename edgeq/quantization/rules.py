"""Placement rules: what a runtime can do in int8 and how Q/DQ have to lie for that. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["layer", "joins", "carries", "absorbed"]
"""layer: multiplies constant weights; inputs, weights and output are quantized.
joins: computes between quantized tensors, with a scale of its own at the output.
carries: moves values, the output has the input's scale.
absorbed: an activation that becomes part of the layer before it."""


@dataclass(frozen=True)
class Rule:
    """One rule of one runtime: which op types play which role, why, and who says so.

    `weight_axis` is the output channel's axis of a layer's weight, None where there is none.
    `bounded` functions saturate by themselves: their range is what was seen, and no calibrator
    clips it (a gate that cannot open fully scales down everything behind it). `only` names
    attributes with the values that the rule holds for; a node without the attribute passes.
    """

    name: str
    role: Role
    op_types: tuple[str, ...]
    reason: str
    source: str
    weight_axis: int | None = None
    bounded: bool = False
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Placement:
    """All rules of a runtime, and the integers that it computes with.

    `scheme` is what recipe scheme `target` means for activations; `bias` says whether biases
    become int32.
    """

    runtime: str
    rules: tuple[Rule, ...]
    activation_type: Literal["int8", "uint8"]
    weight_bits: Literal[7, 8]
    scheme: Literal["scale", "affine"]
    schemes: tuple[Literal["scale", "affine"], ...]
    quantized_bias: bool

    def rule(self, op_type: str) -> Rule | None:
        """The rule for an op type."""
        return next((rule for rule in self.rules if op_type in rule.op_types), None)
