"""A model with the weights, biases and ranges that reconstruction finds for a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edgeq import cache
from edgeq.errors import InputError, require
from edgeq.graph.model import Model, Shape
from edgeq.progress import Progress
from edgeq.quantization.learnable import Learnable
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import with_constants
from edgeq.repair.model import Images, key_of
from edgeq.repair.reconstruction.crops import crops, whole
from edgeq.repair.reconstruction.network import Network
from edgeq.repair.reconstruction.reconstruct import DEVICE, Floats, Subject, reconstruct
from edgeq.repair.reconstruction.segments import Segment, segments
from edgeq.repair.refinement import Simulation
from edgeq.repair.repaired import Repaired
from edgeq.spec.repair import Repair

torch = require("torch", "train")

FEWEST_WHOLE, WHOLE_IMAGES = 4, 32
"""As many are looked at by a network that takes nothing smaller, as memory allows"""
HELD_BYTES = 1 << 28
"""Of one tensor, over all images"""


@dataclass(frozen=True)
class Untrained:
    """What training begins with: a model under a plan, and by tensor the ranges to be learned."""

    model: Model
    plan: Plan
    ranges: Mapping[str, Learnable]


def trained(
    start: Untrained,
    repair: Repair,
    images: Images,
    simulation: Simulation,
    threads: int,
    progress: Progress,
) -> Repaired:
    """The model trained on these images, and in words what that did; its plan is `plan_for`.

    What was trained before is taken from the cache, segment by segment. Raises InputError for an
    operator that is not trained through, and for an image that cannot be read.
    """
    model, plan, ranges = start.model, start.plan, start.ranges
    options = repair.reconstruct
    assert options is not None
    known = key_of(model, plan, repair, images.files, images.preprocess)
    about: dict[str, Any] = {"torch": torch.__version__, "device": DEVICE, "threads": threads}
    about["ranges"] = {name: asdict(one) for name, one in ranges.items()}
    key = cache.key({"trained": known, **about})
    subject = replace(subject_of(model, plan, options.crops, repair.seed, images), ranges=ranges)
    found = reconstruct(subject, options, repair.seed, key, simulation, threads, progress)
    count = len({name for name, _ in found.constants})
    gain = float(np.median(found.gains)) if found.gains else 1.0
    kind = "whole images" if subject.rigid else "crops"
    scales = f" and {len(found.scales)} ranges" if ranges else ""
    note = (
        f"reconstruction trained {count} layers{scales} in {len(found.gains)} blocks on "
        f"{len(subject.images)} {kind}: a block's squared error is {gain:.0%} of what it was "
        "(median)"
    )
    made = with_constants(model, found.constants, f"reconstructed {key}")
    return Repaired(made, (note,), found.scales)


def subject_of(model: Model, plan: Plan, count: int, seed: int, images: Images) -> Subject:
    """A model to be trained, on as many crops of images, or on some whole ones if need be."""
    shape = next(iter(model.inputs.values()))
    found = segments(model, plan.weights)
    [few] = crops(images.files[:1], images.preprocess, 1, seed)
    if len(shape) == few.ndim + 1 and _takes(model, found, np.stack([few, few])):
        made = crops(images.files, images.preprocess, count, seed)
        return Subject(model, plan, made, rigid=False)
    outputs = [output for segment in found for output in segment.outputs]
    largest = max(4 * math.prod(model.shapes[output]) for output in outputs)
    count = min(count, WHOLE_IMAGES, max(FEWEST_WHOLE, HELD_BYTES // max(1, largest)))
    made = whole(images.files, images.preprocess, count)
    return Subject(model, plan, made.reshape(-1, *shape), rigid=True)


def _takes(model: Model, found: Sequence[Segment], images: Floats) -> bool:
    """Whether all that is trained computes with images of another size, several at a time.

    Shapes that an exporter wrote into the graph, as for attention, allow neither.
    """
    network, [name] = Network(model.proto), list(model.inputs)
    names = {node for segment in found for node in segment.nodes}
    nodes = [node for node in model.nodes if node.name in names]
    outputs = [output for segment in found for output in segment.outputs]
    try:
        with torch.no_grad():
            made = network.run(nodes, {name: torch.from_numpy(images)}, outputs)
    # How PyTorch and we say that shapes do not go together; what cannot be trained at all is told
    # when the whole image is.
    except (RuntimeError, IndexError, InputError):
        return False
    return all(
        _is_scaled(tuple(value.shape), model.shapes[output], images.shape, model.inputs[name])
        for output, value in made.items()
    )


def _is_scaled(found: Shape, whole: Shape, images: Shape, full: Shape) -> bool:
    """Whether a tensor of cut images is what it is of whole ones, but for the size of the cut."""
    if len(found) != len(whole) or found[0] != images[0] or found[1:2] != whole[1:2]:
        return False
    if len(found) != len(full):
        return found[2:] == whole[2:]
    return all(
        abs(side - other * cut / size) < 1
        for side, other, cut, size in zip(found[2:], whole[2:], images[2:], full[2:], strict=True)
    )
