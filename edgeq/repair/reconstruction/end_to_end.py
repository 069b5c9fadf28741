"""The whole Q/DQ network trained at once, after Wu et al. 2020 (arXiv 2004.09602), section 5.

Ranges stay the calibrator's, gradients go straight through the rounding, and the learning rate ends
by cosine. What it is trained for is the caller's: what the float network puts out, or labels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import onnx

from edgeq import cache
from edgeq.errors import InputError, require
from edgeq.graph.model import Model
from edgeq.progress import Progress
from edgeq.quantization.plan import Plan
from edgeq.repair.reconstruction.graphs import quantized_parts
from edgeq.repair.reconstruction.inputs import Tensor
from edgeq.repair.reconstruction.layers import TrainedLayer
from edgeq.repair.reconstruction.network import Network, Values
from edgeq.repair.reconstruction.reconstruct import BATCH, DEVICE, LEVELS, Constants, exactly
from edgeq.repair.reconstruction.segments import Segment, segments
from edgeq.repair.reconstruction.training import BETAS, LEARNING_RATE, share

torch = require("torch", "train")

CACHE = cache.Cache("training")
EVERY = 50
"""Iterations after which what was learned is kept"""


@dataclass(frozen=True)
class Course:
    """How long is trained, in which order, and by how much: `rate` is of weights themselves.

    Without one it is LEARNING_RATE, in steps of quantization.
    """

    iterations: int
    rate: float | None
    seed: int


@dataclass(frozen=True)
class Lesson:
    """What is learned from: a number of examples, looked at `at_once` at a time.

    `images` makes the network's input of some of them; `loss` is that of what `segment` puts out
    for them, a scalar.
    """

    segment: Segment
    count: int
    at_once: int
    images: Callable[[Sequence[int]], Tensor]
    loss: Callable[[Values, Sequence[int]], Tensor]


@dataclass(frozen=True)
class Quantized:
    """A model, its plan, and the Q/DQ graph of both."""

    model: Model
    plan: Plan
    content: bytes


def body(model: Model, plan: Plan) -> Segment:
    """All that quantized layers depend on, and what goes out of it into the float tail."""
    found = segments(model, plan.weights)
    nodes = [name for segment in found for name in segment.nodes]
    layers = [name for segment in found for name in segment.layers]
    outside = [node for node in model.nodes if node.name not in set(nodes)]
    read = {name for node in outside for name in node.input} | set(model.outputs)
    outputs = [name for segment in found for name in segment.outputs if name in read]
    return Segment(tuple(nodes), tuple(layers), tuple(outputs))


def everything(model: Model, plan: Plan) -> Segment:
    """The model with its own outputs."""
    nodes = [node.name for node in model.nodes]
    layers = [name for name in nodes if name in plan.weights]
    return Segment(tuple(nodes), tuple(layers), tuple(model.outputs))


def learned(
    start: Quantized, lesson: Lesson, course: Course, key: str, threads: int, progress: Progress
) -> Constants:
    """New weights and biases by node and index of its input.

    What was learned so far is kept under `key`, which names all that it depends on: a run that was
    killed goes on there. Raises InputError for an operator that is not trained through, and for a
    loss that is not finite.
    """
    exactly(threads)
    # So many threads add in another order: who goes on with others would end elsewhere.
    about = {"torch": torch.__version__, "device": DEVICE, "threads": threads}
    key = cache.key({"key": key, **about})
    proto = onnx.load_model_from_string(start.content)
    network, [part] = Network(proto, DEVICE), quantized_parts(start.model, proto, [lesson.segment])
    layers = _layers(start, lesson)
    name = next(iter(start.model.inputs))
    optimizer = torch.optim.Adam(_groups(layers, course.rate), betas=BETAS)
    drawn = _order(lesson.count, course)
    for iteration in range(_restored(key, layers, optimizer), course.iterations):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * share(iteration, course.iterations)
        chosen = drawn[iteration * BATCH : (iteration + 1) * BATCH]
        optimizer.zero_grad()
        for begin in range(0, BATCH, lesson.at_once):
            some = chosen[begin : begin + lesson.at_once]
            replaced = {layer: one.tensors() for layer, one in layers.items()}
            values = {name: lesson.images(some).to(DEVICE)}
            found = network.run(part.nodes, values, part.outputs, replaced)
            loss = lesson.loss(found, some) * (len(some) / BATCH)
            _require_finite(loss)
            loss.backward()
        optimizer.step()
        done = iteration + 1
        if done % EVERY == 0 or done == course.iterations:
            _keep(key, done, layers, optimizer)
        progress("train", done, course.iterations)
    return {
        (layer, place): value
        for layer, one in layers.items()
        for place, value in enumerate(one.trained(), 1)
        if value is not None
    }


def _layers(start: Quantized, lesson: Lesson) -> dict[str, TrainedLayer]:
    nodes = {node.name: node for node in start.model.nodes}
    steps = _bias_steps(start.model, lesson)
    found = {}
    for name in lesson.segment.layers:
        weight = replace(start.plan.weights[name], tensor=nodes[name].input[1])
        found[name] = TrainedLayer(start.model, nodes[name], weight, steps[name], DEVICE)
        found[name].learn(weights=True, biases=True)
    return found


def _bias_steps(model: Model, lesson: Lesson) -> dict[str, float]:
    """By layer, what a bias moves by: a step of what the layer puts out in float."""
    nodes = {node.name: node for node in model.nodes}
    outputs = {name: nodes[name].output[0] for name in lesson.segment.layers}
    network, image = Network(model.proto, DEVICE), lesson.images([0]).to(DEVICE)
    inside = [nodes[name] for name in lesson.segment.nodes]
    with torch.no_grad():
        found = network.run(inside, {next(iter(model.inputs)): image}, list(outputs.values()))
    spans = {
        name: float(found[output].max() - found[output].min()) for name, output in outputs.items()
    }
    return {name: (span or 1.0) / LEVELS for name, span in spans.items()}


def _groups(layers: dict[str, TrainedLayer], rate: float | None) -> list[dict[str, object]]:
    if rate is None:
        every = [value for one in layers.values() for value in one.learned]
        return [{"params": every, "rate": LEARNING_RATE}]
    return [
        {"params": [value], "rate": rate / unit}
        for one in layers.values()
        for value, unit in zip(one.learned, one.units, strict=True)
    ]


def _order(count: int, course: Course) -> list[int]:
    """Which examples come one after the other: all of them once, then again."""
    drawn = torch.Generator().manual_seed(course.seed)
    found: list[int] = []
    while len(found) < course.iterations * BATCH:
        found += torch.randperm(count, generator=drawn).tolist()
    return found


def _require_finite(loss: Tensor) -> None:
    if not bool(torch.isfinite(loss)):
        raise InputError("train", "the loss is no longer finite", "lower --original-rate")


def _keep(key: str, done: int, layers: dict[str, TrainedLayer], optimizer: Tensor) -> None:
    values = [value.detach() for one in layers.values() for value in one.learned]
    content = io.BytesIO()
    torch.save({"done": done, "values": values, "optimizer": optimizer.state_dict()}, content)
    CACHE.write(key, content.getvalue())


def _restored(key: str, layers: dict[str, TrainedLayer], optimizer: Tensor) -> int:
    """How many iterations were done before, whose state all of these have now."""
    known = CACHE.read(key)
    if known is None:
        return 0
    state = torch.load(io.BytesIO(known), map_location=DEVICE, weights_only=True)
    own = [value for one in layers.values() for value in one.learned]
    with torch.no_grad():
        for value, kept in zip(own, state["values"], strict=True):
            value.copy_(kept)
    optimizer.load_state_dict(state["optimizer"])
    return int(state["done"])
