"""Which activations' ranges may be learned: those that one tensor has for itself, by maximum.

Max keeps outliers, which learning gives up (Wu et al. 2020, arXiv 2004.09602, section 5.3); what
another calibrator clipped is not learned back.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeq.calibration.statistics import Statistics
from edgeq.calibrators.base import Range, calibrate
from edgeq.graph.model import Model
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import IntegerType, Scale
from edgeq.quantization.decide import Choices
from edgeq.quantization.groups import sources_of_scale
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import DTYPES, is_symmetric
from edgeq.quantization.rules import Form, Placement

CALIBRATOR = "max"


@dataclass(frozen=True)
class Learnable:
    """A range `low` <= 0 <= `high` to begin with, and what its scale has to be like."""

    low: float
    high: float
    symmetric: bool
    dtype: IntegerType
    form: Form

    def scale(self, low: float, high: float) -> Scale:
        """The scale of another range, as a graph can have it."""
        made = arithmetic.activation_scale(Range(low, high), self.dtype, self.symmetric)
        scale = arithmetic.representable(made.scale, DTYPES[self.form])
        return Scale(scale, made.zero_point, self.dtype)


def learnable(
    model: Model, plan: Plan, choices: Choices, placement: Placement, seen: Statistics
) -> dict[str, Learnable]:
    """By tensor of a plan, what its range may begin with.

    Not among them: the image and constants, ranges that an engine demands or that saturate by
    themselves, tensors that share a scale, and what is calibrated by anything but max.
    """
    nodes = [node for node in model.nodes if plan.decisions[node.name].quantized]
    rules = {node.name: rule for node in nodes if (rule := placement.rule(model, node)) is not None}
    alike = sources_of_scale(model, nodes, rules)
    shared = {*alike, *(name for names in alike.values() for name in names)}
    found = {}
    for name, scale in plan.tensors.items():
        maker = model.producers.get(name)
        if maker is None or name in shared:
            continue
        rule, chosen = rules.get(maker.name), choices.activations(maker.name)
        bound = rule is not None and (rule.bounded or rule.fixed is not None)
        if chosen.calibrator == CALIBRATOR and not bound:
            symmetric = is_symmetric(chosen.scheme, placement)
            span = calibrate(seen.histogram(name), chosen, symmetric)
            if span.low < span.high:
                form = placement.form
                found[name] = Learnable(span.low, span.high, symmetric, scale.dtype, form)
    return found
