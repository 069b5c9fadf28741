"""What the plan and the writer make of a graph, by asking the written graph."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.quantize import Quantize
from tests.nets import Net, loaded

from .builds import (
    LEVELS,
    Level,
    Written,
    inputs_of,
    op_types,
    placement,
    plan_of,
    run,
    session,
    snr_db,
)


def backbone(net: Net, head: bool = True) -> list[str]:
    """Convolutions with SiLU and Relu, a residual, a Split, a Concat, MaxPool and Resize; a head of
    two convolutions whose maps are reshaped and put together."""
    a = net.silu(net.conv("x", "stem", (8, 3, 3, 3)), "stem.act")
    sizes = net.constant("sizes", np.array([4, 4], np.int64))
    first = net.node("Split", [a, sizes], "split", 2, axis=1)
    second = first.replace(".0", ".1")
    b = net.node("Relu", [net.conv(second, "inner", (4, 4, 3, 3), bias=False)], "inner.act")
    b = net.node("Add", [second, b], "add")
    pooled = net.node("MaxPool", [b], "pool", kernel_shape=[2, 2], strides=[2, 2])
    scales = net.constant("scales", np.array([1, 1, 2, 2], np.float32))
    nearest: dict[str, Any] = {
        "coordinate_transformation_mode": "asymmetric",
        "nearest_mode": "floor",
    }
    up = net.node("Resize", [pooled, "", scales], "up", mode="nearest", **nearest)
    joined = net.node("Concat", [first, b, up], "concat", axis=1)
    c = net.silu(net.conv(joined, "neck", (8, 12, 1, 1)), "neck.act")
    if not head:
        net.conv(c, "last", (4, 8, 1, 1))
        return ["last"]
    shape = net.constant("shape", np.array([1, 6, -1], np.int64))
    parts = []
    for name in ("box", "score"):
        y = net.conv(
            net.silu(net.conv(c, f"{name}.0", (8, 8, 3, 3)), f"{name}.act"), name, (6, 8, 1, 1)
        )
        parts.append(net.node("Reshape", [y, shape], f"{name}.flat"))
    hundred = net.constant("hundred", np.array(100, np.float32))
    boxes = net.node("Mul", [parts[0], hundred], "box.pixels")
    scores = net.node("Sigmoid", [parts[1]], "score.share")
    net.node("Concat", [boxes, scores], "output", axis=1)
    return ["output"]


LAYERS = ["stem", "inner", "neck", "box.0", "box", "score.0", "score"]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    net = Net(side=16)
    return net.model(tmp_path, backbone(net))


def built(model: Model, recipe: dict[str, Any] | None = None) -> tuple[Plan, Written]:
    plan = plan_of(model, Quantize.model_validate(recipe or {}))
    return plan, Written(model, plan)


def integer_layers(written: Written) -> list[str]:
    return [name for name in LAYERS if written.source(name, 1) == "DequantizeLinear"]


def test_by_default_every_layer_is_quantized_and_the_tail_stays_float(model: Model) -> None:
    plan, written = built(model)

    assert integer_layers(written) == LAYERS
    for name in ("box.flat", "score.flat", "box.pixels", "score.share", "output"):
        assert not plan.decisions[name].quantized
        assert f"{name}/q" not in written.makers
    assert written.source("box.flat", 0) == "DequantizeLinear"
    assert written.source("output", 0) == "Mul"


def test_float_head_keeps_the_layers_that_feed_the_tail(model: Model) -> None:
    _, written = built(model, {"head": "float-head"})

    assert integer_layers(written) == [n for n in LAYERS if n not in ("box", "score")]
    assert written.source("box", 1) == written.source("score", 2) == "constant"
    assert written.source("box.flat", 0) == "Conv"


def test_head_quantize_leaves_nothing_out_that_has_an_int8_form(model: Model) -> None:
    plan, written = built(model, {"head": "quantize"})

    assert integer_layers(written) == LAYERS
    floats = [name for name, decision in plan.decisions.items() if not decision.quantized]
    assert floats == ["box.pixels"]  # a product with a constant
    assert "output" in plan.tensors


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("neck", ["neck"]),
        ("box*", ["box.0", "box"]),
        ("score.?", ["score.0"]),
        ("op:Conv", LAYERS),
        ("op:MaxPool", []),
        ("inner.act", []),
    ],
)
def test_an_excluded_node_stays_float_and_no_other(
    pattern: str, left_out: list[str], model: Model
) -> None:
    plan, written = built(model, {"exclude": [pattern]})

    assert integer_layers(written) == [name for name in LAYERS if name not in left_out]
    for name in left_out:
        assert written.source(name, 1) == "constant"
        weight = model.producers[name].input[1]
        np.testing.assert_array_equal(written.constants[weight], model.constant(weight))
        assert pattern in plan.decisions[name].reason
        assert not any(key.startswith(f"{name}/weight") for key in written.constants)


def test_layers_that_were_not_excluded_keep_their_scales(model: Model) -> None:
    whole, _ = built(model)

    plan, _ = built(model, {"exclude": ["neck"]})

    assert all(plan.weights[name] == whole.weights[name] for name in plan.weights)
    assert all(plan.tensors[name] == whole.tensors[name] for name in plan.tensors)


def test_a_pattern_that_matches_nothing_is_an_error_with_the_nearest_names(model: Model) -> None:
    with pytest.raises(InputError) as raised:
        built(model, {"exclude": ["nekc", "op:Convv"], "overrides": {"stm": "float"}})

    message = str(raised.value)
    for wanted in ("'nekc' matches no node", "'neck'", "'op:Conv'", "'stm' matches", "'stem'"):
        assert wanted in message


def test_an_override_float_leaves_a_layer_out(model: Model) -> None:
    plan, written = built(model, {"overrides": {"neck": "float"}})

    assert integer_layers(written) == [name for name in LAYERS if name != "neck"]
    assert plan.decisions["neck"].reason == "'neck' in overrides is float"


def test_an_override_changes_the_scales_of_what_a_layer_writes_and_no_other(model: Model) -> None:
    whole, _ = built(model)
    percentile = {"calibrator": "percentile", "percentile": 90}

    plan, _ = built(model, {"overrides": {"neck": {"activations": percentile}}})

    changed = [name for name in plan.tensors if plan.tensors[name] != whole.tensors[name]]
    assert changed == ["neck"]
    assert plan.tensors["neck"].scale < whole.tensors["neck"].scale
    assert plan.weights == whole.weights


def test_an_override_makes_one_layers_weights_per_tensor(model: Model) -> None:
    recipe = {"overrides": {"neck": {"weights": {"granularity": "per-tensor"}}}}

    plan, written = built(model, recipe)

    integers, scales, axis = written.dequantized("neck", 1)
    assert (scales.shape, axis) == ((), -1)
    assert written.dequantized("stem", 1)[1].shape == (8,)
    assert np.abs(integers).max() == 63
    assert [n for n, w in plan.weights.items() if w.axis is None] == ["neck"]


@pytest.mark.parametrize("calibrator", ["max", "mse", "entropy", "percentile"])
def test_weights_may_be_calibrated_by_every_calibrator(calibrator: str, model: Model) -> None:
    chosen = {
        "calibrator": calibrator,
        **({"percentile": 99} if calibrator == "percentile" else {}),
    }

    plan, _ = built(model, {"weights": chosen})
    widest, _ = built(model)

    for name, weight in plan.weights.items():
        assert all(
            0 < s <= w for s, w in zip(weight.scales, widest.weights[name].scales, strict=True)
        )


def test_weight_scales_stand_along_the_output_channels(model: Model) -> None:
    _, written = built(model)

    for name in LAYERS:
        weight = model.constant(model.producers[name].input[1])
        integers, scales, axis = written.dequantized(name, 1)
        assert integers.dtype == np.int8
        assert (scales.shape, axis) == ((weight.shape[0],), 0)
        most = np.abs(weight.astype(np.float64)).max(axis=(1, 2, 3))
        np.testing.assert_allclose(scales, most / 63, rtol=1e-6)
        assert np.abs(integers).max() == 63


@pytest.mark.parametrize(("dtype", "zero"), [("int8", 0), ("uint8", 128)])
def test_scheme_scale_puts_zero_in_the_middle(dtype: str, zero: int, model: Model) -> None:
    recipe = Quantize.model_validate({"activations": {"scheme": "scale"}})
    rules = placement("int8" if dtype == "int8" else "uint8")

    plan = plan_of(model, recipe, rules=rules)

    assert {(s.zero_point, s.dtype) for s in plan.tensors.values()} == {(zero, dtype)}


def test_affine_uses_all_integers_of_a_one_sided_tensor(model: Model) -> None:
    plan, _ = built(model)

    assert plan.tensors["inner.act"].zero_point == 0
    assert plan.tensors["stem"].zero_point not in (0, 255)


def test_tensors_that_are_only_moved_share_a_scale(model: Model) -> None:
    plan, _ = built(model)

    assert plan.tensors["split.0"] == plan.tensors["split.1"] == plan.tensors["stem.act"]
    assert plan.tensors["pool"] == plan.tensors["up"] == plan.tensors["add"]
    assert plan.tensors["stem.act"] != plan.tensors["add"]


def test_a_relu_is_absorbed_by_its_layer(model: Model) -> None:
    plan, written = built(model)

    assert "inner" not in plan.tensors
    assert written.source("inner.act", 0) == "Conv"
    assert written.readers("inner.act") == ["QuantizeLinear"]


def test_a_relu_behind_a_symmetric_tensor_has_a_pair_of_its_own(model: Model) -> None:
    plan, written = built(model, {"activations": {"scheme": "scale"}})

    assert "inner" in plan.tensors
    assert written.source("inner.act", 0) == "DequantizeLinear"


def test_the_parts_of_a_concat_have_scales_of_their_own(model: Model) -> None:
    plan, written = built(model)

    assert [written.source("concat", i) for i in range(3)] == ["DequantizeLinear"] * 3
    makers = [written.makers[name] for name in written.nodes["concat"].input]
    assert [m.input[0] for m in makers] == ["split.0/q", "add/q", "up/q"]
    assert plan.tensors["add"] != plan.tensors["split.0"]


def test_every_reader_has_a_dequantization_of_its_own(model: Model) -> None:
    _, written = built(model)

    for node in written.proto.graph.node:
        if node.op_type == "DequantizeLinear":
            assert len(written.readers(node.output[0])) == 1, node.name
    assert sorted(written.readers("add/q")) == ["DequantizeLinear"] * 2


def test_a_tensor_is_quantized_once_however_many_read_it(model: Model) -> None:
    _, written = built(model)

    quantized = [n.input[0] for n in written.proto.graph.node if n.op_type == "QuantizeLinear"]
    assert len(quantized) == len(set(quantized))


@pytest.mark.parametrize("head", ["float-tail", "float-head", "quantize"])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_the_interface_is_that_of_the_float_model(head: str, dtype: str, model: Model) -> None:
    rules = placement("int8" if dtype == "int8" else "uint8")
    plan = plan_of(model, Quantize.model_validate({"head": head}), rules=rules)
    written = Written(model, plan)

    onnx.checker.check_model(written.proto, full_check=True)
    assert written.proto.graph.output == model.proto.graph.output
    assert written.proto.graph.input == model.proto.graph.input
    assert {node.name for node in model.nodes} <= set(written.nodes)
    for level in LEVELS:
        found = run(written.content, inputs_of(model)[0], level)
        assert {n: v.shape for n, v in found.items()} == model.outputs
        assert all(v.dtype == np.float32 for v in found.values())


@pytest.mark.parametrize("level", LEVELS)
def test_the_quantized_model_computes_what_the_float_one_does(level: Level, model: Model) -> None:
    x = inputs_of(model)[0]
    _, written = built(model)

    found = run(written.content, x, level)["output"]

    assert snr_db(run(model.proto.SerializeToString(), x)["output"], found) > 20


@pytest.mark.parametrize("opset", [13, 14, 17, 19, 21])
def test_opset_is_kept_and_the_ir_version_the_least_that_holds_it(
    opset: int, tmp_path: Path
) -> None:
    net = Net(side=16)
    proto = net.proto(backbone(net, head=False), opset)
    proto.ir_version = 10

    model = loaded(proto, tmp_path)
    _, written = built(model)

    assert written.proto.opset_import[0].version == opset
    assert written.proto.ir_version == {13: 7, 14: 7, 17: 8, 19: 9, 21: 10}[opset]
    run(written.content, inputs_of(model)[0])


def test_same_model_and_plan_give_the_same_bytes(model: Model) -> None:
    plan, written = built(model)

    again = write_qdq(model, Plan.from_json(plan.to_json()))

    assert again == written.content


PROGRAM = """
import hashlib, sys
from pathlib import Path
from edgeq.graph.load import load
from edgeq.spec.quantize import Quantize
from tests.runtimes.builds import plan_of
from edgeq.runtimes.qdq import write_qdq
model = load(Path(sys.argv[1]))
plan = plan_of(model, Quantize())
print(hashlib.sha256(write_qdq(model, plan) + plan.to_json().encode()).hexdigest())
"""


def test_two_processes_write_the_same_bytes(model: Model) -> None:
    root = Path(__file__).parents[2]
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(model.path)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in ("0", "1")
    ]

    assert runs[0].stdout == runs[1].stdout != ""


# Forms that exporters produce, one network each.


def both_levels(model: Model, written: Written, at_least_db: float = 20) -> None:
    """The written graph runs, and gives about what the float model does."""
    x = inputs_of(model)[0]
    exact = run(model.proto.SerializeToString(), x)
    for level in LEVELS:
        found = run(written.content, x, level)
        for name in model.outputs:
            assert found[name].shape == exact[name].shape
            assert snr_db(exact[name], found[name]) > at_least_db, (name, level)


def test_two_layers_may_share_weights_and_bias(tmp_path: Path) -> None:
    net = Net(channels=4)
    first = net.conv("x", "one", (4, 4, 3, 3))
    net.node("Conv", [first, "one.w", "one.b"], "two", pads=[1] * 4)
    model = net.model(tmp_path, ["two"])

    plan, written = built(model)

    assert plan.weights["one"] == plan.weights["two"]
    both_levels(model, written)


def test_graph_outputs_that_others_read_stay_outputs(tmp_path: Path) -> None:
    net = Net()
    first = net.conv("x", "one", (4, 3, 3, 3))
    net.conv(first, "two", (4, 4, 3, 3))
    model = net.model(tmp_path, ["one", "two"])

    _, written = built(model)

    assert written.source("two", 0) == "DequantizeLinear"
    both_levels(model, written)


def test_depthwise_and_grouped_convolutions_are_quantized(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.conv("x", "depthwise", (4, 1, 3, 3), group=4)
    net.conv(a, "grouped", (8, 2, 3, 3), group=2)
    model = net.model(tmp_path, ["grouped"])

    plan, written = built(model)

    assert [len(w.scales) for w in plan.weights.values()] == [4, 8]
    both_levels(model, written)


def test_a_product_with_a_constant_matrix_is_scaled_by_column(tmp_path: Path) -> None:
    net = Net(channels=3)
    weight = net.rng.standard_normal((8, 5)).astype(np.float32)
    net.node("MatMul", ["x", net.constant("w", weight)], "product")
    model = net.model(tmp_path, ["product"])

    plan, written = built(model, {"head": "quantize"})

    assert (plan.weights["product"].axis, len(plan.weights["product"].scales)) == (1, 5)
    both_levels(model, written)


@pytest.mark.parametrize("shape", [(3, 8, 5), (8,)])
def test_products_with_stacks_of_matrices_or_vectors_run(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    net = Net(channels=3)
    weight = net.rng.standard_normal(shape).astype(np.float32)
    net.node("MatMul", ["x", net.constant("w", weight)], "product")
    model = net.model(tmp_path, ["product"])

    _, written = built(model, {"head": "quantize"})

    both_levels(model, written)


def test_an_attention_product_stays_float(tmp_path: Path) -> None:
    net = Net(channels=3)
    a, b = net.conv("x", "a", (3, 3, 1, 1)), net.conv("x", "b", (3, 3, 1, 1))
    net.node("MatMul", [a, b], "product")
    model = net.model(tmp_path, ["product"])

    plan, written = built(model)

    assert "computed" in plan.decisions["product"].reason
    both_levels(model, written)


@pytest.mark.parametrize("bias", [(5,), (1, 5), (1,), (), (2, 5)])
@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_gemm_with_a_bias_of_any_shape_and_factors_runs(
    bias: tuple[int, ...], factor: float, tmp_path: Path
) -> None:
    net = Net(channels=2, side=3)
    shape = net.constant("shape", np.array([2, 9], np.int64))
    flat = net.node("Reshape", ["x", shape], "flat")
    constants = {"w": (9, 5), "b": bias}
    names = [
        net.constant(n, np.asarray(net.rng.standard_normal(s), np.float32))
        for n, s in constants.items()
    ]
    net.node("Gemm", [flat, *names], "gemm", alpha=factor, beta=2 * factor)
    model = net.model(tmp_path, ["gemm"])

    _, written = built(model, {"head": "quantize"})

    both_levels(model, written)


def test_a_subgraph_reads_a_quantized_tensor(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    net.conv(a, "two", (4, 4, 1, 1))
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node("Add" if name == "then" else "Mul", ["one", "two"], [name])],
            name,
            [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 8, 8])],
        )
        for name in ("then", "else")
    }
    mean = net.node("ReduceMean", ["two"], "mean", keepdims=0)
    zero = net.constant("zero", np.array(0, np.float32))
    net.node("If", [net.node("Greater", [mean, zero], "positive")], "chosen", **branches)
    model = net.model(tmp_path, ["chosen"])

    plan, written = built(model)

    assert {"one", "two"} <= set(plan.weights)
    both_levels(model, written)


def test_initializers_that_are_listed_as_inputs_are_no_inputs(tmp_path: Path) -> None:
    net = Net()
    net.conv("x", "one", (4, 3, 3, 3))
    proto = net.proto(["one"])
    for tensor in proto.graph.initializer:  # as exporters did up to IR version 3
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        proto.graph.input.append(value)
    model = loaded(proto, tmp_path)

    _, written = built(model)

    assert [value.name for value in written.proto.graph.input] == ["x"]
    both_levels(model, written)


def test_names_that_the_model_uses_already_are_not_taken(tmp_path: Path) -> None:
    net = Net(channels=4)
    weight = net.rng.standard_normal((4, 4, 1, 1)).astype(np.float32)
    bias = net.rng.standard_normal(4).astype(np.float32)
    inputs = ["x", net.constant("one/weight", weight), net.constant("one/bias", bias)]
    a = net.node("Conv", inputs, "one")
    b = net.node("Sigmoid", [a], "one/q")
    net.node("Mul", [a, b], "x/scale")
    net.conv("x/scale", "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    _, written = built(model)

    both_levels(model, written)


def test_a_scalar_operand_runs(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    mean = net.node("ReduceMean", [a], "mean", keepdims=0)
    net.conv(net.node("Mul", [a, mean], "scaled"), "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    _, written = built(model)

    both_levels(model, written)


def test_a_computed_bias_runs(tmp_path: Path) -> None:
    net = Net(channels=4)
    mean = net.node("ReduceMean", ["x"], "mean", axes=[0, 2, 3], keepdims=0)
    weight = net.constant("w", net.rng.standard_normal((4, 4, 1, 1)).astype(np.float32))
    net.node("Conv", ["x", weight, mean], "one")
    model = net.model(tmp_path, ["one"])

    _, written = built(model)

    both_levels(model, written)


def test_one_tensor_twice_in_one_node_runs(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    squared = net.node("Mul", [a, a], "squared")
    both = net.node("Concat", [squared, squared], "both", axis=1)
    net.conv(both, "two", (4, 8, 1, 1))
    model = net.model(tmp_path, ["two"])

    _, written = built(model)

    both_levels(model, written)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_a_resize_that_mixes_values_runs(mode: str, tmp_path: Path) -> None:
    net = Net(channels=4)
    scales = net.constant("scales", np.array([1, 1, 2, 2], np.float32))
    a = net.node("Resize", [net.conv("x", "one", (4, 4, 3, 3)), "", scales], "up", mode=mode)
    net.conv(a, "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    _, written = built(model)

    both_levels(model, written)


def test_add_then_relu_fuses_and_runs(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.node(
        "Relu", [net.node("Add", [net.conv("x", "one", (4, 4, 3, 3)), "x"], "sum")], "relu"
    )
    net.conv(net.node("GlobalAveragePool", [a], "pooled"), "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])
    plan, written = built(model)

    session(written.content, "all", tmp_path / "fused.onnx")

    counts = op_types(onnx.load(tmp_path / "fused.onnx"))
    assert (counts["Relu"], counts["QLinearAdd"], counts["QLinearConv"]) == (0, 1, 2)
    assert "sum" not in plan.tensors
    both_levels(model, written)


def test_dead_and_tiny_channels_stay_harmless(tmp_path: Path) -> None:
    net = Net(channels=4)
    net.conv("x", "one", (4, 4, 3, 3))
    weight = numpy_helper.to_array(net.constants[0]).copy()
    weight[0], weight[1] = 0, 1e-30
    net.constants[0].CopyFrom(numpy_helper.from_array(weight, "one.w"))
    model = net.model(tmp_path, ["one"])

    _, written = built(model)

    both_levels(model, written)


def test_a_model_with_every_layer_excluded_is_the_float_model(model: Model) -> None:
    x = inputs_of(model)[0]
    plan, written = built(model, {"exclude": ["*"]})

    assert op_types(written.proto) == op_types(model.proto)
    assert plan.layers_quantized == 0
    np.testing.assert_array_equal(
        run(written.content, x)["output"], run(model.proto.SerializeToString(), x)["output"]
    )
