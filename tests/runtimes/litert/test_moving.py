"""What moves values, in float and other types against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sampling import examples

from .drawing import layouts_of, shapes, stretched
from .engines import Graph, assert_same

TYPES = (np.float32, np.float32, np.int32, np.int64)


def started(data: st.DataObject, shape: tuple[int, ...], types: Any = TYPES) -> tuple[Graph, str]:
    """A graph that is fed a tensor of some type under some layout, called x."""
    graph = Graph(data.draw(st.integers(0, 99)))
    value = (9 * graph.floats(*shape)).astype(data.draw(st.sampled_from(types)))
    return graph, graph.feed(value, "x", data.draw(layouts_of(len(shape))))


def integers(graph: Graph, name: str, values: Any) -> str:
    return graph.constant(name, np.array(values, np.int64))


@given(st.data())
@examples(60)
def test_a_concatenation_is_that_of_onnx(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    graph, x = started(data, shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    kind = next(iter(graph.feeds.values())).dtype
    names = [x]
    for i in range(data.draw(st.integers(0, 3))):
        extent = data.draw(st.integers(1, 3))
        value = graph.floats(*shape[:axis], extent, *shape[axis + 1 :]).astype(kind)
        if data.draw(st.booleans()):
            names.append(graph.constant(f"c{i}", value))
        else:
            names.append(graph.feed(value, f"c{i}", data.draw(layouts_of(len(shape)))))
    names = data.draw(st.permutations(names))
    graph.node("Concat", names, "y", axis=axis - len(shape) * data.draw(st.integers(0, 1)))
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(60)
def test_a_split_is_that_of_onnx(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    if data.draw(st.booleans()):
        sizes = sizes[:1] * len(sizes)
    around = data.draw(shapes(0, 3))
    axis = data.draw(st.integers(0, len(around)))
    shape = (*around[:axis], sum(sizes), *around[axis:])
    graph, x = started(data, shape)
    inputs = [x, integers(graph, "sizes", sizes)]
    if len(set(sizes)) == 1 and len(sizes) > 1 and data.draw(st.booleans()):
        inputs.pop()
    names = ["y"] if len(sizes) == 1 else [f"y.{i}" for i in range(len(sizes))]
    graph.node("Split", inputs, "y", len(sizes), axis=axis)
    assert_same(graph, names, folded=False, delegates=data.draw(st.booleans()))


@given(st.data())
@examples(120)
def test_a_slice_is_that_of_onnx(data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 6))
    graph, x = started(data, shape)
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True, min_size=1))
    starts, ends, steps = [], [], []
    for axis in axes:
        size, step = shape[axis], data.draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        first = data.draw(st.integers(0, size - 1))
        if step > 0:
            end = data.draw(st.sampled_from([first + 1, size, size + 5, 2**63 - 1]))
            first = data.draw(st.sampled_from([first, first - size]))
        else:
            end = data.draw(st.sampled_from([first - 1 - size, -size - 1, -(2**63)]))
            first = data.draw(st.sampled_from([first, first - size]))
        starts.append(first)
        ends.append(end)
        steps.append(step)
    inputs = [x, integers(graph, "starts", starts), integers(graph, "ends", ends)]
    signs = [axis - len(shape) * data.draw(st.integers(0, 1)) for axis in axes]
    inputs += [integers(graph, "axes", signs), integers(graph, "steps", steps)]
    if all(step == 1 for step in steps):
        inputs.pop()
        if axes == list(range(len(axes))) and data.draw(st.booleans()):
            inputs.pop()
    graph.node("Slice", inputs, "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(80)
def test_a_gather_is_that_of_onnx(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    graph, x = started(data, shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    wanted = data.draw(st.lists(st.integers(1, 3), max_size=2))
    computed = data.draw(st.booleans()) and bool(wanted)
    least = 0 if computed else -shape[axis]
    indices = graph.rng.integers(least, shape[axis], wanted, np.int64)
    if computed:
        named = graph.feed(indices, "indices", data.draw(layouts_of(len(wanted))))
    else:
        named = graph.constant("indices", indices)
    graph.node("Gather", [x, named], "y", axis=axis - len(shape) * data.draw(st.integers(0, 1)))
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@st.composite
def regrouped(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of as many values."""
    factors = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))

    def merged() -> tuple[int, ...]:
        found: list[int] = []
        for factor in factors:
            if draw(st.booleans()) and found:
                found[-1] *= factor
            else:
                found += [factor, *([1] if draw(st.integers(0, 4)) == 0 else [])]
        return tuple(found[:5]) if np.prod(found[:5]) == np.prod(found) else tuple(factors)

    return merged(), merged()


