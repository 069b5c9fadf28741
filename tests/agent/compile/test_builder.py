"""The builder against a real TensorRT, and what its parts say."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeq.agent.compile.progress_monitor import Phases
from edgeq.agent.compile.trtexec import parse_help
from edgeq.agent.runtimes.parts.inspector import parse_layers
from edgeq.agent.runtimes.parts.tensorrt_module import Messages


def run(pyz: Path, verb: str, **job: Any) -> Any:
    done = subprocess.run(
        [sys.executable, str(pyz), verb, "-"],
        input=json.dumps(job, default=str).encode(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def rtx() -> Dict[str, Any]:
    """Settings for TensorRT for RTX, which parses and builds without a GPU."""
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("the package tensorrt-rtx is missing")
    return {"module": "tensorrt_rtx", "typing": "strong", "reserve_bytes": 0}


def quantized_model() -> Any:
    """A Q/DQ convolution as edgeq writes it for TensorRT, and a SiLU."""
    weights = np.random.default_rng(0).integers(-127, 127, (16, 3, 3, 3)).astype(np.int8)
    constants: Dict[str, Any] = {
        "w": weights,
        "ws": np.full(16, 0.01, np.float32),
        "wz": np.zeros(16, np.int8),
        "s": np.array(0.02, np.float32),
        "z": np.array(0, np.int8),
        "b": np.zeros(16, np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "s", "z"], ["xq"], "q"),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"], "dq"),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "wdq", axis=0),
        helper.make_node("Conv", ["xd", "wd", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c"], ["g"], "sigmoid"),
        helper.make_node("Mul", ["c", "g"], ["out"], "mul"),
    ]
    graph = helper.make_graph(
        nodes,
        "quantized",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 16, 64, 64])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def test_a_real_engine_is_built_and_kept(
    agent_pyz: Path, release: Path, root: Path, rtx: Dict[str, Any]
) -> None:
    events = run(agent_pyz, "build", release=release, root=root, **rtx)
    assert events[-1]["event"] == "result", events[-1]
    assert events[-1]["built"] and events[-1]["fields"]["builder"] == "tensorrt_rtx"
    done = [event["done"] for event in events[:-1]]
    assert done == sorted(done) and done[-1] == 1000
    plan = Path(events[-1]["path"]).read_bytes()
    assert b"trt" in plan[:8] and len(plan) == events[-1]["engine_bytes"] > 10_000
    again = run(agent_pyz, "build", release=release, root=root, **rtx)[-1]
    assert not again["built"] and again["fingerprint"] == events[-1]["fingerprint"]


def test_a_real_parser_takes_a_quantized_graph(
    agent_pyz: Path, tmp_path: Path, rtx: Dict[str, Any]
) -> None:
    del rtx["reserve_bytes"]
    model, plan = tmp_path / "m.onnx", tmp_path / "p"
    onnx.save(quantized_model(), str(model))
    cache = tmp_path / "t"
    cache.write_bytes(b"not one of TensorRT's")
    answer = run(agent_pyz, "build-engine", model=model, plan=plan, timing_cache=cache, **rtx)[-1]
    assert answer["event"] == "result", answer
    assert answer["flags"] == ["STRONGLY_TYPED"] and plan.stat().st_size > 10_000


def test_a_real_parser_names_every_node_that_it_refuses(
    agent_pyz: Path, tmp_path: Path, rtx: Dict[str, Any]
) -> None:
    del rtx["reserve_bytes"]
    document = quantized_model()
    for number in (1, 2):
        node = helper.make_node("Unheard", ["out"], [f"o{number}"], f"strange{number}", domain="x")
        document.graph.node.append(node)
        info = helper.make_tensor_value_info(f"o{number}", TensorProto.FLOAT, [1, 16, 64, 64])
        document.graph.output.append(info)
    document.opset_import.append(helper.make_opsetid("x", 1))
    model = tmp_path / "m.onnx"
    onnx.save(document, str(model))
    paths = {"model": model, "plan": tmp_path / "p", "timing_cache": tmp_path / "t"}
    answer = run(agent_pyz, "build-engine", **paths, **rtx)[-1]
    assert answer["kind"] == "bad-artifact", answer
    for node_name in ("strange1", "strange2"):
        assert f"node '{node_name}' (Unheard): " in answer["message"]


def test_weak_typing_is_refused_by_a_real_module_without_flags(
    agent_pyz: Path, release: Path, root: Path, rtx: Dict[str, Any]
) -> None:
    answer = run(agent_pyz, "build", release=release, root=root, **{**rtx, "typing": "weak"})[-1]
    assert answer["kind"] == "engine" and "build with typing 'strong'" in answer["message"]


def test_nested_phases_are_one_share_that_never_goes_back() -> None:
    phases = Phases()
    seen = []
    phases.start("a", None, 2)
    phases.start("b", "a", 2)
    for phase, step in (("b", 0), ("b", 1), ("a", 0)):
        phases.step(phase, step)
        seen.append(phases.share)
    phases.finish("b")
    # A phase of a name that was used before, in the second half.
    phases.start("b", "a", 4)
    phases.step("b", 0)
    seen.append(phases.share)
    phases.step("nobody", 7)
    phases.step("a", 1)
    seen.append(phases.share)
    assert seen == [0.25, 0.5, 0.5, 0.625, 1.0]


@pytest.mark.parametrize(
    "text, layers",
    [
        ('{"Layers": ["a"], "Bindings": []}', ["a"]),
        ('[{"Name": "a"}]', [{"Name": "a"}]),
        ('{"Layers": 3}', []),
        ("no JSON", []),
    ],
)
def test_layers_are_read_from_what_there_is(text: str, layers: Any) -> None:
    assert parse_layers(text) == layers


def test_messages_keep_errors_and_the_last_node() -> None:
    messages = Messages()
    messages.add("VERBOSE", "Parsing node: /model.0/Conv [Conv]")
    for number in range(30):
        messages.add("ERROR", f"error {number}\n of many")
    messages.add("INFO", "nothing")
    assert messages.node == "/model.0/Conv"
    assert messages.last(2) == "error 28 of many | error 29 of many"
    assert len(messages.kept) == 20
    assert Messages().last() == "TensorRT gave no reason"


def test_help_of_trtexec_tells_version_and_options() -> None:
    text = """&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # trtexec --help
=== Build Options ===
  --maxBatch                  Set max batch size
  --fp16                      Enable fp16 precision, in addition to fp32
  --memPoolSize=poolspec      Specify the size constraints
                              Example: --memPoolSize=workspace:1024.5
"""
    found = parse_help("/x/trtexec", text)
    assert (found.path, found.version) == ("/x/trtexec", "8502")
    assert found.options == {"--maxBatch", "--fp16", "--memPoolSize"}
    assert parse_help("t", "nothing").version is None
