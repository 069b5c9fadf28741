"""What the file says of itself: names, types, scales, and where floats begin and end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeq.graph.load import load
from edgeq.runtimes.litert.writer import write_tflite

from .engines import Graph, as_built, run_tflite
from .flatbuffers import Flatbuffer, Operator
from .integers import planned

DEMO = Path(__file__).parents[3] / "edgeq" / "demo" / "model.onnx"


def islands(op: str) -> Graph:
    """A float operator between two convolutions."""
    graph = Graph()
    x = graph.feed(np.abs(graph.floats(1, 3, 6, 6)))
    graph.conv(x, "one", (4, 3, 3, 3))
    graph.node("Sigmoid", ["one"], "gate")
    if op == "Sqrt":
        graph.node(op, ["gate"], "island")
    else:
        number = graph.constant("number", np.array(1.5, np.float32))
        graph.node(op, ["gate", number], "island")
    graph.conv("island", "two", (2, 4, 1, 1))
    return graph


def kinds(operator: Operator) -> set[str]:
    """The types of what is computed."""
    return {t.dtype for t in (*operator.inputs, *operator.outputs) if t.values is None}


@pytest.mark.parametrize("op", ["Div", "Pow", "Sqrt"])
def test_floats_between_integers_are_dequantized_and_quantized_once(op: str) -> None:
    model, plan = planned(islands(op), ["two"])

    written = Flatbuffer(write_tflite(model, plan).content)

    expected = ["QUANTIZE", "CONV_2D", "LOGISTIC", "DEQUANTIZE", op.upper()]
    expected += ["QUANTIZE", "CONV_2D", "DEQUANTIZE"]
    assert [code for code in written.codes if code != "TRANSPOSE"] == expected
    for operator in written.operators:
        is_boundary = operator.code in ("QUANTIZE", "DEQUANTIZE")
        assert len(kinds(operator)) == (2 if is_boundary else 1)


def test_an_excluded_node_is_float_and_its_neighbours_are_not() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 6, 6))
    for name, (source, inner) in {"a": (x, 3), "b": ("a", 4), "c": ("b", 4)}.items():
        graph.conv(source, name, (4, inner, 1, 1))
    model, plan = planned(graph, ["c"], exclude=["b"])

    written = Flatbuffer(write_tflite(model, plan).content)

    types = [kinds(o) for o in written.operators if o.code == "CONV_2D"]
    assert types == [{"int8"}, {"float32"}, {"int8"}]
    excluded = [o for o in written.operators if o.code == "CONV_2D"][1]
    assert {t.dtype for t in excluded.inputs} == {"float32"}


def test_tensors_are_called_as_in_onnx() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 6, 6), "an/image")
    graph.conv(x, "one", (4, 3, 3, 3))
    graph.silu("one", "two")
    graph.node("MaxPool", ["two"], "three", kernel_shape=[2, 2])
    graph.node("ReduceMean", ["three"], "mean", keepdims=0, axes=[2, 3])
    model, plan = planned(graph, ["mean", "two"])

    for file in (write_tflite(model, None), write_tflite(model, plan)):
        written = Flatbuffer(file.content)

        names = [tensor.name for tensor in written.tensors]
        assert len(set(names)) == len(names)
        expected = {"an/image", "one", "one.w", "one.b", "two.gate", "two", "three", "mean"}
        assert expected <= set(names)
        assert written.signature() == (["an/image"], ["mean", "two"])
        made = [operator.outputs[0].name for operator in written.operators]
        assert [origin.output for origin in file.origins] == made
        assert {n for origin in file.origins for n in origin.nodes} >= {n.name for n in model.nodes}


def test_inputs_and_outputs_are_floats_in_onnxs_order() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(2, 5, 6, 7))
    graph.conv(x, "y", (4, 5, 3, 3))
    model, plan = planned(graph, ["y"])
    written = Flatbuffer(write_tflite(model, plan).content)

    ends = [written.tensors[written.graph.inputs[0]], written.tensors[written.graph.outputs[0]]]

    assert [(end.dtype, end.shape) for end in ends] == [
        ("float32", (2, 5, 6, 7)),
        ("float32", (2, 4, 6, 7)),
    ]


def test_an_image_is_fed_channels_last() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 6, 8))
    graph.conv(x, "y", (4, 3, 3, 3))

    written = Flatbuffer(write_tflite(as_built(graph.proto(["y"])), None).content)

    assert written.tensors[written.graph.inputs[0]].shape == (1, 6, 8, 3)
    assert written.codes == ["CONV_2D", "TRANSPOSE"]


def test_neighbours_that_do_not_move_hand_on_their_layout() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 8, 8))
    graph.conv(x, "a", (4, 3, 3, 3))
    graph.silu("a", "b")
    graph.node("Resize", ["b", "", graph.constant("s", np.array([1, 1, 2, 2], np.float32))], "c")
    graph.node("Concat", ["c", "c"], "d", axis=1)
    graph.node("Add", ["d", graph.constant("k", graph.floats(8, 1, 1))], "e")
    graph.node("ReduceMean", ["e"], "f", axes=[2, 3])
    graph.node("Mul", ["e", "f"], "g")
    graph.conv("g", "h", (2, 8, 1, 1))

    written = Flatbuffer(write_tflite(as_built(graph.proto(["h"])), None).content)

    assert written.codes.count("TRANSPOSE") == 1  # the output, as in ONNX
    assert written.codes[-1] == "TRANSPOSE"


def attention(side: int = 4, heads: int = 2, key: int = 4, head: int = 8) -> Graph:
    """What YOLO11's C2PSA computes: queries, keys and values of one convolution."""
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, side, side))
    width = heads * (2 * key + head)
    graph.conv(graph.conv(x, "stem", (16, 3, 3, 3)), "qkv", (width, 16, 1, 1))
    pixels = side * side
    to = graph.constant("to", np.array([1, heads, 2 * key + head, pixels]))
    graph.node("Reshape", ["qkv", to], "apart")
    sizes = graph.constant("sizes", np.array([key, key, head]))
    graph.node("Split", ["apart", sizes], "parts", 3, axis=2)
    graph.node("Transpose", ["parts.0"], "queries", perm=[0, 1, 3, 2])
    graph.node("MatMul", ["queries", "parts.1"], "scores")
    scale = graph.constant("scale", np.array(key**-0.5, np.float32))
    graph.node("Softmax", [graph.node("Mul", ["scores", scale], "scaled")], "weights", axis=-1)
    graph.node("Transpose", ["weights"], "turned", perm=[0, 1, 3, 2])
    graph.node("MatMul", ["parts.2", "turned"], "mixed")
    back = graph.constant("back", np.array([1, heads * head, side, side]))
    graph.node("Reshape", ["mixed", back], "image")
    graph.node("Reshape", ["parts.2", back], "values")
    graph.conv("values", "position", (heads * head, 1, 3, 3), group=heads * head)
    graph.node("Add", ["image", "position"], "sum")
    graph.conv("sum", "projected", (16, heads * head, 1, 1))
    graph.node("Add", ["projected", "stem"], "y")
    return graph


