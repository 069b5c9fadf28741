"""What makes one number of many, in float and other types against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sampling import examples

from .drawing import layouts_of, shapes
from .engines import Graph, assert_same


@pytest.mark.parametrize("op", ["Mean", "Max", "Min", "Sum", "Prod"])
@given(st.data())
@examples(50)
def test_a_reduction_is_that_of_onnx(op: str, data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    shape = data.draw(shapes(1, 5))
    kinds = (np.float32, np.float32, np.int32) if op != "Mean" else (np.float32,)
    value = (3 * graph.floats(*shape)).astype(data.draw(st.sampled_from(kinds)))
    inputs = [graph.feed(value, "x", data.draw(layouts_of(len(shape))))]
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True))
    signed = [axis - len(shape) * data.draw(st.integers(0, 1)) for axis in axes]
    attributes: dict[str, Any] = {"keepdims": data.draw(st.integers(0, 1))}
    opset = data.draw(st.sampled_from([17, 18]))
    if axes and (opset == 18 or op == "Sum"):
        inputs.append(graph.constant("axes", np.array(signed, np.int64)))
    elif axes:
        attributes["axes"] = signed
    graph.node(f"Reduce{op}", inputs, "y", **attributes)
    tolerance = 1e-4 if op == "Prod" else 1e-5
    assert_same(graph, ["y"], opset, tolerance=tolerance, delegates=data.draw(st.booleans()))


@pytest.mark.parametrize(("op", "opset"), [("Sum", 13), ("Mean", 18), ("Max", 18)])
@pytest.mark.parametrize("stated", [True, False])
def test_a_reduction_over_no_axes_may_be_none(op: str, opset: int, stated: bool) -> None:
    graph = Graph()
    inputs = [graph.feed(graph.floats(1, 3, 4))]
    if stated:
        inputs.append(graph.constant("axes", np.zeros(0, np.int64)))
    graph.node(f"Reduce{op}", inputs, "y", noop_with_empty_axes=1)
    assert_same(graph, ["y"], opset)


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@given(st.data())
@examples(40)
def test_places_of_extremes_are_those_of_onnx(op: str, data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    shape = data.draw(shapes(1, 4))
    kind = data.draw(st.sampled_from([np.float32, np.int32]))
    x = graph.feed((2 * graph.floats(*shape)).astype(kind), "x", data.draw(layouts_of(len(shape))))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    graph.node(op, [x], "y", axis=axis, keepdims=data.draw(st.integers(0, 1)))
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(50)
def test_the_largest_are_those_of_onnx(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    shape = data.draw(shapes(1, 4))
    x = graph.feed(graph.floats(*shape), "x", data.draw(layouts_of(len(shape))))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = graph.constant("k", np.array([data.draw(st.integers(1, shape[axis]))], np.int64))
    graph.node("TopK", [x, count], "y", 2, axis=axis)
    outputs = data.draw(st.sampled_from([["y.0", "y.1"], ["y.1"]]))
    assert_same(graph, outputs, delegates=data.draw(st.booleans()))
