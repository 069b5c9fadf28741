"""Which nodes compute in int8, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import onnx

from edgeq.errors import InputError, Key, raise_all
from edgeq.graph.model import Model, Shape, attribute
from edgeq.graph.patterns import resolve
from edgeq.graph.tail import Tail
from edgeq.quantization.bias import is_one_a_channel
from edgeq.quantization.plan import Decision
from edgeq.quantization.residual import identity
from edgeq.quantization.rules import Placement
from edgeq.quantization.weightless import why_weightless
from edgeq.spec.quantize import Activations, Override, Quantize, Quantizer, Weights

Q = TypeVar("Q", bound=Quantizer)
_PROMISE = "would include it"
_LARGEST = 1e30
"""Of constant operands: masks hold the least float there is, and with a scale of 1e36 kernels that
divide scales in single precision get zero, and end the process."""


@dataclass(frozen=True)
class Choices:
    """The recipe's patterns, resolved to nodes of the original graph."""

    excluded: dict[str, str]
    """node to the pattern that leaves it out"""
    overrides: dict[str, Override]
    """node to what differs there; the last pattern of the recipe wins"""
    default: Quantize

    def weights(self, node: str) -> Weights:
        """How a layer's weight is quantized."""
        override = self.overrides.get(node)
        return _differing(self.default.weights, override.weights if override else None)

    def activations(self, node: str) -> Activations:
        """How the tensors that a node writes are quantized."""
        override = self.overrides.get(node)
        return _differing(self.default.activations, override.activations if override else None)


def resolve_choices(model: Model, quantize: Quantize) -> Choices:
    """Resolve `exclude` and `overrides`; InputError(s) for patterns that match nothing."""
    problems: list[InputError] = []
    found: dict[str, dict[str, list[str]]] = {"exclude": {}, "overrides": {}}
    for key, patterns in (("exclude", quantize.exclude), ("overrides", quantize.overrides)):
        for pattern in patterns:
            try:
                found[key] |= resolve([pattern], model, Key("quantize", key))
            except InputError as exc:
                problems.append(exc)
    raise_all(problems)
    winners = {node: p for p, nodes in found["overrides"].items() for node in nodes}
    overrides = {node: quantize.overrides[pattern] for node, pattern in winners.items()}
    excluded = {
        node: f"'{pattern}' in overrides is float"
        for node, pattern in winners.items()
        if quantize.overrides[pattern].float
    }
    for pattern, nodes in found["exclude"].items():
        excluded.update(dict.fromkeys(nodes, f"'{pattern}' in exclude"))
    return Choices(excluded, overrides, quantize)


def _differing(default: Q, override: Q | None) -> Q:
    """The default with what the override says; a calibrator comes with its own parameter."""
    if override is None:
        return default
    changes = {name: getattr(override, name) for name in override.model_fields_set}
    if "calibrator" in changes:
        changes.setdefault("percentile", None)
    return default.model_copy(update=changes)


def decide(model: Model, tail: Tail, choices: Choices, placement: Placement) -> dict[str, Decision]:
    """A decision for every node.

    Layers are quantized unless something speaks against it; what lies between them follows, when
    it gets int8 from one side and hands it to the other: an int8 island between float neighbours
    costs more than it saves.
    """
    everything = choices.default.head == "quantize"
    reasons: dict[str, str] = {}  # of the nodes that stay float
    for node in model.nodes:
        reason = _against(model, node, tail, choices, placement)
        if reason is not None:
            reasons[node.name] = reason
    _leave_other_sums(model, placement, reasons)
    if not everything:
        _leave_islands(model, placement, reasons)
    return {node.name: _decision(model, node, reasons, placement) for node in model.nodes}


def explain(
    model: Model, tail: Tail, choices: Choices, placement: Placement
) -> dict[str, Decision]:
    """The decisions as `decide` makes them, with reasons for a reader: no other head is promised.

    Where the recipe's head policy is not all that keeps a node in float, the other reason follows.
    """
    found = decide(model, tail, choices, placement)
    everything = choices.default.model_copy(update={"head": "quantize"})
    otherwise = decide(model, tail, replace(choices, default=everything), placement)
    return {
        name: replace(decision, reason=f"{decision.reason.split(';')[0]}, and {other.reason}")
        if decision.reason.endswith(_PROMISE) and not (other := otherwise[name]).quantized
        else decision
        for name, decision in found.items()
    }


