"""What computes number by number, in float against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sampling import examples

from .drawing import layouts_of, shapes, stretched
from .engines import Array, Graph, as_built, assert_same, refusals
from .flatbuffers import Flatbuffer


def fed(data: st.DataObject, graph: Graph, value: Array, name: str = "x") -> str:
    """A value under a layout of its own, or as a constant if it is not the first."""
    if name != "x" and data.draw(st.booleans()):
        return graph.constant(name, value)
    return graph.feed(value, name, data.draw(layouts_of(value.ndim)))


UNARY: dict[str, tuple[dict[str, Any], Callable[[Array], Array]]] = {
    "Abs": ({}, np.asarray),
    "Ceil": ({}, np.asarray),
    "Cos": ({}, np.asarray),
    "Elu": ({}, np.asarray),
    "Exp": ({}, np.asarray),
    "Floor": ({}, np.asarray),
    "HardSigmoid": ({"alpha": 0.3, "beta": 0.4}, np.asarray),
    "HardSwish": ({}, lambda x: x * 4),
    "LeakyRelu": ({"alpha": 0.2}, np.asarray),
    "Log": ({}, lambda x: np.abs(x) + 0.1),
    "Neg": ({}, np.asarray),
    "Reciprocal": ({}, lambda x: np.abs(x) + 0.1),
    "Relu": ({}, np.asarray),
    "Round": ({}, lambda x: np.round(2 * x) / 2),
    "Sigmoid": ({}, lambda x: 5 * x),
    "Sin": ({}, np.asarray),
    "Softplus": ({}, lambda x: 40 * x),
    "Sqrt": ({}, np.abs),
    "Tanh": ({}, np.asarray),
}


@pytest.mark.parametrize("op", UNARY)
@given(st.data())
@examples(15)
def test_a_function_of_one_number_is_that_of_onnx(op: str, data: st.DataObject) -> None:
    attributes, domain = UNARY[op]
    graph = Graph(data.draw(st.integers(0, 99)))
    value = domain(graph.floats(*data.draw(shapes(1, 5)))).astype(np.float32)
    graph.node(op, [fed(data, graph, value)], "y", **attributes)
    assert_same(graph, ["y"], tolerance=3e-5, delegates=data.draw(st.booleans()))


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@given(st.data())
@examples(60)
def test_arithmetic_stretches_as_onnx_does(op: str, data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    full = data.draw(shapes(1, 5))
    whole = data.draw(st.sampled_from([np.float32, np.float32, np.int32, np.int64]))
    first, second = data.draw(stretched(full)), data.draw(stretched(full))
    names = ["x", "other"]
    values = [(np.abs(graph.floats(*s)) * 9 + 1).astype(whole) for s in (first, second)]
    inputs = [fed(data, graph, v, name) for v, name in zip(values, names, strict=True)]
    inputs = inputs[:: data.draw(st.sampled_from([1, -1]))]
    graph.node(op, inputs, "y")
    if whole == np.float32 and data.draw(st.booleans()):
        bounds = [graph.constant(str(n), np.array(n, np.float32)) for n in (0, 6)]
        graph.node("Clip", ["y", *bounds], "z")
    assert_same(graph, [graph.nodes[-1].output[0]], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(60)
def test_a_power_is_that_of_onnx(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    full = data.draw(shapes(1, 4))
    first, second = data.draw(stretched(full)), data.draw(stretched(full))
    x = fed(data, graph, np.abs(graph.floats(*first)))
    kind = data.draw(st.sampled_from([np.float32, np.float32, np.int64]))
    if data.draw(st.booleans()):
        numbers = np.full(second, data.draw(st.sampled_from([0.5, 1, 2, 3])), kind)
    else:
        numbers = np.abs(graph.floats(*second)).astype(kind)
    graph.node("Pow", [x, fed(data, graph, numbers, "n")], "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@pytest.mark.parametrize("op", ["Max", "Min", "Sum", "Mean"])
@given(st.data())
@examples(40)
def test_operators_of_many_inputs_stretch_as_onnx_does(op: str, data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    full = data.draw(shapes(1, 4))
    names = ["x", "second", "third"][: data.draw(st.integers(1, 3))]
    inputs = [fed(data, graph, graph.floats(*data.draw(stretched(full))), n) for n in names]
    graph.node(op, inputs, "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(60)
def test_clips_have_any_bounds(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    kind = data.draw(st.sampled_from([np.float32, np.float32, np.int32]))
    value = (2 * graph.floats(*data.draw(shapes()))).astype(kind)
    x = fed(data, graph, value)
    bounds = data.draw(
        st.sampled_from([(0, 6), (0, None), (-1, 1), (-0.5, 0.7), (None, 1), (0.1, None), (1, 0)])
    )
    inputs = [x]
    for name, bound in zip(("low", "high"), bounds, strict=True):
        given_ = "" if bound is None else graph.constant(name, np.array(bound, kind))
        inputs.append(given_)
    graph.node("Clip", inputs, "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@pytest.mark.parametrize("kind", [np.int32, np.int64])
def test_clips_of_integers_have_the_largest_bounds(kind: type[np.signedinteger[Any]]) -> None:
    graph = Graph()
    x = graph.feed((50 * graph.floats(2, 3)).astype(kind))
    limits = np.iinfo(kind)
    least, greatest = (graph.constant(f"{n}", np.array(n, kind)) for n in (limits.min, limits.max))
    middle = graph.constant("middle", np.array(7, kind))
    graph.node("Clip", [x, least, middle], "y")
    graph.node("Clip", [x, middle, greatest], "z")
    assert_same(graph, ["y", "z"], folded=False)


@given(st.data())
@examples(60)
def test_prelu_has_slopes_of_any_shape(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    full = data.draw(shapes(2, 4))
    slopes = data.draw(stretched(full))
    x = fed(data, graph, graph.floats(*full))
    graph.node("PRelu", [x, graph.constant("slopes", graph.floats(*slopes))], "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(40)
def test_softmax_has_any_axis(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    full = data.draw(shapes(1, 5))
    x = fed(data, graph, graph.floats(*full))
    axis = data.draw(st.integers(-len(full), len(full) - 1))
    graph.node("Softmax", [x], "y", axis=axis)
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@pytest.mark.parametrize("op", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
@given(st.data())
@examples(20)
def test_comparisons_and_choices_are_those_of_onnx(op: str, data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    full = data.draw(shapes(1, 4))
    kind = data.draw(st.sampled_from([np.float32, np.int32, np.int64]))
    names = ["x", "second"]
    values = [np.round(graph.floats(*data.draw(stretched(full)))).astype(kind) for _ in names]
    inputs = [fed(data, graph, v, n) for v, n in zip(values, names, strict=True)]
    other = fed(data, graph, graph.floats(*data.draw(stretched(full))), "third")
    fourth = fed(data, graph, graph.floats(*data.draw(stretched(full))), "fourth")
    graph.node(op, inputs, "truth")
    graph.node("Not", ["truth"], "lie")
    graph.node("And", ["truth", "lie"], "never")
    graph.node("Or", ["truth", "lie"], "always")
    graph.node("Where", ["truth", other, fourth], "y")
    outputs = ["truth", "lie", "never", "always", "y"]
    assert_same(graph, outputs, delegates=data.draw(st.booleans()))


@given(st.data())
@examples(60)
def test_casts_are_those_of_onnx(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    kinds = {np.float32: 1, np.int32: 6, np.int64: 7, np.bool_: 9}
    value: Array = 3 * graph.floats(*data.draw(shapes()))
    value = value.astype(data.draw(st.sampled_from([*kinds])))
    x = fed(data, graph, value)
    graph.node("Cast", [x], "y", to=kinds[data.draw(st.sampled_from([*kinds]))])
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(30)
def test_batch_normalization_that_stays_is_that_of_onnx(data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    full = data.draw(shapes(2, 5))
    x = fed(data, graph, graph.floats(*full))
    names = ("scale", "shift", "mean", "variance")
    constants = [graph.constant(n, np.abs(graph.floats(full[1])) + 0.1) for n in names]
    graph.node("BatchNormalization", [x, *constants], "y", epsilon=1e-3)
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@given(st.data())
@examples(15)
def test_gelu_is_that_of_onnx(approximate: str, data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    x = fed(data, graph, 3 * graph.floats(*data.draw(shapes())))
    graph.node("Gelu", [x], "y", approximate=approximate)
    assert_same(graph, ["y"], opset=20, delegates=data.draw(st.booleans()))


@pytest.mark.parametrize("form", ["half last", "half first", "half between"])
@given(st.data())
@examples(20)
def test_gelu_of_many_nodes_becomes_one(form: str, data: st.DataObject) -> None:
    graph = Graph(data.draw(st.integers(0, 99)))
    x = fed(data, graph, 3 * graph.floats(*data.draw(shapes())))
    names = {"root": np.sqrt(2), "share": np.sqrt(0.5), "one": 1, "half": 0.5}
    root, share, one, half = (
        graph.constant(name, np.array(number, np.float32)) for name, number in names.items()
    )
    if data.draw(st.booleans()):
        scaled = graph.node("Div", [x, root], "scaled")
    else:
        scaled = graph.node("Mul", [share, x], "scaled")
    plus = graph.node("Add", [graph.node("Erf", [scaled], "erf"), one], "plus")
    if form == "half last":
        graph.node("Mul", [graph.node("Mul", [x, plus], "product"), half], "y")
    elif form == "half first":
        graph.node("Mul", [graph.node("Mul", [x, half], "product"), plus], "y")
    else:
        graph.node("Mul", [x, graph.node("Mul", [plus, half], "product")], "y")
    if data.draw(st.booleans()):
        graph.node("Relu", ["y"], "z")
    delegates = data.draw(st.booleans())

    content = assert_same(graph, [graph.nodes[-1].output[0]], delegates=delegates)

    assert "GELU" in Flatbuffer(content).codes
    assert "DIV" not in Flatbuffer(content).codes


def test_erf_that_is_no_part_of_gelu_is_refused() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(2, 3))
    graph.node("Mul", [x, graph.node("Erf", [x], "erf")], "y")

    refused = refusals(as_built(graph.proto(["y"])))

    assert len(refused) == 1 and "'erf' (Erf)" in refused[0]
