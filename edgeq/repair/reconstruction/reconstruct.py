"""Segment after segment, trained behind the quantized ones before it towards the float network.

After BRECQ (Li et al. 2021, arXiv 2102.05426) and its likes, with the paper's straight-through
gradients; no labels are needed, as the float model is the teacher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq import cache
from edgeq.errors import require
from edgeq.graph.model import Model
from edgeq.progress import Progress
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.learnable import Learnable
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import decoded, encoded, with_constants
from edgeq.repair.reconstruction.graphs import behind_rounding, float_parts, quantized_parts
from edgeq.repair.reconstruction.layers import TrainedLayer
from edgeq.repair.reconstruction.network import Network, Values
from edgeq.repair.reconstruction.ranges import TrainedRange
from edgeq.repair.reconstruction.segments import segments
from edgeq.repair.reconstruction.training import (
    AT_ONCE,
    Schedule,
    Trained,
    computed,
    error,
    train,
)
from edgeq.spec.repair import Reconstruct

torch = require("torch", "train")

Floats = NDArray[np.float32]
Constants = dict[tuple[str, int], Floats]
CACHE = cache.Cache("segments")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
BATCH = 6
"""Crops that an iteration looks at"""
LEVELS = 255
"""Steps of a bias over the range of what its layer puts out, as an activation has"""


@dataclass(frozen=True)
class Subject:
    """What is trained: a model under a plan, on images [N,C,H,W].

    A `rigid` model takes only inputs of its own shape, one at a time: images are [N,1,C,H,W] then.
    `ranges` are those that may be learned, by tensor.
    """

    model: Model
    plan: Plan
    images: Floats
    rigid: bool
    ranges: Mapping[str, Learnable] = field(default_factory=dict)


@dataclass
class Learned:
    """New constants by node and index of its input, and new scales by tensor."""

    constants: Constants = field(default_factory=dict)
    scales: dict[str, Scale] = field(default_factory=dict)


@dataclass
class Reconstruction(Learned):
    """What all segments learned, and by segment its loss to what it was before."""

    gains: list[float] = field(default_factory=list)


def exactly(threads: int) -> None:
    """Have PyTorch compute on a GPU as exactly as on a CPU, and the same every time."""
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def reconstruct(
    subject: Subject,
    options: Reconstruct,
    seed: int,
    key: str,
    simulation: Callable[[Model, Plan], bytes],
    threads: int,
    progress: Progress,
) -> Reconstruction:
    """The weights, biases and ranges with which segments come nearest to float.

    `key` names all that it depends on: segments that were trained under it are taken from the
    cache. Raises InputError for an operator that is not trained through.
    """
    exactly(threads)
    work = _Work(subject, options, seed, simulation)
    result, total = Reconstruction(), len(work.cut) * options.iterations
    for index in range(len(work.cut)):

        def told(done: int, before: int = index * options.iterations) -> None:
            progress("reconstruct", before + done, total)

        # A run that was killed goes on behind the segments that it had done.
        known = CACHE.read(f"{key}/{index}")
        if known is None:
            learned, gain = work.trained(index, told)
            CACHE.write(f"{key}/{index}", _encoded(learned, gain))
        else:
            learned, gain = _decoded(known)
        work.go_on(index, learned)
        result.constants |= learned.constants
        result.scales |= learned.scales
        result.gains.append(gain)
        told(options.iterations)
    return result


def _encoded(learned: Learned, gain: float) -> bytes:
    scales = {name: asdict(scale) for name, scale in learned.scales.items()}
    return encoded(learned.constants, {"gain": gain, "scales": scales})


def _decoded(content: bytes) -> tuple[Learned, float]:
    constants, about = decoded(content)
    scales = {name: Scale(**scale) for name, scale in about["scales"].items()}
    return Learned(constants, scales), float(about["gain"])


class _Work:
    """The values in front of the next segment, in float and behind what was trained so far."""

    def __init__(
        self,
        subject: Subject,
        options: Reconstruct,
        seed: int,
        simulation: Callable[[Model, Plan], bytes],
    ) -> None:
        model, plan = subject.model, subject.plan
        self._subject, self._options, self._seed = subject, options, seed
        proto = onnx.load_model_from_string(simulation(model, plan))
        self._exact = Network(model.proto, DEVICE)
        self._rounded = Network(proto, DEVICE)
        self.cut = segments(model, plan.weights)
        self._whole = float_parts(model, self.cut)
        self._parts = [
            behind_rounding(part, subject.ranges)
            for part in quantized_parts(model, proto, self.cut)
        ]
        images = torch.from_numpy(subject.images)
        name = next(iter(model.inputs))
        self._floats: Values = {name: images}
        self._quantized = dict(self._floats)

    def trained(self, index: int, progress: Callable[[int], None]) -> tuple[Learned, float]:
        """What a segment learns, and its loss to what it was; nothing where it only got worse."""
        part, schedule, model = self._parts[index], self._schedule(index), self._subject.model
        targets = self._targets(index)
        layers = self._layers(index, model, self._steps(index))
        ranges = self._ranges(index, {})
        for layer in layers.values():
            layer.learn(self._options.weights, self._options.biases)
        for one in ranges.values():
            one.learn()
        both: Trained = {**layers, **ranges}
        before = self._error(index, targets, self._written(index, Learned()))
        if not before or not any(one.learned for one in both.values()):
            return Learned(), 1.0
        train(self._rounded, part, self._quantized, targets, both, schedule, progress)
        constants: Constants = {}
        for name, layer in layers.items():
            for place, value in enumerate(layer.trained(), 1):
                if value is not None:
                    constants[name, place] = value
        scales = {part.ranges[name]: one.trained() for name, one in ranges.items()}
        learned = Learned(constants, {name: s for name, s in scales.items() if s is not None})
        after = self._error(index, targets, self._written(index, learned))
        return (learned, after / before) if after < before else (Learned(), 1.0)

    def go_on(self, index: int, learned: Learned) -> None:
        """Take the values behind a segment, which has learned something."""
        there = self._written(index, learned)
        whole, part, schedule = self._whole[index], self._parts[index], self._schedule(index)
        self._floats = computed(self._exact, whole.nodes, self._floats, whole.live, schedule)
        found = computed(self._rounded, part.nodes, self._quantized, part.live, schedule, there)
        self._quantized = found

    def _schedule(self, index: int) -> Schedule:
        rigid = self._subject.rigid
        return Schedule(
            self._options.iterations,
            1 if rigid else BATCH,
            self._seed + index,
            rigid,
            DEVICE,
        )

    def _targets(self, index: int) -> Values:
        """What float makes, by what the quantized network calls it."""
        whole, names = self._whole[index], self._parts[index].outputs
        found = computed(
            self._exact, whole.nodes, self._floats, whole.outputs, self._schedule(index)
        )
        return {name: found[exact] for name, exact in zip(names, whole.outputs, strict=True)}

    def _written(self, index: int, learned: Learned) -> Trained:
        """A segment as it will be written, which a kernel's limits may have changed."""
        model = with_constants(self._subject.model, learned.constants, "")
        return {**self._layers(index, model, {}), **self._ranges(index, learned.scales)}

    def _error(self, index: int, targets: Values, layers: Trained) -> float:
        part = self._parts[index]
        found = computed(
            self._rounded, part.nodes, self._quantized, part.outputs, self._schedule(index), layers
        )
        return error(found, targets)

    def _steps(self, index: int) -> dict[str, float]:
        """By layer, what a bias moves by: a step of what the layer puts out in float."""
        nodes = {node.name: node for node in self._subject.model.nodes}
        outputs = {name: nodes[name].output[0] for name in self.cut[index].layers}
        few = {name: value[:AT_ONCE] for name, value in self._floats.items()}
        whole, schedule = self._whole[index], self._schedule(index)
        found = computed(self._exact, whole.nodes, few, list(outputs.values()), schedule)
        return {
            name: float(found[output].max() - found[output].min()) / LEVELS
            for name, output in outputs.items()
        }

    def _ranges(self, index: int, scales: Mapping[str, Scale]) -> dict[str, TrainedRange]:
        found = self._parts[index].ranges
        spans = self._subject.ranges
        return {
            node: TrainedRange(spans[name], DEVICE, scales.get(name))
            for node, name in found.items()
        }

    def _layers(
        self, index: int, model: Model, steps: Mapping[str, float]
    ) -> dict[str, TrainedLayer]:
        nodes = {node.name: node for node in model.nodes}
        weights = self._subject.plan.weights
        return {
            name: TrainedLayer(
                model,
                nodes[name],
                replace(weights[name], tensor=nodes[name].input[1]),
                steps.get(name, 0.0),
                DEVICE,
            )
            for name in self.cut[index].layers
        }
