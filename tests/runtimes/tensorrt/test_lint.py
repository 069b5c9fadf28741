"""The lint on graphs that were spoilt one way each, and on what the writer makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgeq.runtimes.complaint import Complaint
from edgeq.runtimes.tensorrt import RUNTIME
from edgeq.runtimes.tensorrt.lint import lint
from edgeq.spec.quantize import Quantize
from tests.nets import Net

from ..builds import plan_of
from .test_tensorrt import VERSIONS, blocks, rules
from .trt import accepts

Spoil = Callable[[onnx.ModelProto], None]


@pytest.fixture
def good(tmp_path: Path) -> onnx.ModelProto:
    """Two layers with an activation between them, and a Concat of one scale."""
    net = Net(channels=16)
    a = net.node("Relu", [net.conv("x", "one", (16, 16, 3, 3))], "r")
    b = net.node("Relu", [net.conv(a, "two", (16, 16, 1, 1))], "s")
    net.conv(net.node("Concat", [a, b], "both", axis=1), "three", (16, 32, 1, 1))
    model = net.model(tmp_path, ["three"])
    plan = plan_of(model, Quantize(), rules=rules())
    return onnx.load_from_string(RUNTIME.write(model, plan)["model.onnx"])


def node(proto: onnx.ModelProto, name: str) -> onnx.NodeProto:
    made: list[onnx.NodeProto] = list(proto.graph.node)
    return next(found for found in made if found.name == name)


def constant(proto: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    tensor = next(t for t in proto.graph.initializer if t.name == name)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value), name))


def scale_of_zero(proto: onnx.ModelProto) -> None:
    constant(proto, "r/scale", np.array(0, np.float32))


def zero_point(proto: onnx.ModelProto) -> None:
    constant(proto, "r/zero_point", np.array(3, np.int8))


def sixteen_bits(proto: onnx.ModelProto) -> None:
    proto.opset_import[0].version = 21
    constant(proto, "r/zero_point", np.array(0, np.int16))


def int32_bias(proto: onnx.ModelProto) -> None:
    bias = next(t for t in proto.graph.initializer if t.name == "one.b")
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(16, np.int32), "b/q"))
    proto.graph.initializer.append(numpy_helper.from_array(np.ones(16, np.float32), "b/scale"))
    made = helper.make_node("DequantizeLinear", ["b/q", "b/scale"], ["b"], name="b", axis=0)
    proto.graph.node.insert(0, made)
    node(proto, "one").input[2] = "b"
    proto.graph.initializer.remove(bias)


def weight_axis(proto: onnx.ModelProto) -> None:
    [axis] = node(proto, "one/weight/DequantizeLinear").attribute
    axis.i = 1


def per_channel_activation(proto: onnx.ModelProto) -> None:
    constant(proto, "r/scale", np.full(16, 0.1, np.float32))
    constant(proto, "r/zero_point", np.zeros(16, np.int8))
    for name in ("r/QuantizeLinear", "r/dequantized/DequantizeLinear"):
        node(proto, name).attribute.append(helper.make_attribute("axis", 1))


def dynamic(proto: onnx.ModelProto) -> None:
    del proto.graph.node[:]
    names = ["y", "y.scale", "y.zero"]
    proto.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["x"], names, name="dyn"))
    inputs = ["y", "y.scale", "y.zero"]
    proto.graph.node.append(helper.make_node("DequantizeLinear", inputs, ["three"], name="deq"))


REFUSED: dict[str, tuple[Spoil, str]] = {
    "scale": (scale_of_zero, "r/QuantizeLinear"),
    "zero-point": (zero_point, "r/QuantizeLinear"),
    "integer-type": (sixteen_bits, "r/QuantizeLinear"),
    "bias": (int32_bias, "b"),
    "operator": (dynamic, "dyn"),
}
ACCEPTED_WRONGLY: dict[str, tuple[Spoil, str]] = {
    "weight-axis": (weight_axis, "one"),
    "activation-granularity": (per_channel_activation, "r/QuantizeLinear"),
}


def broken(found: list[Complaint]) -> set[tuple[str, str]]:
    return {(complaint.rule, complaint.node) for complaint in found}


@pytest.mark.parametrize("rule", [*REFUSED, *ACCEPTED_WRONGLY])
def test_error_is_named_with_its_node(rule: str, good: onnx.ModelProto) -> None:
    spoil, name = {**REFUSED, **ACCEPTED_WRONGLY}[rule]
    spoil(good)

    found = lint(good)

    assert (rule, name) in broken(found)
    assert all(complaint.what and complaint.remedy for complaint in found)
    assert {c.severity for c in found if c.rule == rule} == {"error"}


@pytest.mark.parametrize("rule", REFUSED)
def test_parser_refuses_it_too(rule: str, good: onnx.ModelProto) -> None:
    REFUSED[rule][0](good)
    assert not accepts(good.SerializeToString())


@pytest.mark.parametrize("rule", ACCEPTED_WRONGLY)
def test_parser_takes_it_so_the_lint_must_not(rule: str, good: onnx.ModelProto) -> None:
    ACCEPTED_WRONGLY[rule][0](good)
    assert accepts(good.SerializeToString())


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_is_wrong_with_what_the_writer_makes(version: str, tmp_path: Path) -> None:
    net = Net(channels=16)
    model = net.model(tmp_path, blocks(net))
    plan = plan_of(model, Quantize(), rules=rules(version))

    assert RUNTIME.lint(RUNTIME.write(model, plan)["model.onnx"]) == []


def test_other_ways_to_say_the_same_are_no_errors() -> None:
    weight = numpy_helper.from_array(np.ones((16, 16), np.int8), "w")
    scales = numpy_helper.from_array(np.full(16, 0.1, np.float32), "scales")
    nodes = [
        helper.make_node("Constant", [], ["scale"], value_float=0.1),
        helper.make_node("Identity", ["scale"], ["again"]),
        helper.make_node("QuantizeLinear", ["x", "again"], ["q"], name="q", output_dtype=3),
        helper.make_node("DequantizeLinear", ["q", "scale"], ["d"], name="d"),
        helper.make_node("DequantizeLinear", ["w", "scales"], ["dw"], name="dw", axis=-1),
        helper.make_node("MatMul", ["d", "dw"], ["y"], name="product"),
    ]
    values = [helper.make_tensor_value_info(n, 1, [4, 16]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight, scales])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)

    assert lint(proto) == []
    assert accepts(proto.SerializeToString())


def test_pair_between_layer_and_activation_is_found(good: onnx.ModelProto) -> None:
    scale = ["r/scale", "r/zero_point"]
    nodes = [
        helper.make_node("QuantizeLinear", ["one", *scale], ["split/q"], name="split"),
        helper.make_node("DequantizeLinear", ["split/q", *scale], ["split/dq"], name="split/dq"),
    ]
    at = list(good.graph.node).index(node(good, "r"))
    for made in reversed(nodes):
        good.graph.node.insert(at, made)
    node(good, "r").input[0] = "split/dq"

    [found] = lint(good)

    assert (found.rule, found.node, found.severity) == ("split-fusion", "split", "warning")


def test_concat_of_several_scales_is_found(good: onnx.ModelProto) -> None:
    constant(good, "s/scale", np.array(0.7, np.float32))

    [found] = lint(good)

    assert (found.rule, found.node, found.severity) == ("concat-scales", "both", "warning")


def test_island_between_float_layers_is_found(tmp_path: Path) -> None:
    net = Net(channels=16)
    x = "x"
    for name in ("one", "two", "three", "four", "five"):
        x = net.silu(net.conv(x, name, (16, 16, 1, 1)), f"{name}.act")
    model = net.model(tmp_path, [x])
    quantize = Quantize(exclude=("two", "four"))
    plan = plan_of(model, quantize, rules=rules())

    found = RUNTIME.lint(RUNTIME.write(model, plan)["model.onnx"])

    assert ("island", "three") in broken(found)
    assert "add 'three' to exclude" in found[0].remedy


def test_quantized_transposed_convolution_is_found() -> None:
    weight = numpy_helper.from_array(np.ones((16, 16, 2, 2), np.int8), "w")
    scale = numpy_helper.from_array(np.array(0.1, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(0, np.int8), "zero")
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], name="d"),
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["dw"], name="dw"),
        helper.make_node("ConvTranspose", ["d", "dw"], ["y"], name="up", strides=[2, 2]),
    ]
    values = [helper.make_tensor_value_info(n, 1, None) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight, scale, zero])

    found = lint(helper.make_model(graph))

    assert broken(found) == {("transposed-convolution", "up")}
