"""From statistics, the recipe's choices and a runtime's placement rules to the plan."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.calibration import histogram
from edgeq.calibration.calibrators import calibrate
from edgeq.calibration.statistics import Statistics
from edgeq.errors import InputError, raise_all
from edgeq.graph.model import Model, attribute
from edgeq.graph.tail import Tail
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.bias import bias_of, has_bias
from edgeq.quantization.decide import Choices, decide
from edgeq.quantization.plan import Decision, Plan, WeightScale
from edgeq.quantization.rules import Placement
from edgeq.recipe import Activations, Quantize, Weights


def check(quantize: Quantize, placement: Placement) -> None:
    """InputError(s) for what the recipe asks of a runtime that cannot do it."""
    problems = []
    parts: list[tuple[str, Weights | None, Activations | None]] = [
        ("quantize", quantize.weights, quantize.activations)
    ]
    parts += [
        (f"quantize.overrides.{pattern}", o.weights, o.activations)
        for pattern, o in quantize.overrides.items()
        if not o.float
    ]
    for where, weights, activations in parts:
        if weights is not None and weights.scheme == "affine":
            what = "weights have no zero point in any engine; scheme affine is not possible"
            problems.append(InputError(f"{where}.weights.scheme", what, "write 'scheme: scale'"))
        if activations is None:
            continue
        if activations.granularity != "per-tensor":
            what = f"{placement.runtime} quantizes activations per-tensor only"
            remedy = "write 'granularity: per-tensor'"
            problems.append(InputError(f"{where}.activations.granularity", what, remedy))
        if activations.scheme not in ("target", *placement.schemes):
            what = f"{placement.runtime} cannot do {activations.scheme} activations"
            remedy = f"write 'scheme: {placement.scheme}' or 'scheme: target'"
            problems.append(InputError(f"{where}.activations.scheme", what, remedy))
    raise_all(problems)


def make_plan(
    model: Model, statistics: Statistics, tail: Tail, choices: Choices, placement: Placement
) -> Plan:
    """Scales for all that is quantized, and the decision for every node."""
    decisions = decide(model, tail, choices, placement)
    quantized = [node for node in model.nodes if decisions[node.name].quantized]
    names: dict[str, None] = {}
    for node in quantized:
        rule = placement.rule(node.op_type)
        if rule is None or rule.role != "absorbed":
            names.update(dict.fromkeys(model.activations(node)))
        names.update(dict.fromkeys(node.output))
    hidden = _inside_fusions(model, quantized, decisions, placement, choices)
    tensors = {
        name: _scale(model, name, decisions, statistics, choices, placement)
        for name in names
        if name and name not in hidden
    }
    weights = {}
    for node in quantized:
        rule = placement.rule(node.op_type)
        if rule is not None and rule.role == "layer":
            weights[node.name] = _weight(model, node, rule.weight_axis, tensors, choices, placement)
    return Plan(
        placement.runtime,
        placement.activation_type,
        tensors,
        weights,
        decisions,
        placement.quantized_bias,
    )


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
        rule = placement.rule(node.op_type)
        if rule is None or rule.role != "absorbed":
            continue
        source = node.input[0]
        maker = model.producers.get(source)
        alone = len(model.consumers.get(source, [])) == 1 and source not in model.outputs
        affine = not _symmetric(choices.activations(node.name).scheme, placement)
        if maker is not None and alone and affine and decisions[maker.name].quantized:
            found.add(source)
    return found


def _scale(
    model: Model,
    tensor: str,
    decisions: dict[str, Decision],
    statistics: Statistics,
    choices: Choices,
    placement: Placement,
) -> Scale:
    """The scale of a tensor; one that is only carried over has the scale of where it comes from."""
    node = model.producers.get(tensor)
    while node is not None and decisions[node.name].quantized:
        rule = placement.rule(node.op_type)
        if rule is None or rule.role != "carries":
            break
        tensor = node.input[0]
        node = model.producers.get(tensor)
    quantizer = choices.activations(node.name) if node is not None else choices.default.activations
    symmetric = _symmetric(quantizer.scheme, placement)
    rule = placement.rule(node.op_type) if node is not None else None
    # Pixels are bounded too: 256 values, which the whole range holds without loss.
    if node is None or (rule is not None and rule.bounded):
        quantizer = Activations(scheme=quantizer.scheme)
    span = calibrate(statistics.histogram(tensor), quantizer, symmetric)
    return arithmetic.activation_scale(span, placement.activation_type, symmetric)


def _symmetric(scheme: str, placement: Placement) -> bool:
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
        axis = values.ndim - 1
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
    if placement.quantized_bias and has_bias(node):
        input_scale = tensors[node.input[0]].scale
        scales = arithmetic.widened_for_bias(scales, bias_of(model, node), input_scale)
    return WeightScale(node.input[1], tuple(float(s) for s in scales), axis, placement.weight_bits)
