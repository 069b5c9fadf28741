"""Pools in float against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.sampling import examples

from .drawing import layouts_of
from .engines import Graph, assert_same


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@given(st.data())
@examples(80)
def test_a_pool_is_that_of_onnx(op: str, data: st.DataObject) -> None:
    count = data.draw(st.sampled_from([1, 2, 2]))
    kernel = [data.draw(st.integers(1, 4)) for _ in range(count)]
    firsts = [data.draw(st.integers(0, k - 1)) for k in kernel]
    lasts = [data.draw(st.integers(0, k - 1)) for k in kernel]
    mode = data.draw(st.sampled_from(["NOTSET"] * 3 + ["SAME_UPPER", "SAME_LOWER", "VALID"]))
    attributes: dict[str, Any] = {"kernel_shape": kernel}
    # With larger strides ONNX Runtime and ONNX disagree about how many results there are.
    strides = [data.draw(st.integers(1, min(3, k))) for k in kernel]
    attributes["strides"] = strides
    attributes["ceil_mode"] = data.draw(st.integers(0, 1))
    if mode == "NOTSET":
        attributes["pads"] = firsts + lasts
    else:
        attributes["auto_pad"] = mode
        attributes["ceil_mode"] = 0
    if op == "AveragePool":
        attributes["count_include_pad"] = data.draw(st.integers(0, 1))
    sizes = [data.draw(st.integers(k, 9)) for k in kernel]
    for size, k, stride, first, last in zip(sizes, kernel, strides, firsts, lasts, strict=True):
        results = -(-(size + first + last - k) // stride) + 1
        assume(mode != "NOTSET" or (results - 1) * stride < size + first)
    graph = Graph(data.draw(st.integers(0, 99)))
    value = graph.floats(data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)), *sizes)
    # Numbers of one sign show what pads hold.
    value = value - 9 if data.draw(st.booleans()) else value
    x = graph.feed(value, layout=data.draw(layouts_of(value.ndim)))
    graph.node(op, [x], "y", **attributes)
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
@given(st.data())
@examples(25)
def test_a_global_pool_is_that_of_onnx(op: str, data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    value = graph.floats(*(data.draw(st.lists(st.integers(1, 5), min_size=3, max_size=5))))
    x = graph.feed(value, layout=data.draw(layouts_of(value.ndim)))
    graph.node(op, [x], "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))
