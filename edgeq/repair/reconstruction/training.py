"""One segment trained: its outputs come nearest to what float makes of the float network's inputs.

The loss is each output's squared error over its variance in float, so that a map of pixels and one
of scores weigh the same. Adam (Kingma and Ba 2015, arXiv 1412.6980), warmed up and annealed by
cosine; the learning rate is in steps of quantization, which are what matters to a rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx

from edgeq.errors import require
from edgeq.repair.reconstruction.inputs import Tensor
from edgeq.repair.reconstruction.layers import TrainedLayer
from edgeq.repair.reconstruction.network import Network, Values
from edgeq.repair.reconstruction.ranges import TrainedRange

torch = require("torch", "train")

LEARNING_RATE = 0.006
"""Steps of quantization; a third and twice as many brought less (docs/decisions/0016)."""
RANGE_RATE = 0.05
"""Of the logarithms of a range's ends"""
BETAS = 0.9, 0.99
WARM_UP = 5
"""Iterations"""
AT_ONCE = 16
"""Crops that are computed together where nothing is learned"""


Trained = Mapping[str, TrainedLayer | TrainedRange]
"""What is learned, by the node of the Q/DQ graph that reads it"""


@dataclass(frozen=True)
class GraphPart:
    """A segment of the float or the Q/DQ graph: its nodes, its outputs, what goes on behind it.

    `ranges` are the tensors whose ranges are learned, by the node that rounds them.
    """

    nodes: Sequence[onnx.NodeProto]
    outputs: Sequence[str]
    live: Sequence[str]
    ranges: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Schedule:
    """How long a segment is trained, on how many crops at a time, with which draws.

    A `rigid` network takes its own batch of one only: values have one more dimension in front.
    """

    iterations: int
    batch: int
    seed: int
    rigid: bool
    device: str


def computed(
    network: Network,
    nodes: Sequence[onnx.NodeProto],
    values: Mapping[str, Tensor],
    wanted: Sequence[str],
    schedule: Schedule,
    layers: Trained | None = None,
) -> Values:
    """What nodes make of all values, a few at a time and without gradients."""
    count = len(next(iter(values.values())))
    parts: dict[str, list[Tensor]] = {name: [] for name in wanted}
    with torch.no_grad():
        for start in range(0, count, AT_ONCE):
            part = {name: value[start : start + AT_ONCE] for name, value in values.items()}
            found = _run(network, nodes, part, wanted, schedule, layers)
            for name, value in found.items():
                parts[name].append(value.cpu())
    return {name: torch.cat(found) for name, found in parts.items()}


def train(
    network: Network,
    part: GraphPart,
    values: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    layers: Trained,
    schedule: Schedule,
    progress: Callable[[int], None],
) -> None:
    """Change what layers learn so that the part's outputs come nearest to the targets."""
    weights = {name: weight_of(target) for name, target in targets.items()}
    drawn = torch.Generator().manual_seed(schedule.seed)
    count = len(next(iter(values.values())))
    optimizer = torch.optim.Adam(_groups(layers), betas=BETAS)
    order: list[int] = []
    for iteration in range(schedule.iterations):
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * share(iteration, schedule.iterations)
        while len(order) < schedule.batch:
            order += torch.randperm(count, generator=drawn).tolist()
        chosen, order = order[: schedule.batch], order[schedule.batch :]
        batch = {name: value[chosen] for name, value in values.items()}
        found = _run(network, part.nodes, batch, part.outputs, schedule, layers)
        wanted = {name: target[chosen].to(schedule.device) for name, target in targets.items()}
        loss = sum(
            weights[name] * (found[name] - wanted[name]).square().mean() for name in part.outputs
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress(iteration + 1)


def error(found: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> float:
    """The loss of what was found, over all of it."""
    return float(
        sum(
            weight_of(target) * (found[name] - target).square().mean()
            for name, target in targets.items()
        )
    )


def _groups(layers: Trained) -> list[dict[str, Any]]:
    """What is learned, and how fast."""
    kinds = (TrainedLayer, LEARNING_RATE), (TrainedRange, RANGE_RATE)
    of = {kind: [one for one in layers.values() if isinstance(one, kind)] for kind, _ in kinds}
    learned = {kind: [value for one in ones for value in one.learned] for kind, ones in of.items()}
    return [{"params": learned[kind], "rate": rate} for kind, rate in kinds if learned[kind]]


def weight_of(target: Tensor) -> float:
    """What a tensor's squared error counts, so that all of them count alike."""
    variance = float(target.var())
    return 1.0 / variance if variance > 0 else 0.0


def share(iteration: int, iterations: int) -> float:
    """Of the learning rate, in an iteration."""
    warm = min(1.0, (iteration + 1) / WARM_UP)
    return warm * 0.5 * (1.0 + math.cos(math.pi * iteration / iterations))


def _run(
    network: Network,
    nodes: Sequence[onnx.NodeProto],
    values: Mapping[str, Tensor],
    wanted: Sequence[str],
    schedule: Schedule,
    layers: Trained | None,
) -> Values:
    there = {name: value.to(schedule.device) for name, value in values.items()}
    replaced = None if layers is None else {name: one.tensors() for name, one in layers.items()}
    if not schedule.rigid:
        return network.run(nodes, there, wanted, replaced)
    count = len(next(iter(there.values())))
    single = [
        network.run(nodes, {name: value[i] for name, value in there.items()}, wanted, replaced)
        for i in range(count)
    ]
    return {name: torch.stack([found[name] for found in single]) for name in wanted}
