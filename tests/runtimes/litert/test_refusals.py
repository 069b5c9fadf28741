"""What TFLite cannot express is refused before anything is written, all of it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeq.errors import InputError
from edgeq.runtimes.litert.writer import write_tflite

from .engines import Graph, as_built, refusals


def convolved_in_three_dimensions(graph: Graph, x: str) -> str:
    deep = graph.node("Unsqueeze", [x, graph.constant("two", np.array([2]))], "deep")
    return graph.node("Conv", [deep, graph.constant("w", graph.floats(2, 3, 1, 1, 1))], "bad")


def convolved_by_computed_weights(graph: Graph, x: str) -> str:
    return graph.node("Conv", [x, x], "bad")


def resized_by_cubes(graph: Graph, x: str) -> str:
    factors = graph.constant("factors", np.array([1, 1, 2, 2], np.float32))
    return graph.node("Resize", [x, "", factors], "bad", mode="cubic")


def resized_from_a_region(graph: Graph, x: str) -> str:
    region = graph.constant("region", np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32))
    sizes = graph.constant("sizes", np.array([1, 3, 8, 8]))
    attributes: dict[str, Any] = {
        "coordinate_transformation_mode": "tf_crop_and_resize",
        "mode": "linear",
    }
    return graph.node("Resize", [x, region, "", sizes], "bad", **attributes)


def resized_without_aliases(graph: Graph, x: str) -> str:
    factors = graph.constant("factors", np.array([1, 1, 0.5, 0.5], np.float32))
    return graph.node("Resize", [x, "", factors], "bad", mode="linear", antialias=1)


def erf(graph: Graph, x: str) -> str:
    return graph.node("Erf", [x], "bad")


def of_another_domain(graph: Graph, x: str) -> str:
    graph.nodes.append(helper.make_node("Fancy", [x], ["bad"], name="bad", domain="acme"))
    return "bad"


def the_smallest(graph: Graph, x: str) -> str:
    count = graph.constant("k", np.array([2]))
    return graph.node("TopK", [x, count], "bad", 2, largest=0)


def the_last_of_equals(graph: Graph, x: str) -> str:
    return graph.node("ArgMax", [x], "bad", select_last_index=1)


def half_precision(graph: Graph, x: str) -> str:
    return graph.node("Cast", [x], "bad", to=TensorProto.FLOAT16)


def double_precision(graph: Graph, x: str) -> str:
    return graph.node("Cast", [x], "bad", to=TensorProto.DOUBLE)


def a_shape_that_depends_on_values(graph: Graph, x: str) -> str:
    return graph.node("NonZero", [x], "bad")


def pools_with_indices(graph: Graph, x: str) -> str:
    return graph.node("MaxPool", [x], "bad", 2, kernel_shape=[2, 2])


def pools_with_dilations(graph: Graph, x: str) -> str:
    return graph.node("MaxPool", [x], "bad", kernel_shape=[2, 2], dilations=[2, 2])


def slopes_that_are_computed(graph: Graph, x: str) -> str:
    return graph.node("PRelu", [x, x], "bad")


def bounds_that_are_computed(graph: Graph, x: str) -> str:
    least = graph.node("ReduceMin", [x], "least", keepdims=0)
    return graph.node("Clip", [x, least], "bad")


def other_elus(graph: Graph, x: str) -> str:
    return graph.node("Elu", [x], "bad", alpha=0.5)


def boxes_that_suppress_each_other(graph: Graph, x: str) -> str:
    boxes = graph.constant("boxes", graph.floats(1, 4, 4))
    scores = graph.constant("scores", graph.floats(1, 1, 4))
    return graph.node("NonMaxSuppression", [boxes, scores], "bad")


def a_vector_times_a_matrix(graph: Graph, x: str) -> str:
    vector = graph.constant("vector", graph.floats(4))
    return graph.node("MatMul", [x, vector], "bad")


def masks_of_what_drops_out(graph: Graph, x: str) -> str:
    graph.node("Dropout", [x], "bad", 2)
    return "bad.1"


def norms_of_the_batch(graph: Graph, x: str) -> str:
    names = [graph.constant(name, np.ones(3, np.float32)) for name in ("s", "b", "m", "v")]
    graph.node("BatchNormalization", [x, *names], "bad", 3, training_mode=1)
    return "bad.0"


REASONS: dict[Callable[[Graph, str], str], str] = {
    convolved_in_three_dimensions: "slides over 3 dimensions",
    convolved_by_computed_weights: "its weights are computed",
    resized_by_cubes: "has mode cubic",
    resized_from_a_region: "has coordinates tf_crop_and_resize",
    resized_without_aliases: "has antialias",
    erf: "no operator for ONNX's Erf",
    of_another_domain: "no operator for acme's Fancy",
    the_smallest: "takes the smallest",
    the_last_of_equals: "takes the last of several equal ones",
    half_precision: "of type float16",
    double_precision: "of type double",
    a_shape_that_depends_on_values: "no operator for ONNX's NonZero",
    pools_with_indices: "its indices are asked for",
    pools_with_dilations: "has dilations",
    slopes_that_are_computed: "its slopes are computed",
    bounds_that_are_computed: "its bounds are computed",
    other_elus: "alpha other than 1",
    boxes_that_suppress_each_other: "no operator for ONNX's NonMaxSuppression",
    a_vector_times_a_matrix: "multiplies a vector",
    masks_of_what_drops_out: "its output 'bad.1' is asked for",
    norms_of_the_batch: "is in training mode",
}


@pytest.mark.parametrize("unsupported", REASONS)
def test_a_node_is_refused_by_name_type_and_reason(
    unsupported: Callable[[Graph, str], str],
) -> None:
    graph = Graph()
    output = unsupported(graph, graph.feed(graph.floats(1, 3, 4, 4)))

    (refused,) = refusals(as_built(graph.proto([output], opset=19)))

    bad = graph.nodes[-1]
    assert f"node 'bad' ({bad.op_type})" in refused
    assert REASONS[unsupported] in refused


def test_all_nodes_are_refused_at_once() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 4, 4))
    graph.node("Erf", [x], "first")
    factors = graph.constant("factors", np.array([1, 1, 2, 2], np.float32))
    graph.node("Resize", ["first", "", factors], "second", mode="cubic")
    graph.node("Relu", ["second"], "fine")
    # What has no shape is refused, and what reads it follows from that.
    graph.node("NonZero", ["fine"], "third")
    graph.node("Cast", ["third"], "fourth", to=TensorProto.FLOAT)
    graph.node("Elu", ["fourth"], "fifth", alpha=0.5)
    model = as_built(graph.proto(["fifth"]))

    refused = refusals(model)

    names = ["first", "second", "third"]
    assert [line.split("node '")[1].split("'")[0] for line in refused] == names
    assert "no operator for ONNX's NonZero, and 2 nodes behind it follow from that" in refused[2]
    with pytest.raises(InputError):
        write_tflite(model, None)


def test_what_reads_an_activation_of_a_refused_layer_is_looked_at() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 4, 4))
    convolved_by_computed_weights(graph, x)
    graph.node("Relu", ["bad"], "active")
    graph.node("Elu", ["active"], "worse", alpha=0.5)

    refused = refusals(as_built(graph.proto(["worse"])))

    assert [line.split("node '")[1].split("'")[0] for line in refused] == ["bad", "worse"]


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8])
def test_inputs_of_other_types_are_refused(kind: int) -> None:
    value = helper.make_tensor_value_info("x", kind, [1, 3, 4, 4])
    result = helper.make_tensor_value_info("y", kind, [1, 3, 4, 4])
    node = helper.make_node("Identity", ["x"], ["y"], name="y")
    proto = helper.make_model(helper.make_graph([node], "net", [value], [result]))

    (refused,) = refusals(as_built(onnx.shape_inference.infer_shapes(proto)))

    assert f"input 'x': 'x' is of type {TensorProto.DataType.Name(kind).lower()}" in refused


def test_constants_of_other_types_are_refused() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(2, 2))
    small = graph.constant("small", np.ones((2, 2), np.float16))
    graph.node("Cast", [small], "wide", to=TensorProto.FLOAT)
    graph.node("Add", [x, "wide"], "y")

    (refused,) = refusals(as_built(graph.proto(["y"])))

    assert "node 'wide' (Cast): the constant 'small' is of type float16" in refused


def with_nms(nodes: int) -> Graph:
    """A head that suppresses by itself, and makes rows of what is left."""
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 4, 4))
    boxes = graph.node("Reshape", [x, graph.constant("rows", np.array([1, 12, 4]))], "boxes")
    scores = graph.node("Reshape", [x, graph.constant("one", np.array([1, 1, 48]))], "flat")
    first = graph.constant("first", np.arange(12))
    few = graph.node("Gather", [scores, first], "scores", axis=2)
    picked = graph.node("NonMaxSuppression", [boxes, few], "nms")
    rows = graph.node("Cast", [picked], "rows-as-floats", to=TensorProto.FLOAT)
    for number in range(nodes):
        rows = graph.node("Relu", [rows], f"after{number}")
    return graph


def test_a_head_that_suppresses_is_one_line_with_the_remedy_for_it() -> None:
    graph = with_nms(32)
    (line,) = refusals(as_built(graph.proto([graph.nodes[-1].output[0]])))
    assert "node 'nms' (NonMaxSuppression)" in line and "33 nodes behind it follow" in line
    assert "default head" in line and "'decoder: yolov8-seg'" in line


def test_a_second_stage_is_not_told_of_heads_that_other_exporters_have() -> None:
    graph = with_nms(1)
    rows = graph.nodes[-1].output[0]
    image = graph.feed(graph.floats(1, 1, 8, 8), "image")
    where = graph.constant("where", np.zeros(1, np.int64))
    box = graph.constant("box", np.ones((1, 4), np.float32))
    graph.node("RoiAlign", [image, box, where], "pooled")
    lines = refusals(as_built(graph.proto([rows, "pooled"])))
    (line,) = (line for line in lines if "(NonMaxSuppression)" in line)
    assert "2 nodes behind it follow" in line
    assert "second stage" in line and "yolov8" not in line


def test_equal_causes_are_one_line() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(1, 3, 4, 4))
    for number in range(5):
        x = graph.node("Erf", [x], f"erf{number}")
    (line,) = refusals(as_built(graph.proto([x])))
    assert "nodes 'erf0', 'erf1', 'erf2' and 2 more (Erf): TFLite has no operator" in line
    assert line.endswith("export the model without it, or choose another engine")
