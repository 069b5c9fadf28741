"""From statistics, the recipe's choices and a runtime's placement rules to the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.calibration.statistics import Statistics
from edgeq.calibrators import histogram
from edgeq.calibrators.base import Range, calibrate
from edgeq.errors import InputError, Key, raise_all
from edgeq.graph.model import Model, attribute
from edgeq.graph.tail import Tail
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.bias import bias_of, has_bias
from edgeq.quantization.decide import Choices, decide
from edgeq.quantization.groups import sources_of_scale
from edgeq.quantization.half import kept_float32
from edgeq.quantization.neighbours import bounded_scales, neighbours_of, rows_of
from edgeq.quantization.plan import Decision, Plan, WeightScale
from edgeq.quantization.residual import identity
from edgeq.quantization.rules import Form, Placement, Rule
from edgeq.spec.quantize import Activations, Quantize, Weights

DTYPES: dict[Form, type[np.floating[Any]]] = {
    "own-pairs": np.float32,
    "float-weights": np.float32,
    "int8-weights": np.float32,
    "float16": np.float16,
}
"""The type of scales in each form."""


def check(quantize: Quantize, placement: Placement) -> None:
    """InputError(s) for what the recipe asks of a runtime that cannot do it."""
    problems = []
    if quantize.io not in placement.ios:
        what = f"{placement.runtime} gets a graph in float32 here, with inputs and outputs of that"
        if placement.ios[1:]:
            what = (
                f"{placement.runtime} has inputs and outputs of {' or '.join(placement.ios)} here"
            )
        remedy = "leave it out; float16 is for a TensorRT that is typed strongly, int8 for LiteRT"
        problems.append(InputError(Key("quantize", "io"), what, remedy))
    parts: list[tuple[tuple[str, ...], Weights | None, Activations | None]] = [
        (("quantize",), quantize.weights, quantize.activations)
    ]
    parts += [
        (("quantize", "overrides", pattern), o.weights, o.activations)
        for pattern, o in quantize.overrides.items()
        if not o.float
    ]
    for where, weights, activations in parts:
        if weights is not None and weights.scheme == "affine":
            what = "weights have no zero point in any engine; scheme affine is not possible"
            problems.append(
                InputError(Key(*where, "weights", "scheme"), what, "write 'scheme: scale'")
            )
        if activations is None:
            continue
        if activations.granularity != "per-tensor":
            what = f"{placement.runtime} quantizes activations per-tensor only"
            remedy = "write 'granularity: per-tensor'"
            problems.append(InputError(Key(*where, "activations", "granularity"), what, remedy))
        if activations.scheme not in ("target", *placement.schemes):
            what = f"{placement.runtime} cannot do {activations.scheme} activations"
            remedy = f"write 'scheme: {placement.scheme}' or 'scheme: target'"
            problems.append(InputError(Key(*where, "activations", "scheme"), what, remedy))
    raise_all(problems)


def make_plan(
    model: Model, statistics: Statistics, tail: Tail, choices: Choices, placement: Placement
) -> Plan:
    """Scales for all that is quantized, and the decision for every node."""
    decisions = decide(model, tail, choices, placement)
    nodes = [node for node in model.nodes if decisions[node.name].quantized]
    rules = {node.name: rule for node in nodes if (rule := placement.rule(model, node)) is not None}
    writers = [node for node in nodes if placement.writes_integers(model, node)]
    reads = {node.name: _reads(model, node, rules, placement) for node in nodes}
    names: dict[str, None] = {}
    for node in nodes:
        if rules[node.name].role != "absorbed":
            names.update(dict.fromkeys(reads[node.name]))
        if node in writers:
            names.update(dict.fromkeys(node.output))
    hidden = _inside_fusions(model, nodes, decisions, placement, choices)
    alike = sources_of_scale(model, nodes, rules)
    tensors = {
        name: _scale(model, alike.get(name, (name,)), rules, statistics, choices, placement)
        for name in names
        if name and name not in hidden
    }
    weights = {
        node.name: _weight(model, node, rules[node.name].weight_axis, tensors, choices, placement)
        for node in nodes
        if rules[node.name].role == "layer"
    }
    integers = {name for node in writers for name in node.output if name in tensors}
    for node in model.nodes:
        wanted = reads.get(node.name, ()) or [name for name in node.input if name in integers]
        reads[node.name] = tuple(dict.fromkeys(name for name in wanted if name in tensors))
    return Plan(
        runtime=placement.runtime,
        activation_type=placement.activation_type,
        tensors=tensors,
        weights=weights,
        decisions=decisions,
        reads={node: read for node, read in reads.items() if read},
        integers=tuple(sorted(integers)),
        float32=kept_float32(model, tail, statistics) if placement.form == "float16" else (),
        quantized_bias=placement.quantized_bias,
        form=placement.form,
        io=choices.default.io,
    )


def _reads(
    model: Model, node: onnx.NodeProto, rules: dict[str, Rule], placement: Placement
) -> tuple[str, ...]:
    """The inputs that a quantized node reads as integers."""
    if rules[node.name].role == "residual":
        layers = [name for name, rule in rules.items() if rule.role == "layer"]
        found = identity(model, node, layers)
        return () if found is None else (found,)
    if rules[node.name].constants == "quantized":
        return tuple(name for name in node.input if model.is_float(name))
    read = model.activations(node)
    if rules[node.name].role == "layer":
        # A bias that is computed stays float.
        return tuple(name for name in read if name in node.input[:2])
    return tuple(read)


def _inside_fusions(
    model: Model,
    quantized: list[onnx.NodeProto],
    decisions: dict[str, Decision],
    placement: Placement,
    choices: Choices,
) -> set[str]:
    """Tensors between a layer and the activation that it absorbs: never written, so never scaled.

    Affine only: there the integers end at zero by themselves, which is what a ReLU does.
    """
    found = set()
    for node in quantized:
        rule = placement.rule(model, node)
        if rule is None or rule.role != "absorbed":
            continue
        source = node.input[0]
        maker = model.producers.get(source)
        alone = len(model.consumers.get(source, [])) == 1 and source not in model.outputs
        affine = not is_symmetric(choices.activations(node.name).scheme, placement)
        if maker is not None and alone and affine and decisions[maker.name].quantized:
            found.add(source)
    return found


def _scale(
    model: Model,
    sources: tuple[str, ...],
    rules: dict[str, Rule],
    statistics: Statistics,
    choices: Choices,
    placement: Placement,
) -> Scale:
    """The one scale of what is made of these tensors: it spans what each of them would get."""
    spans, schemes = [], set()
    for source in sources:
        if source in model.initializers:
            values = np.asarray(model.constant(source), np.float32)
            spans.append(Range(float(values.min(initial=0.0)), float(values.max(initial=0.0))))
            schemes.add(is_symmetric(choices.default.activations.scheme, placement))
            continue
        node = model.producers.get(source)
        quantizer = choices.default.activations if node is None else choices.activations(node.name)
        symmetric = is_symmetric(quantizer.scheme, placement)
        rule = rules.get(node.name) if node is not None else None
        if rule is not None and rule.fixed is not None:
            return Scale(*rule.fixed, placement.activation_type)
        # Pixels are bounded too: 256 values, which the whole range holds without loss.
        if node is None or (rule is not None and rule.bounded):
            quantizer = Activations(scheme=quantizer.scheme)
        seen = statistics.histogram(source)
        if not seen.total:
            what = f"show nothing that reaches tensor '{source}', which has no range then"
            remedy = "add images that show what the model finds, or exclude what reads it"
            raise InputError(Key("calibration", "images"), what, remedy)
        spans.append(calibrate(seen, quantizer, symmetric))
        schemes.add(symmetric)
    span = Range(min(span.low for span in spans), max(span.high for span in spans))
    found = arithmetic.activation_scale(span, placement.activation_type, all(schemes))
    return replace(found, scale=arithmetic.representable(found.scale, DTYPES[placement.form]))


def is_symmetric(scheme: str, placement: Placement) -> bool:
    """Whether a scheme of a recipe has no zero point of its own, on such an engine."""
    return (placement.scheme if scheme == "target" else scheme) == "scale"


def _weight(
    model: Model,
    node: onnx.NodeProto,
    axis: int | None,
    tensors: dict[str, Scale],
    choices: Choices,
    placement: Placement,
) -> WeightScale:
    quantizer = choices.weights(node.name)
    values = np.asarray(model.constant(node.input[1]), np.float32)
    if node.op_type == "Gemm":
        axis = 0 if attribute(node, "transB", 0) else 1
    elif node.op_type == "MatMul":
        axis = values.ndim - 1 if values.ndim > 1 else None
    if quantizer.granularity == "per-tensor":
        axis = None
    channels: list[NDArray[np.float32]] = (
        [values] if axis is None else list(np.moveaxis(values, axis, 0))
    )
    limits = np.array(
        [
            float(np.abs(channel).max(initial=0.0))
            if quantizer.calibrator == "max"
            else calibrate(histogram.of(channel), quantizer, symmetric=True).high
            for channel in channels
        ]
    )
    scales = arithmetic.weight_scales(limits, placement.weight_bits)
    pair_limit = placement.pair_limit
    if pair_limit is not None:
        neighbours = neighbours_of(node, values.shape, pair_limit)
        if neighbours is not None:
            scales = bounded_scales(rows_of(node, values), scales, neighbours)
    if placement.form == "float16":
        scales = np.array([arithmetic.representable(s, np.float16) for s in scales], np.float32)
    if placement.quantized_bias and has_bias(node):
        input_scale = tensors[node.input[0]].scale
        scales = arithmetic.widened_for_bias(scales, bias_of(model, node), input_scale)
    found = tuple(float(s) for s in scales)
    return WeightScale(node.input[1], found, axis, placement.weight_bits, pair_limit)
