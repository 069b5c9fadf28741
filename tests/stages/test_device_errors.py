"""The error behind each layer on the device, beside a session of one's own over the same model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from edgeq.agent.runtimes import litert as agent
from edgeq.calibration.inputs import evenly, placed
from edgeq.quantization.plan import Plan
from edgeq.records.evidence import LayerSeen
from edgeq.runtimes import runtime
from edgeq.stages import device_errors as stage
from edgeq.stages import evidence
from edgeq.stages.build import build
from edgeq.stages.check import check
from edgeq.stages.device_errors import device_errors, layer_tensors
from edgeq.stages.layer_errors import LOOKED_AT
from edgeq.stages.prepare import Prepared
from edgeq.store import open_store
from tests.nets import Net
from tests.runtimes.builds import plan_of


def exact(prepared: Prepared, tensors: list[str], fed: Any) -> dict[str, Any]:
    """Tensors of the float model."""
    proto = onnx.load_from_string(prepared.model.proto.SerializeToString())
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    session = ort.InferenceSession(proto.SerializeToString())
    found = session.run(tensors, {session.get_inputs()[0].name: fed})
    return dict(zip(tensors, found, strict=True))


def fused(content: bytes, plan: Plan, tensors: list[str], fed: Any) -> dict[str, Any]:
    """Tensors of the written model as the optimized engine has them, from its integers."""
    proto = onnx.load_from_string(content)
    makers = {node.name: node.output[0] for node in proto.graph.node}
    integers = [makers[f"{name}/QuantizeLinear"] for name in tensors]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in integers)
    options = ort.SessionOptions()
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = ort.InferenceSession(proto.SerializeToString(), options)
    found = session.run(integers, {session.get_inputs()[0].name: fed})
    return {
        name: (one.astype(np.float64) - plan.tensors[name].zero_point) * plan.tensors[name].scale
        for name, one in zip(tensors, found, strict=True)
    }


def decibels(pairs: list[tuple[Any, Any]]) -> float:
    power = sum(float((one.astype(np.float64) ** 2).sum()) for one, _ in pairs)
    return 10 * math.log10(power / sum(float(((one - other) ** 2).sum()) for one, other in pairs))


def test_a_deploy_keeps_what_the_engine_itself_computes(before: str, small_demo: Path) -> None:
    [report] = open_store().reports()
    kept = evidence.kept(report.id)
    assert kept is not None
    checked = check(small_demo / "recipe.yaml", "local")
    with checked.device:
        built = build(checked.prepared)
    assert built.artifact.id == before
    tensors = layer_tensors(checked.prepared.model, built.plan)

    known = {one.node: one for one in kept.layers if one.device_db is not None}

    assert kept.device_errors == "over 2 calibration images"
    assert list(known) == list(tensors)
    chosen = list(tensors.items())[:: len(tensors) // 6]
    names = [tensor for _, tensor in chosen]
    content = built.artifact.path("model.onnx").read_bytes()
    runs = []
    for image in evenly(checked.prepared.calibration, LOOKED_AT):
        fed, _ = placed(image, checked.prepared.recipe.preprocess)
        runs.append((exact(checked.prepared, names, fed), fused(content, built.plan, names, fed)))
    for node, name in chosen:
        wanted = decibels([(one[name], other[name]) for one, other in runs])
        assert known[node].device_db == pytest.approx(wanted, abs=0.05)
        assert near(known[node])


def near(layer: LayerSeen) -> bool:
    """Fused arithmetic rounds elsewhere than the simulation, and that is all."""
    assert layer.arrived_db is not None
    assert layer.device_db is not None
    return abs(layer.arrived_db - layer.device_db) < 3


@pytest.mark.usefixtures("before")
def test_no_more_is_sent_than_a_link_bears(
    small_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = check(small_demo / "recipe.yaml", "local")
    with checked.device:
        built = build(checked.prepared)
        model, tensors = checked.prepared.model, layer_tensors(checked.prepared.model, built.plan)
        sizes = {node: math.prod(model.shapes[name]) for node, name in tensors.items()}
        monkeypatch.setattr(stage, "MOST_BYTES", sum(sizes.values()))
        of_one = device_errors(checked, built)
        monkeypatch.setattr(stage, "MOST_BYTES", sum(sizes.values()) // 3)
        of_few = device_errors(checked, built)

    assert of_one.said == "over 1 calibration image"
    assert list(of_one.arrived_db) == list(tensors)
    few = len(of_few.arrived_db)
    assert of_few.said == (
        f"over 1 calibration image and {few} of {len(tensors)} layers, "
        "as all would be too much to send"
    )
    assert 1 < few < len(tensors)
    assert sum(sizes[node] for node in of_few.arrived_db) <= sum(sizes.values()) // 3
    for node, ratio in of_few.arrived_db.items():
        assert ratio == pytest.approx(of_one.arrived_db[node], abs=0.01)


@pytest.mark.usefixtures("before")
def test_a_device_that_fails_at_it_is_the_reason(
    small_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(runtime("onnxruntime"))
    tap = kind.tap
    monkeypatch.setattr(kind, "tap", lambda *of: replace(tap(*of), content=b"no model"))
    checked = check(small_demo / "recipe.yaml", "local")
    with checked.device:
        found = device_errors(checked, build(checked.prepared))
    assert found.said.startswith("not measured: ") and not found.arrived_db
    assert checked.device.address in found.said


def test_tensorrt_says_what_it_would_need(small_demo: Path) -> None:
    checked = check(small_demo / "recipe.yaml", "local")
    with checked.device:
        built = build(checked.prepared)
    found = runtime("tensorrt").tap(checked.prepared.model, built.plan, b"", ["any"])
    assert not found.taps and "debug listener" in found.why_none


def test_behind_a_relu_that_the_kernel_takes_in_is_its_output(tmp_path: Path) -> None:
    net = Net(4, 8)
    inner = net.node("Relu", [net.conv("x", "one", (4, 4, 3, 3))], "relu")
    both = net.node("Add", [net.conv(inner, "two", (4, 4, 3, 3)), inner], "sum")
    net.conv(both, "three", (4, 4, 1, 1))
    model = net.model(tmp_path, ["three"])
    assert layer_tensors(model, plan_of(model)) == {"one": "relu", "two": "two"}


def test_litert_hands_out_what_its_delegate_computes(
    small_demo: Path, before: str, tmp_path: Path
) -> None:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    checked = check(small_demo / "recipe.yaml", "local:litert")
    prepared = checked.prepared
    with checked.device:
        built = build(prepared)
        found = device_errors(checked, built)
    tensors = layer_tensors(prepared.model, built.plan)
    content = built.artifact.path("model.tflite").read_bytes()
    tapped = runtime("litert").tap(prepared.model, built.plan, content, list(tensors.values()))

    assert found.said == "over 2 calibration images"
    assert list(found.arrived_db) == list(tensors)
    # XNNPACK takes what it took: nothing falls apart for being handed out.
    facts = []
    for name, one in (("plain", content), ("tapped", tapped.content)):
        (tmp_path / name).write_bytes(one)
        facts.append(agent.load(tmp_path / name, 1, "all").facts())
    assert facts[0] == facts[1]
    # The reference kernels keep every tensor, and round a little otherwise.
    kernels = interpreter.OpResolverType.BUILTIN_REF
    reference = interpreter.Interpreter(
        model_content=content,
        experimental_op_resolver_type=kernels,
        experimental_preserve_all_tensors=True,
    )
    reference.allocate_tensors()
    places = {one["name"]: one for one in reference.get_tensor_details()}
    node, name = next(iter(tensors.items()))
    pairs = []
    for image in evenly(prepared.calibration, LOOKED_AT):
        fed, _ = placed(image, prepared.recipe.preprocess)
        reference.set_tensor(
            reference.get_input_details()[0]["index"], fed.transpose(0, 2, 3, 1).copy()
        )
        reference.invoke()
        scale, zero_point = places[name]["quantization"]
        there = reference.get_tensor(places[name]["index"]).astype(np.float64)
        pairs.append(
            (
                exact(prepared, [name], fed)[name],
                (there.transpose(0, 3, 1, 2) - zero_point) * scale,
            )
        )
    assert found.arrived_db[node] == pytest.approx(decibels(pairs), abs=1.5)
