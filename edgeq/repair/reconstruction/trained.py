"""A model with the weights and biases that reconstruction finds for a plan."""

from __future__ import annotations

import numpy as np
import onnx

from edgeq.errors import require
from edgeq.graph.model import Model
from edgeq.progress import Progress
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import with_constants
from edgeq.repair.model import Images, key_of
from edgeq.repair.reconstruction.crops import crops, whole
from edgeq.repair.reconstruction.network import Network
from edgeq.repair.reconstruction.reconstruct import Floats, Subject, reconstruct
from edgeq.repair.reconstruction.segments import segments
from edgeq.repair.refinement import Simulation
from edgeq.repair.repaired import Repaired
from edgeq.spec.repair import Reconstruct, Repair

torch = require("torch", "train")

WHOLE_IMAGES = 32
"""As many are looked at by a network that takes nothing smaller"""


def trained(
    model: Model,
    plan: Plan,
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
    options = repair.reconstruct
    assert options is not None
    key = key_of(model, plan, repair, images.files, images.preprocess)
    subject = _subject(model, plan, options, repair.seed, images)
    found = reconstruct(subject, options, repair.seed, key, simulation, threads, progress)
    count = len({name for name, _ in found.constants})
    gain = float(np.median(found.gains)) if found.gains else 1.0
    kind = "whole images" if subject.rigid else "crops"
    note = (
        f"reconstruction trained {count} layers in {len(found.gains)} blocks on "
        f"{len(subject.images)} {kind}: a block's squared error is {gain:.0%} of what it was "
        "(median)"
    )
    return Repaired(with_constants(model, found.constants, f"reconstructed {key}"), (note,))


def _subject(model: Model, plan: Plan, options: Reconstruct, seed: int, images: Images) -> Subject:
    made = crops(images.files, images.preprocess, options.crops, seed)
    if _takes(model, plan, made[:2]):
        return Subject(model, plan, made, rigid=False)
    count = min(options.crops, WHOLE_IMAGES)
    shape = next(iter(model.inputs.values()))
    made = whole(images.files, images.preprocess, count)
    return Subject(model, plan, made.reshape(-1, *shape), rigid=True)


def _takes(model: Model, plan: Plan, images: Floats) -> bool:
    """Whether all that is trained computes with images of another size, several at a time.

    Shapes that an exporter wrote into the graph, as for attention, allow neither.
    """
    network, [name] = Network(model.proto), list(model.inputs)
    if len(model.inputs[name]) != images.ndim:
        return False
    found = segments(model, plan.weights)
    names = {node for segment in found for node in segment.nodes}
    nodes: list[onnx.NodeProto] = [node for node in model.nodes if node.name in names]
    outputs = [output for segment in found for output in segment.outputs]
    try:
        with torch.no_grad():
            made = network.run(nodes, {name: torch.from_numpy(images)}, outputs)
    except (RuntimeError, IndexError):  # how PyTorch says that shapes do not go together
        return False
    return all(
        value.dim() == len(model.shapes[output])
        and value.shape[0] == len(images)
        and value.shape[1:2] == model.shapes[output][1:2]
        for output, value in made.items()
    )
