"""The error that has come together behind each layer, beside a way of one's own to it."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edgeq.calibration.inputs import evenly, placed
from edgeq.stages.build import build
from edgeq.stages.check import check_inputs
from edgeq.stages.layer_errors import LOOKED_AT, layer_errors

TARGET = "arm-cpu-ort"
"""One that states its integers, so that no device has to be asked."""


def values(content: bytes, tensors: list[str], fed: Any) -> dict[str, Any]:
    """Tensors of a model, computed as it is written."""
    proto = onnx.load_from_string(content)
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(proto.SerializeToString(), options)
    found = session.run(tensors, {session.get_inputs()[0].name: fed})
    return dict(zip(tensors, found, strict=True))


@pytest.mark.usefixtures("spared")
def test_errors_are_those_of_the_written_model_tensor_by_tensor(small_demo: Path) -> None:
    prepared = check_inputs(small_demo / "recipe.yaml", TARGET).prepared
    built = build(prepared)

    found = layer_errors(prepared, built).arrived_db

    layers = [node for node in prepared.model.nodes if node.op_type in ("Conv", "ConvTranspose")]
    assert list(found) == [node.name for node in layers]
    chosen = [layers[0], layers[len(layers) // 2], layers[-1]]
    tensors = [node.output[0] for node in chosen]
    written = built.artifact.path(built.artifact.manifest.runtime.model).read_bytes()
    power, error = dict.fromkeys(tensors, 0.0), dict.fromkeys(tensors, 0.0)
    for image in evenly(prepared.calibration, LOOKED_AT):
        fed, _ = placed(image, prepared.recipe.preprocess)
        exact = values(prepared.model.proto.SerializeToString(), tensors, fed)
        simulated = values(written, tensors, fed)
        for name in tensors:
            reference = exact[name].astype(np.float64)
            power[name] += float((reference**2).sum())
            error[name] += float(((simulated[name] - reference) ** 2).sum())
    for node, name in zip(chosen, tensors, strict=True):
        # The order of additions flips roundings of what comes late.
        wanted = 10 * math.log10(power[name] / error[name])
        assert found[node.name] == pytest.approx(wanted, abs=0.5)


@pytest.mark.usefixtures("spared")
def test_errors_come_together_and_are_known_the_second_time(small_demo: Path) -> None:
    prepared = check_inputs(small_demo / "recipe.yaml", TARGET).prepared
    built = build(prepared)

    found = list(layer_errors(prepared, built).arrived_db.values())

    assert found[0] > median(found[len(found) // 2 :]) + 6
    assert list(layer_errors(prepared, built).arrived_db.values()) == found


def test_a_repaired_model_has_no_such_errors(small_demo: Path, tmp_path: Path) -> None:
    shutil.copytree(small_demo, tmp_path / "demo")
    recipe = tmp_path / "demo" / "recipe.yaml"
    recipe.write_text(recipe.read_text() + "\nrepair: {equalize: true}\n")
    prepared = check_inputs(recipe, TARGET).prepared

    found = layer_errors(prepared, build(prepared))
    assert not found.arrived_db and "repairs the model" in found.said