@given(st.data())
@examples(80)
def test_a_reshape_is_that_of_onnx(data: st.DataObject) -> None:
    before, after = data.draw(regrouped())
    graph, x = started(data, before)
    graph.node("Reshape", [x, integers(graph, "shape", after)], "y")
    # What is behind it reads the layout that it left.
    perm = data.draw(layouts_of(len(after)))
    graph.node("Transpose", ["y"], "z", perm=list(perm))
    assert_same(graph, ["y", "z"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(60)
def test_axes_come_and_go_as_in_onnx(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    graph, x = started(data, shape)
    op = data.draw(st.sampled_from(["Flatten", "Squeeze", "Unsqueeze"]))
    if op == "Flatten":
        graph.node(op, [x], "y", axis=data.draw(st.integers(-len(shape), len(shape))))
    elif op == "Unsqueeze":
        axes = data.draw(st.lists(st.sampled_from([0, 1, -1]), min_size=1, max_size=1))
        graph.node(op, [x, integers(graph, "axes", axes)], "y")
    else:
        axes = [i for i, extent in enumerate(shape) if extent == 1]
        graph.node(op, [x, integers(graph, "axes", axes)] if axes else [x], "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@given(st.data())
@examples(60)
def test_pads_are_those_of_onnx(mode: str, data: st.DataObject) -> None:
    shape = data.draw(shapes(1, 4, 5))
    graph, x = started(data, shape, (np.float32,) if mode != "constant" else TYPES)
    most = {"reflect": [n - 1 for n in shape], "wrap": list(shape)}.get(mode, [3] * len(shape))
    pads = [data.draw(st.integers(0, n)) for n in (*most, *most)]
    if mode == "constant" and data.draw(st.booleans()):
        pads = [data.draw(st.integers(-((n - 1) // 2), 2)) for n in (*shape, *shape)]
    inputs = [x, integers(graph, "pads", pads)]
    kind = next(iter(graph.feeds.values())).dtype
    if mode == "constant" and data.draw(st.booleans()):
        inputs.append(graph.constant("fill", np.array(data.draw(st.integers(-2, 2)), kind)))
    graph.node("Pad", inputs, "y", mode=mode)
    assert_same(graph, ["y"], opset=19, delegates=data.draw(st.booleans()))


@given(st.data())
@examples(50)
def test_an_expansion_is_that_of_onnx(data: st.DataObject) -> None:
    full = data.draw(shapes(1, 5))
    shape = data.draw(stretched(full))
    graph, x = started(data, shape, (np.float32, np.int32, np.int64))
    graph.node("Expand", [x, integers(graph, "shape", full)], "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(50)
def test_tiles_are_those_of_onnx(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    graph, x = started(data, shape)
    counts = [data.draw(st.integers(1, 3)) for _ in shape]
    graph.node("Tile", [x, integers(graph, "counts", counts)], "y")
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


@given(st.data())
@examples(80)
def test_depth_and_space_are_exchanged_as_in_onnx(data: st.DataObject) -> None:
    block = data.draw(st.integers(1, 3))
    n, depth, height, width = (data.draw(st.integers(1, 3)) for _ in range(4))
    attributes: dict[str, Any] = {"blocksize": block}
    op = data.draw(st.sampled_from(["DepthToSpace", "SpaceToDepth"]))
    shape = (n, depth, height * block, width * block)
    if op == "DepthToSpace":
        shape = (n, depth * block**2, height, width)
        attributes["mode"] = data.draw(st.sampled_from(["DCR", "CRD"]))
    graph, x = started(data, shape, (np.float32,))
    graph.node(op, [x], "y", **attributes)
    assert_same(graph, ["y"], delegates=data.draw(st.booleans()))


def test_what_changes_nothing_is_another_name() -> None:
    graph = Graph()
    x = graph.feed(graph.floats(2, 3))
    graph.node("Relu", [x], "a")
    graph.node("Identity", ["a"], "b")
    graph.node("Dropout", ["b"], "c")
    graph.node("Identity", [x], "d")
    graph.constant("e", graph.floats(2))
    graph.node("Identity", ["e"], "f")
    assert_same(graph, ["a", "b", "c", "d", "f"], folded=False)
