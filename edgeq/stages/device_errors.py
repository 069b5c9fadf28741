"""How much error has come together behind each layer on the device itself, against float."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.calibration.inputs import evenly, placed
from edgeq.device.session.parsing import garbled
from edgeq.errors import EdgeqError
from edgeq.graph.computation import Computation
from edgeq.graph.layers import HEAVY
from edgeq.graph.merging import Merged
from edgeq.graph.model import Model
from edgeq.progress import Progress, silent
from edgeq.quantization import arithmetic
from edgeq.quantization.plan import Plan
from edgeq.runtimes import runtime
from edgeq.runtimes.base import LayerTap, Tapped
from edgeq.spec.images import Image
from edgeq.stages.bench import threads
from edgeq.stages.build import Build
from edgeq.stages.check import Checked
from edgeq.stages.layer_errors import LOOKED_AT, LayerErrors, decibels, over, unmeasured
from edgeq.stages.one_file import of_one_file
from edgeq.stages.predict import Manner, answered
from edgeq.stages.prepare import Prepared, cores

MOST_BYTES = 64 << 20
"""Of tensors that are taken from a device; one image and fewer layers where they would be more."""


def device_errors(checked: Checked, built: Build, progress: Progress = silent) -> LayerErrors:
    """As `layer_errors`, of what the device's own engine computes, with all that it fuses.

    A device that fails at it is a reason why there are none: what was deployed stands.
    """
    if checked.evaluation is None:
        return unmeasured("the recipe evaluates nothing")
    if checked.prepared.recipe.repair.equalize:
        return unmeasured("equalization scales the model's tensors: they are not those of float")
    try:
        return _asked(checked, built, progress)
    except EdgeqError as exc:
        return unmeasured(str(exc))


def layer_tensors(model: Model, plan: Plan) -> dict[str, str]:
    """By layer with weights the quantized tensor behind it, in the model's order.

    That of the activation where the layer's kernel takes it in; outputs of the model are left out.
    """
    found = {}
    for node in model.nodes:
        tensor = _behind(model, plan, node) if node.op_type in HEAVY else None
        if tensor is not None and tensor not in model.outputs and all(model.shapes.get(tensor, ())):
            found[node.name] = tensor
    return found


def _behind(model: Model, plan: Plan, node: onnx.NodeProto) -> str | None:
    made: str = node.output[0]
    if made in plan.tensors:
        return made
    readers = model.consumers.get(made, [])
    decision = plan.decisions.get(readers[0].name) if len(readers) == 1 else None
    if decision is not None and decision.quantized:
        made = readers[0].output[0]
        return made if made in plan.tensors else None
    return None


def _asked(checked: Checked, built: Build, progress: Progress) -> LayerErrors:
    prepared = checked.prepared
    by_layer = layer_tensors(prepared.model, built.plan)
    tapped = _tapped(prepared, built, list(by_layer.values()))
    if not tapped.taps:
        return unmeasured(tapped.why_none or "no layer's output is an integer of its own")
    sizes = {tap.tensor: _bytes(prepared.model, tap, tapped.value_bytes) for tap in tapped.taps}
    count = LOOKED_AT if LOOKED_AT * sum(sizes.values()) <= MOST_BYTES else 1
    if sum(sizes.values()) > MOST_BYTES:
        wanted = len(sizes) * MOST_BYTES // sum(sizes.values())
        tapped = _tapped(prepared, built, _fitting(sizes, wanted))
    images = dict(enumerate(evenly(prepared.calibration, count), 1))
    outputs = _outputs(checked, built, tapped, images, progress)
    ratios = _ratios(checked, built.plan, tapped.taps, images, outputs)
    found = {layer: ratios[tensor] for layer, tensor in by_layer.items() if tensor in ratios}
    seen = over(len(images))
    if len(tapped.taps) < len(sizes):
        seen += f" and {len(tapped.taps)} of {len(sizes)} layers, as all would be too much to send"
    return LayerErrors(seen, found)


def _tapped(prepared: Prepared, built: Build, tensors: Sequence[str]) -> Tapped:
    engine = runtime(prepared.target.runtime)
    content = built.artifact.path(built.artifact.manifest.runtime.model).read_bytes()
    return engine.tap(prepared.model, built.plan, content, list(dict.fromkeys(tensors)))


def _bytes(model: Model, tap: LayerTap, value_bytes: int) -> int:
    return math.prod(model.shapes[tap.tensor]) * value_bytes


def _fitting(sizes: Mapping[str, int], wanted: int) -> list[str]:
    """Tensors spread along the network that are together not too much."""
    while wanted > 1 and sum(sizes[name] for name in evenly(list(sizes), wanted)) > MOST_BYTES:
        wanted -= 1
    return evenly(list(sizes), wanted)


def _outputs(
    checked: Checked,
    built: Build,
    tapped: Tapped,
    images: Mapping[int, Image],
    progress: Progress,
) -> dict[str, NDArray[Any]]:
    prepared, device = checked.prepared, checked.device
    entry = built.artifact.manifest.runtime
    layout = runtime(prepared.target.runtime).written.layout
    artifact = of_one_file(prepared, tapped.content, entry, layout)
    count = threads(prepared.recipe.measure, prepared.target, checked.probe)
    only_kept = tuple(tap.output for tap in tapped.taps)
    manner = Manner(count, keep_count=len(images), is_known=False, only_kept=only_kept)
    return answered(device, artifact, images, manner, progress, "layers on the device").outputs()


def _ratios(
    checked: Checked,
    plan: Plan,
    taps: Sequence[LayerTap],
    images: Mapping[int, Image],
    outputs: Mapping[str, NDArray[Any]],
) -> dict[str, float]:
    """Signal to error in dB by tensor."""
    names = [tap.tensor for tap in taps]
    graph = Computation(Merged(checked.prepared.model), names, cores())
    powers, errors = np.zeros(len(taps)), np.zeros(len(taps))
    for id_, image in images.items():
        tensor, _ = placed(image, checked.prepared.recipe.preprocess)
        for at, (tap, exact) in enumerate(zip(taps, graph.run(tensor), strict=True)):
            given = outputs.get(f"{id_}/{tap.output}")
            if given is None or given.shape != tuple(exact.shape[axis] for axis in tap.layout):
                what = f"output '{tap.output}' is not of the model's shape"
                raise garbled(checked.device.address, what)
            # Stored axis i is ONNX's axis layout[i].
            reference = exact.transpose(tap.layout).astype(np.float64)
            powers[at] += np.square(reference).sum()
            errors[at] += np.square(_floats(plan, tap, given) - reference).sum()
    return decibels(names, powers, errors)


def _floats(plan: Plan, tap: LayerTap, given: NDArray[Any]) -> NDArray[Any]:
    """What the integers mean; an engine may have handed out floats already."""
    if given.dtype.kind == "f":
        return given
    return arithmetic.dequantize(given, plan.tensors[tap.tensor])
