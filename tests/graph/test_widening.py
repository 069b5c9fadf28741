"""Models in half precision, as exporters write them: they load as what they are in float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeq.graph.tail import find_tail
from edgeq.quantization.decide import decide, resolve_choices
from edgeq.spec.quantize import Quantize

from ..nets import Net
from ..runtimes.builds import placement
from .nets import loaded, run

HALF = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}


def halved(proto: onnx.ModelProto, kind: int, ends: bool) -> onnx.ModelProto:
    """The body in half precision; with `ends` input and outputs too, else Casts at the ends.

    The Casts come last in the list of nodes, where converters put them.
    """
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    graph = made.graph
    del graph.value_info[:]
    for tensor in graph.initializer:
        dtype = helper.tensor_dtype_to_np_dtype(kind)
        values = numpy_helper.to_array(tensor).astype(dtype)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    if ends:
        for value in (*graph.input, *graph.output):
            value.type.tensor_type.elem_type = kind
        return made
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name in ("x", "y"):
                    names[i] = f"{name}.half"
    graph.node.append(helper.make_node("Cast", ["x"], ["x.half"], name="in", to=kind))
    graph.node.append(helper.make_node("Cast", ["y.half"], ["y"], name="out", to=1))
    return made


def net() -> onnx.ModelProto:
    built = Net()
    x = built.silu(built.conv("x", "one", (8, 3, 3, 3)), "act")
    built.conv(x, "y", (4, 8, 3, 3))
    return built.proto(["y"])


@pytest.mark.parametrize("ends", [False, True], ids=["float32 ends", "half=True"])
@pytest.mark.parametrize("name", HALF)
def test_half_precision_is_loaded_as_float32(name: str, ends: bool, tmp_path: Path) -> None:
    proto = halved(net(), HALF[name], ends)
    model = loaded(proto, tmp_path)

    decisions = decide(model, find_tail(model), resolve_choices(model, Quantize()), placement())
    assert {n.op_type for n in model.nodes} == {"Conv", "Sigmoid", "Mul"}
    assert all(decisions[n.name].quantized for n in model.nodes)
    assert all(model.is_float(tensor) for tensor in (*model.inputs, *model.outputs))
    [note] = model.notes
    assert name in note and "4 constants" in note and ("input 'x'" in note) == ends
    # Every weight is exactly the half one.
    exact = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    for tensor in model.initializers:
        np.testing.assert_array_equal(model.constant(tensor), exact[tensor].astype(np.float32))


def test_what_is_computed_stays_within_half_precision(tmp_path: Path) -> None:
    feeds = {"x": np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)}
    model = loaded(halved(net(), TensorProto.FLOAT16, ends=False), tmp_path)
    np.testing.assert_allclose(run(model.proto, feeds)[0], run(net(), feeds)[0], atol=5e-3)


def test_half_precision_inside_control_flow_is_widened(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.full(3, 2, np.float16), "inner")
    half = helper.make_tensor_value_info("out", TensorProto.FLOAT16, [1, 3])
    graphs = [
        helper.make_graph([helper.make_node(op, ["h", "inner"], ["out"])], op, [], [half], [weight])
        for op in ("Mul", "Add")
    ]
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["condition"], to=TensorProto.BOOL),
        helper.make_node("If", ["condition"], ["y"], then_branch=graphs[0], else_branch=graphs[1]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT16, [1, 3])
    proto = helper.make_model(
        helper.make_graph(nodes, "g", [given], [made]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    model = loaded(proto, tmp_path)
    assert "2 constants" in model.notes[0]
    [y] = run(model.proto, {"x": np.ones((1, 3), np.float32)})
    assert y.dtype == np.float32 and y.tolist() == [[2, 2, 2]]


def test_float32_has_nothing_to_say(tmp_path: Path) -> None:
    assert loaded(net(), tmp_path).notes == ()
