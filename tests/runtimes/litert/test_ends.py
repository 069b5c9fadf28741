"""What is fed and what comes out: types, layouts and names at both ends of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import check
from edgeq.runtimes import runtime
from edgeq.runtimes.litert.writer import write_tflite
from edgeq.spec import target as targets
from edgeq.spec.quantize import Quantize
from tests.nets import Net
from tests.runtimes import builds

from .engines import interpreter

TARGET = targets.load("arm-cpu-tflite")


def headed(folder: Path) -> Model:
    """A feature map that comes out as it is, and one that is reshaped into a table."""
    net = Net()
    a = net.silu(net.conv("x", "one", (8, 3, 3, 3)), "act")
    net.conv(a, "maps", (4, 8, 1, 1))
    table = net.constant("shape", np.array([1, 6, 64]))
    net.node("Sigmoid", [net.node("Reshape", [net.conv(a, "b", (6, 8, 1, 1)), table], "r")], "y")
    return net.model(folder, ["y", "maps"])


def planned(model: Model, io: str) -> Plan:
    rules, _ = runtime("litert").placement(TARGET, None)
    inputs = builds.inputs_of(model, 4)
    return builds.plan_of(model, Quantize.model_validate({"io": io}), inputs, rules)


def test_image_is_fed_channels_last_and_outputs_are_as_in_onnx(tmp_path: Path) -> None:
    model = headed(tmp_path)
    engine = interpreter(write_tflite(model, planned(model, "float32")).content)

    [fed] = engine.get_input_details()
    assert (fed["name"], fed["dtype"], list(fed["shape"])) == ("x", np.float32, [1, 8, 8, 3])
    out = {d["name"]: (d["dtype"], tuple(d["shape"])) for d in engine.get_output_details()}
    assert out == {"y": (np.float32, (1, 6, 64)), "maps": (np.float32, (1, 4, 8, 8))}
    assert list(out) == list(model.outputs)
    signature = engine.get_signature_list()["serving_default"]
    assert signature == {"inputs": ["x"], "outputs": sorted(model.outputs)}


def test_int8_ends_have_the_plans_scales_and_the_tail_stays_float(tmp_path: Path) -> None:
    model = headed(tmp_path)
    plans = [planned(model, io) for io in ("float32", "int8")]
    engines = [interpreter(write_tflite(model, plan).content) for plan in plans]
    x = builds.inputs_of(model, 1, 3)[0].transpose(0, 2, 3, 1)
    [fed] = engines[1].get_input_details()
    scale = plans[1].tensors["x"]
    assert fed["dtype"] == np.int8
    assert fed["quantization"] == (pytest.approx(scale.scale), scale.zero_point)
    integers = np.clip(np.rint(x / scale.scale) + scale.zero_point, -128, 127).astype(np.int8)

    found = []
    for engine, tensor in zip(engines, (x, integers), strict=True):
        engine.set_tensor(engine.get_input_details()[0]["index"], np.ascontiguousarray(tensor))
        engine.invoke()
        found.append({d["name"]: d for d in engine.get_output_details()})

    maps = found[1]["maps"]
    assert maps["dtype"] == np.int8 and found[1]["y"]["dtype"] == np.float32
    step, zero = maps["quantization"]
    values = (engines[1].get_tensor(maps["index"]).astype(np.float32) - zero) * step
    assert np.array_equal(values, engines[0].get_tensor(found[0]["maps"]["index"]))
    tables = [e.get_tensor(d["y"]["index"]) for e, d in zip(engines, found, strict=True)]
    assert np.array_equal(*tables)


def test_other_ends_are_refused_with_what_there_is() -> None:
    rules, _ = runtime("litert").placement(TARGET, None)
    with pytest.raises(InputError, match=r"quantize\.io: litert has .* float32 or int8 here"):
        check(Quantize(io="float16"), rules)
    rules, _ = runtime("onnxruntime").placement(targets.load("arm-cpu-ort"), None)
    with pytest.raises(InputError, match=r"quantize\.io: onnxruntime gets a graph in float32"):
        check(Quantize(io="int8"), rules)


def test_target_with_unsigned_activations_is_refused() -> None:
    target = TARGET.model_copy(update={"activation_type": "uint8"})
    with pytest.raises(InputError, match="LiteRT computes with int8 activations"):
        runtime("litert").placement(target, None)
