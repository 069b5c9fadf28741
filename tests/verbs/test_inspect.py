"""Inspect says what is known, what is not, and promises nothing that would not be kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from rich.console import Console

from edgeq.records.inspection import Inspection
from edgeq.report.terminal.records import inspection_text
from edgeq.verbs.inspect import inspect

from ..graph.nets import branching_net
from ..nets import Net
from ..stages.projects import project
from ..stages.twostage import two_stages


def said(inspection: Inspection) -> str:
    console = Console(width=400)
    with console.capture() as captured:
        console.print(inspection_text(inspection))
    return captured.get()


def test_multiply_adds_of_open_shapes_are_unknown(tmp_path: Path) -> None:
    found = inspect(project(tmp_path, two_stages()), "jetson-orin")
    open_layers = [layer for layer in found.layers if layer.macs is None]
    assert [layer.name for layer in open_layers] == ["mask1", "mask2", "mask3", "box"]
    assert found.unknown_layers == 4
    assert "an UNKNOWN number in 4 layers" in said(found)
    assert not any("head: quantize" in group.reason for group in found.stays_float)


def test_layers_inside_control_flow_are_unknown(tmp_path: Path) -> None:
    proto = branching_net()
    inner = proto.graph.node[3].attribute[0].g
    inner.node[0].CopyFrom(onnx.helper.make_node("Conv", ["c", "k"], [inner.output[0].name]))
    weight = np.zeros((2, 2, 1, 1), np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "k"))
    onnx.save(proto, tmp_path / "if.onnx")
    found = inspect(tmp_path / "if.onnx", "arm-cpu-ort")
    assert (found.unknown_layers, len(found.layers)) == (1, 1)


def head(folder: Path) -> Path:
    """A head whose tail holds a Sigmoid, which could be int8, and an Exp, which could not."""
    net = Net(side=32)
    features = net.silu(net.conv("x", "stem", (16, 3, 3, 3)), "features")
    deep = net.silu(net.conv(features, "deep", (16, 16, 3, 3)), "deeper")
    boxes, scores = net.conv(deep, "boxes", (4, 16, 1, 1)), net.conv(deep, "scores", (2, 16, 1, 1))
    rows = []
    for name, count in ((boxes, 4), (scores, 2)):
        shape = net.constant(f"{name}.shape", np.array([1, count, -1], np.int64))
        rows.append(net.node("Reshape", [name, shape], f"{name}.rows"))
    pixels = net.node("Mul", [rows[0], net.constant("stride", np.array(320, np.float32))], "pixels")
    sharp = net.node("Exp", [rows[1]], "sharp")
    net.node("Concat", [pixels, net.node("Sigmoid", [sharp], "p")], "out", axis=1)
    onnx.save(net.proto(["out"]), folder / "head.onnx")
    return folder / "head.onnx"


def test_another_head_is_promised_only_where_it_would_do_something(tmp_path: Path) -> None:
    found = inspect(head(tmp_path), "arm-cpu-ort")
    by_type = {op_type: group.reason for group in found.stays_float for op_type in group.op_types}
    assert by_type["Sigmoid"] == "behind the head's reshape; 'head: quantize' would include it"
    assert by_type["Exp"] == (
        "behind the head's reshape, and onnxruntime has no int8 form of Exp that it fuses"
    )


@pytest.mark.parametrize(
    ("quantize", "place"),
    [
        ("{}", "in the head's tail, which stays float"),
        ("{head: quantize}", "QUANTIZED in the head's tail"),
        ("{head: quantize, exclude: [out]}", "in the head's tail, which stays float"),
    ],
)
def test_range_mixing_says_where_it_does_harm(quantize: str, place: str, tmp_path: Path) -> None:
    model = onnx.load(head(tmp_path))
    found = inspect(project(tmp_path, model, quantize=quantize), "arm-cpu-ort")
    assert f"; {place}" in said(found)


def mixed_inside(folder: Path, dead_end: bool) -> Path:
    """Very different ranges in one Concat, before the last layer or before a float Softmax."""
    net = Net(side=16)
    x = net.conv("x", "stem", (8, 3, 3, 3))
    large = net.node("Exp", [net.node("Exp", [x], "e")], "large") if dead_end else x
    wide = net.node("Mul", [large, net.constant("k", np.array(1e4, np.float32))], "wide")
    both = net.node("Concat", [wide, net.node("Sigmoid", [x], "narrow")], "both", axis=1)
    end = net.node("Softmax", [both], "soft", axis=1) if dead_end else both
    net.conv(end, "last", (4, 16, 3, 3))
    onnx.save(net.proto(["last"]), folder / "inside.onnx")
    return folder / "inside.onnx"


@pytest.mark.parametrize("dead_end", [False, True])
def test_inside_the_network_is_said_of_what_is_int8_alone(dead_end: bool, tmp_path: Path) -> None:
    text = said(inspect(mixed_inside(tmp_path, dead_end), "arm-cpu-ort"))
    assert ("INSIDE THE NETWORK" in text) == (not dead_end)
    assert ("it stays float" in text) == dead_end
