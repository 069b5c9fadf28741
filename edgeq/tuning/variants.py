"""The plans that are tried: one layer quantized alone, or everything but one."""

from __future__ import annotations

from dataclasses import replace

from edgeq.calibration.statistics import Statistics
from edgeq.graph.layers import HEAVY
from edgeq.graph.tail import Tail
from edgeq.quantization.decide import Choices
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import make_plan
from edgeq.stages.prepare import Prepared

_ALONE = "only one layer is quantized here"
_LEFT_OUT = "left out on trial"


def everything(prepared: Prepared, seen: Statistics) -> Plan:
    """The plan of the recipe."""
    return make_plan(prepared.model, seen, prepared.tail, prepared.choices, prepared.placement)


def alone(prepared: Prepared, seen: Statistics, layer: str) -> Plan:
    """One layer by its node name, with what the engine quantizes around it; all others float."""
    others = {
        node.name: _ALONE
        for node in prepared.model.nodes
        if node.op_type in HEAVY and node.name != layer
    }
    choices, tail = prepared.choices, prepared.tail
    if choices.default.head == "quantize":
        # There everything between layers is quantized for itself; here it would be with any layer.
        choices = replace(
            choices, default=choices.default.model_copy(update={"head": "float-tail"})
        )
        tail = Tail(frozenset(), frozenset())
    return make_plan(prepared.model, seen, tail, _without(choices, others), prepared.placement)


def all_but(prepared: Prepared, seen: Statistics, layer: str) -> Plan:
    """The plan of the recipe with one more layer left out."""
    choices = _without(prepared.choices, {layer: _LEFT_OUT})
    return make_plan(prepared.model, seen, prepared.tail, choices, prepared.placement)


def _without(choices: Choices, nodes: dict[str, str]) -> Choices:
    return replace(choices, excluded={**nodes, **choices.excluded})