def _against(
    model: Model, node: onnx.NodeProto, tail: Tail, choices: Choices, placement: Placement
) -> str | None:
    """Why a node cannot or shall not be int8, None if nothing speaks against it."""
    head = choices.default.head
    if node.name in choices.excluded:
        return choices.excluded[node.name]
    if head != "quantize" and node.name in tail.nodes:
        return f"behind the head's reshape; 'head: quantize' {_PROMISE}"
    if head == "float-head" and node.name in tail.feeders:
        return f"feeds the head's tail; 'head: float-tail' {_PROMISE}"
    rule = placement.rule(model, node)
    if rule is None and not placement.fuses:
        return f"{placement.runtime} has no int8 kernel for {node.op_type}"
    if rule is None:
        return f"{placement.runtime} has no int8 form of {node.op_type} that it fuses"
    if rule.role == "float":
        return f"{rule.name}: {rule.reason}"
    for name, values in rule.only:
        value = attribute(node, name)
        if value is not None and value not in values:
            lacking = "form that is fused" if placement.fuses else "kernel"
            return f"{node.op_type} with {name} {value} has no int8 {lacking}"
    if rule.role == "layer" and model.weight(node) is None:
        return why_weightless(model, node)
    if rule.role == "layer" and placement.quantized_bias and not is_one_a_channel(model, node):
        return "its bias is not one constant a channel"
    tensors = (*model.activations(node), node.output[0])
    if not all(model.is_float(name) for name in (*tensors, *node.output)):
        return "not float to begin with"
    if not all(is_known(model.shapes.get(name, ()), placement.dynamic) for name in tensors):
        return "its shapes are not static, or those of scalars"
    constants = [name for name in node.input if name in model.initializers]
    operands = rule.role in ("joins", "residual") or node.op_type == "Concat"
    if operands and constants and rule.constants == "refused":
        return "one operand is constant"
    if rule.constants == "quantized" and not _have_scales(model, constants):
        return "one operand is constant and not finite, or all but infinite"
    if rule.role == "carries" and node.op_type != "Concat" and len(model.activations(node)) != 1:
        return "has not one computed input to take its scale from"
    return None


def is_known(shape: Shape, dynamic: bool) -> bool:
    """Whether a tensor's shape is known as far as it has to be; a `dynamic` batch may be open."""
    return bool(shape) and all(shape[1:] if dynamic and len(shape) > 1 else shape)


def _have_scales(model: Model, constants: list[str]) -> bool:
    floats = [model.constant(name) for name in constants if model.is_float(name)]
    return all((np.abs(values) < _LARGEST).all() for values in floats)


def _leave_other_sums(model: Model, placement: Placement, reasons: dict[str, str]) -> None:
    """Sums that are no residual block's have nothing to gain."""
    layers = set()
    for node in model.nodes:
        rule = placement.rule(model, node)
        if node.name in reasons or rule is None:
            continue
        if rule.role == "layer":
            layers.add(node.name)
        elif rule.role == "residual" and identity(model, node, layers) is None:
            reasons[node.name] = "adds no layer's output to what the layer branched off from"


def _leave_islands(model: Model, placement: Placement, reasons: dict[str, str]) -> None:
    def is_int8(tensor: str) -> bool:
        maker = model.producers.get(tensor)
        return maker is not None and maker.name not in reasons

    # Where layers write floats, whoever reads them quantizes them on the way.
    for node in model.nodes if placement.layer_outputs else ():
        rule = placement.rule(model, node)
        if node.name in reasons or rule is None or rule.role == "layer":
            continue
        if not any(is_int8(name) for name in model.activations(node)):
            reasons[node.name] = "its inputs are float"
    for node in reversed(model.nodes):
        rule = placement.rule(model, node)
        if node.name in reasons or rule is None or rule.role in ("layer", "absorbed", "residual"):
            continue
        readers = [c for name in node.output for c in model.consumers.get(name, [])]
        if all(reader.name in reasons for reader in readers):
            reasons[node.name] = "nothing behind it computes in int8"


def _decision(
    model: Model, node: onnx.NodeProto, reasons: dict[str, str], placement: Placement
) -> Decision:
    if node.name in reasons:
        return Decision(False, reasons[node.name], node.op_type)
    rule = placement.rule(model, node)
    return Decision(True, rule.reason if rule else "", node.op_type)
