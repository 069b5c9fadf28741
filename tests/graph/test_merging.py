from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from edgeq.graph.merging import Merged
from tests.nets import Net, loaded


def _run(proto: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return list(session.run(None, {"x": x}))


def test_the_same_graph_again_adds_nothing(tmp_path: Path) -> None:
    net = Net()
    model = net.model(tmp_path, [net.silu(net.conv("x", "a", (4, 3, 3, 3)), "b")])
    merged = Merged(model)
    count = len(merged.nodes)

    names = merged.add(model.nodes, ())

    assert len(merged.nodes) == count
    assert names["b"] == "b"


def test_a_changed_constant_changes_what_is_behind_it_only(tmp_path: Path) -> None:
    net = Net()
    first = net.conv("x", "first", (4, 3, 3, 3))
    second = net.conv(first, "second", (4, 4, 1, 1))
    model = net.model(tmp_path, [first, second])
    merged = Merged(model)
    weight = numpy_helper.from_array(2 * model.constant("second.w"), "second.w")
    bias = numpy_helper.from_array(2 * model.constant("second.b"), "second.b")

    names = merged.add(model.nodes, [weight, bias])

    assert names["first"] == "first"
    assert names["second"] != "second"
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    plain, doubled = _run(merged.proto(["second", names["second"]]), x)
    np.testing.assert_allclose(doubled, 2 * plain, rtol=1e-5, atol=1e-6)


def test_nodes_that_no_output_needs_are_left_out(tmp_path: Path) -> None:
    net = Net()
    first = net.conv("x", "first", (4, 3, 3, 3))
    second = net.conv(first, "second", (4, 4, 1, 1))
    proto = Merged(net.model(tmp_path, [first, second])).proto(["first"])

    assert [node.name for node in proto.graph.node] == ["first"]
    assert {tensor.name for tensor in proto.graph.initializer} == {"first.w", "first.b"}


def test_subgraphs_read_the_values_of_their_own_variant(tmp_path: Path) -> None:
    net = Net()
    outside = net.conv("x", "outside", (3, 3, 1, 1))
    many = net.node("ReduceSum", ["x"], "total", keepdims=0)
    zero = net.constant("zero", np.array(1e9, np.float32))
    condition = net.node("Less", [many, zero], "condition")
    shape = [1, 3, 8, 8]

    def branch(name: str, op: str) -> onnx.GraphProto:
        made = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        return helper.make_graph([helper.make_node(op, [outside], [name])], name, [], [made])

    chosen = net.node(
        "If",
        [condition],
        "chosen",
        then_branch=branch("then", "Neg"),
        else_branch=branch("else", "Abs"),
    )
    model = loaded(net.proto([chosen, outside]), tmp_path)
    merged = Merged(model)
    weight = numpy_helper.from_array(2 * model.constant("outside.w"), "outside.w")

    names = merged.add(model.nodes, [weight])

    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    wanted = ["outside", "chosen", names["outside"], names["chosen"]]
    plain, negated, other, other_negated = _run(merged.proto(wanted), x)
    np.testing.assert_array_equal(negated, -plain)
    np.testing.assert_array_equal(other_negated, -other)
    assert not np.array_equal(plain, other)
