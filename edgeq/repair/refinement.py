"""What a plan's integers lose, made up for layer by layer: rounding (AdaRound), then the bias.

Bias correction is the empirical one of Nagel et al. 2019 (arXiv 1906.04721), section 4.2 and
appendix D: in execution order each bias takes over the mean by which a channel of a layer with
quantized weights, behind layers that have them and are corrected, differs from float. Rounding is
optimized for the inputs that such layers make (Nagel et al. 2020, arXiv 2004.10568, section 3.5).
Both in two passes over the images: one in float, and one with quantized weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgeq.graph.model import Model
from edgeq.progress import Progress, silent
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.bias import bias_of, has_bias, is_one_a_channel, takes_bias
from edgeq.quantization.neighbours import neighbours_of
from edgeq.quantization.plan import Plan, WeightScale
from edgeq.repair.rounding import Problem, adaround
from edgeq.repair.samples import Doubles, Floats, LayerSample, SampledLayer, channel_mean, sample
from edgeq.repair.walk import Stop, Walk
from edgeq.repair.windows import Windows, windows_of
from edgeq.spec.repair import Repair

Simulation = Callable[[Model, Plan], bytes]
"""Writes a plan as a Q/DQ graph that ONNX Runtime runs."""


@dataclass
class Refinement:
    """New weights and biases by node, and what they change."""

    weights: dict[str, Floats] = field(default_factory=dict)
    shifts: dict[str, Doubles] = field(default_factory=dict)
    moved: int = 0
    """weights that are not rounded to the nearest"""
    rounded: int = 0
    gains: list[float] = field(default_factory=list)
    """squared error of each layer to that of nearest rounding"""


def refine(
    model: Model,
    plan: Plan,
    repair: Repair,
    images: Sequence[Floats],
    simulation: Simulation,
    threads: int,
    progress: Progress = silent,
) -> Refinement:
    """The constants with which the layers of a plan come closest to the float model."""
    layers = _layers(model, plan, repair)
    # torchvision's detectors take their image without the batch of one.
    shape = next(iter(model.inputs.values()))
    images = [image.reshape(shape) for image in images]
    total = len(images) + len(layers)

    def watched() -> Iterable[Floats]:
        for done, image in enumerate(images):
            yield image
            progress("repair", done + 1, total)

    samples = sample(model, layers, watched(), len(images), repair.seed, threads)
    content, where = simulation(model, _weights_only(plan)), str(model.path)
    walk = Walk(content, where, layers.keys(), images, threads)
    found = Refinement()
    for done, stop in enumerate(walk, len(images) + 1):
        layer, reference = layers[stop.node.name], samples.pop(stop.node.name)
        weight = stop.weight
        if repair.adaround is not None and layer.windows is not None:
            weight = _round(model, plan, repair, stop, layer.windows, reference, found)
        outputs = list(walk.outputs(stop, weight))
        if repair.bias_correction and takes_bias(model, stop.node):
            means = [channel_mean(output, layer.axis) for output in outputs]
            shift = reference.mean - np.mean(means, axis=0)
            found.shifts[layer.name] = shift
            outputs = [_raised(output, shift, layer.axis) for output in outputs]
        walk.go_on(stop, outputs)
        progress("repair", done, total)
    return found


def constants_of(model: Model, found: Refinement) -> dict[tuple[str, int], Floats]:
    """By node and index of its input, what a refinement found."""
    constants = {(name, 1): weight for name, weight in found.weights.items()}
    nodes = {node.name: node for node in model.nodes}
    for name, shift in found.shifts.items():
        node = nodes[name]
        bias = model.constant(node.input[2]).astype(np.float64) if has_bias(node) else 0.0
        constants[name, 2] = np.asarray(bias + shift, np.float32)
    return constants


def plan_for(model: Model, plan: Plan, learned: Mapping[str, Scale] | None = None) -> Plan:
    """The plan of what was repaired: that of the float model, with room for new biases in int32.

    It is not made anew: the ranges stay those to which the quantized model is brought back, but
    for those that were learned.
    """
    plan = replace(plan, tensors={**plan.tensors, **(learned or {})})
    weights: dict[str, WeightScale] = {}
    for node in model.nodes:
        if node.name in plan.weights:
            planned = plan.weights[node.name]
            scales = np.array(planned.scales, np.float32)
            if plan.quantized_bias and has_bias(node):
                input_scale = plan.tensors[node.input[0]].scale
                scales = arithmetic.widened_for_bias(scales, bias_of(model, node), input_scale)
            scaled = tuple(float(s) for s in scales)
            weights[node.name] = replace(planned, tensor=node.input[1], scales=scaled)
    return replace(plan, weights=weights)


def _weights_only(plan: Plan) -> Plan:
    """The plan with float activations.

    Their errors are systematic where an image is flat, such as in the padding of a letterbox: made
    up for everywhere, they cost more than they were (yolov5n-seg, calibrator max: mask AP .2506
    without correction, .1827 with activations quantized, .2533 like this).
    """
    return replace(plan, tensors={}, reads={}, integers=(), quantized_bias=False)


def _layers(model: Model, plan: Plan, repair: Repair) -> dict[str, SampledLayer]:
    """The quantized layers whose places are known before they run, in execution order."""
    found = {}
    for node in model.nodes:
        if node.name in plan.weights and all(model.shapes[node.output[0]]):
            axis = 1 if node.op_type in ("Conv", "ConvTranspose") else -1
            shape = model.shapes[plan.weights[node.name].tensor]
            wanted = repair.adaround is not None and is_one_a_channel(model, node)
            windows = windows_of(node, shape) if wanted else None
            found[node.name] = SampledLayer(node.name, node.output[0], axis, windows)
    return found


def _raised(output: Floats, shift: Doubles, axis: int) -> Floats:
    shape = [1] * output.ndim
    shape[axis] = len(shift)
    return output + shift.astype(np.float32).reshape(shape)


def _round(
    model: Model,
    plan: Plan,
    repair: Repair,
    stop: Stop,
    windows: Windows,
    reference: LayerSample,
    found: Refinement,
) -> Floats:
    """Choose the integers of a layer's weight; what the Q/DQ graph then multiplies with."""
    assert repair.adaround is not None
    planned = plan.weights[stop.node.name]
    original = np.asarray(model.constant(planned.tensor), np.float32)
    scales = np.array(planned.scales, np.float32)
    steps = 2 ** (planned.bits - 1) - 1
    along = scales.astype(np.float64).reshape(
        (1, 1, 1) if planned.axis is None else (windows.groups, -1, 1)
    )
    weights = windows.matrix(original).astype(np.float64) / along
    bias = 0.0 if stop.bias is None else stop.bias.reshape(windows.groups, -1, 1)
    inputs, missing = [], []
    for values, places, wanted in zip(stop.inputs, reference.places, reference.values, strict=True):
        shape = model.shapes[stop.node.output[0]]
        under = windows.inputs(values, shape, places)
        made = windows.matrix(original) @ under.transpose(0, 2, 1)
        inputs.append(under)
        missing.append((wanted - bias - made) / along)
    x, lacking = np.concatenate(inputs, axis=1), np.concatenate(missing, axis=2)
    if repair.bias_correction and takes_bias(model, stop.node):
        # The mean is made up for by the bias.
        x = x - x.mean(axis=1, keepdims=True)
        lacking = lacking - lacking.mean(axis=2, keepdims=True)
    gram = x.transpose(0, 2, 1) @ x
    limit = planned.pair_limit
    neighbours = None if limit is None else neighbours_of(stop.node, original.shape, limit)
    problem = Problem(weights, gram.astype(np.float64), lacking @ x, steps, neighbours)
    integers = adaround(problem, repair.adaround.iterations)
    moved = integers != problem.nearest
    rest = float(np.square(lacking).sum())
    before, after = (rest + float(problem.error(q).sum()) for q in (problem.nearest, integers))
    found.gains.append(after / before if before > 0 else 1.0)
    found.moved += int(moved.sum())
    found.rounded += moved.size
    # Weights that go to the nearest integer anyway stay as they are, the largest of each channel
    # among them, which the scale is taken from.
    on_grid = np.where(moved, integers * along, windows.matrix(original))
    found.weights[stop.node.name] = windows.weight(on_grid, original)
    return windows.weight(integers.astype(np.float32) * along.astype(np.float32), original)