@pytest.mark.parametrize("integers", [False, True])
def test_attention_moves_its_values_few_times(integers: bool) -> None:
    graph = attention()
    model, plan = planned(graph, ["y"])

    content = write_tflite(model, plan if integers else None).content

    written = Flatbuffer(content)
    assert written.codes.count("TRANSPOSE") <= ATTENTION
    assert written.codes.count("BATCH_MATMUL") == 2
    assert np.isfinite(run_tflite(content, graph.feeds)["y"]).all()


ATTENTION = 8
"""Channels-first to the products, each operand, back behind them, and the output."""


def transposes(path: Path) -> int:
    return Flatbuffer(write_tflite(load(path, (640, 640)), None).content).codes.count("TRANSPOSE")


def test_the_demos_model_moves_its_values_four_times() -> None:
    assert Flatbuffer(write_tflite(load(DEMO), None).content).codes.count("TRANSPOSE") == 4


@pytest.mark.real
def test_a_real_model_moves_its_values_four_times(real_data: Callable[[str], Path]) -> None:
    # Three scales of the head, and the prototypes.
    assert transposes(real_data("models/yolov5n-seg.onnx")) == 4


def test_no_operator_writes_what_nobody_reads() -> None:
    model, plan = planned(attention(), ["y"])
    written = Flatbuffer(write_tflite(model, plan).content)

    read = {t.name for o in written.operators for t in o.inputs} | {"y"}

    for operator in written.operators:
        assert any(t.name in read for t in operator.outputs)
    moved = {o.outputs[0].name for o in written.operators if o.code == "TRANSPOSE"}
    for operator in written.operators:
        assert operator.code != "TRANSPOSE" or operator.inputs[0].name not in moved


def test_what_writes_an_output_is_of_the_node_that_makes_it() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 6, 6))
    graph.conv(x, "one", (4, 3, 3, 3))
    # Exporters name nodes otherwise than tensors.
    graph.nodes[-1].name = "/model/Conv"
    model, plan = planned(graph, ["one"])

    origins = write_tflite(model, plan).origins

    assert [origin.output for origin in origins][-1] == "one"
    assert origins[-1].nodes == ["/model/Conv"]
    assert {name for origin in origins for name in origin.nodes} == {"/model/Conv"}
