"""Inspect: what a model is made of, what can be quantized, and what would go wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

from edgeq.calibration.inputs import choose
from edgeq.graph.layers import layers
from edgeq.graph.load import load
from edgeq.graph.mixing import Mixing
from edgeq.graph.model import Model
from edgeq.graph.tail import find_tail
from edgeq.progress import Progress, silent
from edgeq.quantization.coverage import coverage
from edgeq.quantization.decide import explain, resolve_choices
from edgeq.records.inspection import InspectedLayer, Inspection, RangeMixing, StaysFloat
from edgeq.runtimes import runtime
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.image_list import image_files
from edgeq.spec.images import images_of
from edgeq.spec.quantize import Quantize
from edgeq.spec.recipe import Preprocess
from edgeq.spec.target import Target
from edgeq.stages.outputs import load_model
from edgeq.stages.plan import MIXING_IMAGES, measured_mixing
from edgeq.stages.prepare import image_size

NOISE_IMAGES = 4


def inspect(
    source: str | Path,
    target: str | Target = "local",
    size: tuple[int, int] | None = None,
    progress: Progress = silent,
) -> Inspection:
    """Inspect a recipe (`.yaml`) or a bare model (`.onnx`); nothing is written or quantized.

    `size` (height, width) is for a bare model with dynamic shapes. Raises InputError(s).
    """
    path = Path(source)
    kind = target if isinstance(target, Target) else targets.load(target)
    if path.suffix in (".yaml", ".yml"):
        recipe = recipes.load(path)
        model = load_model(recipe)
        image_size(model)
        calibration = recipe.calibration
        named = image_files(calibration.images, str(path), calibration.recursive)
        files = choose(named, calibration.count)
        looked_at = images_of(files[:MIXING_IMAGES])
        found = measured_mixing(model, looked_at, recipe.preprocess, progress)
        measured_on = f"{len(looked_at)} calibration images"
        return _inspection(model, kind, recipe.quantize, found, measured_on)
    model = load(path, size)
    found = _mixing_on_noise(model, progress)
    return _inspection(model, kind, Quantize(), found, "noise, for want of a recipe with images")


def _inspection(
    model: Model, target: Target, quantize: Quantize, found: tuple[Mixing, ...], measured_on: str
) -> Inspection:
    tail = find_tail(model)
    # Which integers a device computes with does not change which nodes can.
    stated = target.model_copy(
        update={"activation_type": "int8", "engine_version": target.engine_version or "10.3"}
    )
    placement, _ = runtime(target.runtime).placement(stated, None)
    decisions = explain(model, tail, resolve_choices(model, quantize), placement)
    counted = layers(model)
    covered = coverage(model, decisions)
    reasons: dict[str, dict[str, int]] = {}
    for decision in decisions.values():
        if not decision.quantized:
            types = reasons.setdefault(decision.reason, {})
            types[decision.op_type] = types.get(decision.op_type, 0) + 1
    return Inspection(
        model=str(model.path),
        inputs=model.inputs,
        outputs=model.outputs,
        opset=model.opset,
        nodes=len(model.nodes),
        tail_nodes=len(tail.nodes),
        parameters=sum(layer.parameters for layer in counted),
        macs=covered.macs,
        unknown_layers=covered.unknown,
        layers=tuple(
            InspectedLayer(
                name=layer.name,
                op_type=layer.op_type,
                input_shape=layer.input_shape,
                output_shape=layer.output_shape,
                parameters=layer.parameters,
                macs=layer.macs,
                intensity=None if layer.intensity is None else round(layer.intensity, 2),
                quantized=decisions[layer.name].quantized,
                reason=decisions[layer.name].reason,
            )
            for layer in counted
        ),
        stays_float=tuple(
            StaysFloat(reason=reason, op_types=dict(sorted(types.items())))
            for reason, types in sorted(reasons.items())
        ),
        range_mixing=tuple(
            RangeMixing(
                node=mix.node,
                narrow=mix.narrow,
                narrow_range=mix.narrow_range,
                wide=mix.wide,
                wide_range=mix.wide_range,
                levels=round(mix.levels, 3),
                in_tail=mix.node in tail.nodes,
                quantized=decisions[mix.node].quantized,
                text=str(mix),
            )
            for mix in found
        ),
        ranges_from=measured_on,
        notes=model.notes,
    )


def _mixing_on_noise(model: Model, progress: Progress) -> tuple[Mixing, ...]:
    """Boxes come out in pixels and scores below one whatever the picture shows."""
    height, width = image_size(model)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.png" for i in range(NOISE_IMAGES)]
        for file in files:
            coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
            cv2.imwrite(str(file), cv2.resize(coarse, (width, height)))
        preprocess = Preprocess(size=(height, width))
        return measured_mixing(model, images_of(files), preprocess, progress)
