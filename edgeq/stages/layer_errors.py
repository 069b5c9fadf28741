"""How much error has come together behind each layer of the simulation, against float."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeq import cache
from edgeq.calibration.inputs import evenly, placed
from edgeq.graph.computation import Computation
from edgeq.graph.layers import HEAVY
from edgeq.graph.merging import Merged
from edgeq.runtimes.qdq import qdq_nodes
from edgeq.stages.build import Build
from edgeq.stages.prepare import Prepared, cores

CACHE = cache.Cache("statistics")
LOOKED_AT = 2
"""Calibration images: an error of a layer is one of a hundred thousand values in each."""


@dataclass(frozen=True)
class LayerErrors:
    """Signal to error in dB by layer; over what it was measured, or why it was not."""

    said: str
    arrived_db: Mapping[str, float] = field(default_factory=dict)


def unmeasured(why: str) -> LayerErrors:
    """That nothing was measured, and why."""
    return LayerErrors(f"not measured: {why}")


def over(images: int) -> str:
    """Over how many calibration images it was measured."""
    return f"over {images} calibration image{'' if images == 1 else 's'}"


def layer_errors(prepared: Prepared, built: Build) -> LayerErrors:
    """Signal to error in dB of the output of each layer with weights, by its name.

    It is the layer's own error and that of all before it; layers without any are left out. Raises
    InputError for an image that cannot be read.
    """
    if prepared.recipe.repair.is_wanted:
        return unmeasured("the recipe repairs the model, and float's own layers have no error")
    images = evenly(prepared.calibration, LOOKED_AT)
    key = cache.key({"errors of": built.artifact.id, "images": [image.key for image in images]})
    known = CACHE.read(key)
    if known is not None:
        return LayerErrors(over(len(images)), json.loads(known))
    merged = Merged(prepared.model)
    names = merged.add(*qdq_nodes(prepared.model, built.plan))
    outputs = {
        node.name: node.output[0]
        for node in prepared.model.nodes
        if node.op_type in HEAVY and node.output[0] in names
    }
    powers = []
    for tensor in outputs.values():
        error = merged.compute("Sub", [tensor, names[tensor]])
        powers += [_power(merged, tensor), _power(merged, error)]
    graph = Computation(merged, powers, cores())
    sums = np.zeros(len(powers))
    for image in images:
        tensor, _ = placed(image, prepared.recipe.preprocess)
        sums += np.array([float(one) for one in graph.run(tensor)])
    found = decibels(list(outputs), sums[0::2], sums[1::2])
    CACHE.write(key, json.dumps(found).encode())
    return LayerErrors(over(len(images)), found)


def _power(merged: Merged, tensor: str) -> str:
    return merged.compute("ReduceSumSquare", [tensor], keepdims=0)


def decibels(
    names: Sequence[str], signal: NDArray[np.float64], error: NDArray[np.float64]
) -> dict[str, float]:
    """Signal to error by names, without those that have no finite ratio."""
    return {
        name: 10 * math.log10(power / noise)
        for name, power, noise in zip(names, signal.tolist(), error.tolist(), strict=True)
        if 0 < noise < math.inf and 0 < power < math.inf
    }
