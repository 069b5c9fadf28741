"""Matrix products in float against ONNX Runtime."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.sampling import examples

from .drawing import layouts_of
from .engines import Graph, assert_same


@given(st.data())
@examples(80)
def test_a_gemm_is_that_of_onnx(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    m, k, n = (data.draw(st.integers(1, 5)) for _ in range(3))
    flips: dict[str, Any] = {name: data.draw(st.integers(0, 1)) for name in ("transA", "transB")}
    factors: dict[str, Any] = {
        name: data.draw(st.sampled_from([1.0, 0.5, -2.0])) for name in ("alpha", "beta")
    }
    left = graph.floats(*((k, m) if flips["transA"] else (m, k)))
    inputs = [graph.feed(left, "a", data.draw(layouts_of(2)))]
    right = graph.floats(*((n, k) if flips["transB"] else (k, n)))
    if data.draw(st.booleans()):
        inputs.append(graph.constant("b", right))
    else:
        inputs.append(graph.feed(right, "b", data.draw(layouts_of(2))))
    shape = data.draw(st.sampled_from([None, (), (1,), (n,), (1, 1), (1, n), (m, 1), (m, n)]))
    if shape is not None:
        bias = graph.floats(*shape)
        if data.draw(st.booleans()) or not shape:
            inputs.append(graph.constant("c", bias))
        else:
            inputs.append(graph.feed(bias, "c", data.draw(layouts_of(bias.ndim))))
    graph.node("Gemm", inputs, "y", **flips, **factors)
    if data.draw(st.booleans()):
        graph.node("Relu", ["y"], "z")
    assert_same(graph, [graph.nodes[-1].output[0]], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(100)
def test_a_matrix_product_is_that_of_onnx(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    m, k, n = (data.draw(st.integers(1, 4)) for _ in range(3))
    batch = data.draw(st.lists(st.integers(1, 3), max_size=2))
    shapes = []
    for last in ((m, k), (k, n)):
        cut = data.draw(st.integers(0, len(batch)))
        kept = [data.draw(st.sampled_from([extent, 1])) for extent in batch[cut:]]
        shapes.append((*kept, *last))
    inputs = []
    constants = data.draw(st.sampled_from([(), (), (1,), (1,), (0,)]))
    for i, shape in enumerate(shapes):
        if i in constants:
            inputs.append(graph.constant(f"m{i}", graph.floats(*shape)))
        else:
            inputs.append(
                graph.feed(graph.floats(*shape), f"m{i}", data.draw(layouts_of(len(shape))))
            )
    graph.node("MatMul", inputs, "y")
    if data.draw(st.booleans()):
        graph.node("Relu", ["y"], "z")
    assert_same(graph, [graph.nodes[-1].output[0]], delegates=data.draw(st.booleans()))
