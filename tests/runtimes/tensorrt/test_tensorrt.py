"""Placement for TensorRT, by asking plan and written graph of minimal networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import check
from edgeq.quantization.rules import Placement
from edgeq.runtimes import runtime
from edgeq.runtimes.tensorrt import RULES, RUNTIME
from edgeq.spec import target as targets
from edgeq.spec.quantize import Quantize
from tests.nets import Net

from ... import probes
from ..builds import inputs_of, op_types, plan_of, run, snr_db
from .trt import accepts

VERSIONS = {"8.5": "float-weights", "10.3": "int8-weights", "11.4": "float16"}


def rules(version: str = "10.3") -> Placement:
    target = targets.load("jetson-orin").model_copy(update={"engine_version": version})
    return RUNTIME.placement(target, None)[0]


def planned(
    net: Net, folder: Path, outputs: list[str], version: str = "10.3", **quantize: Any
) -> tuple[Model, Plan]:
    model = net.model(folder, outputs)
    return model, plan_of(model, Quantize.model_validate(quantize), rules=rules(version))


def written(model: Model, plan: Plan) -> onnx.ModelProto:
    return onnx.load_from_string(RUNTIME.write(model, plan)["model.onnx"])


def sources(proto: onnx.ModelProto, node: str) -> list[str]:
    """What makes each input of a node: an op type, or 'constant' or 'input'."""
    makers = {name: made for made in proto.graph.node for name in made.output}
    constants = {tensor.name for tensor in proto.graph.initializer}
    [found] = [made for made in proto.graph.node if made.name == node]
    return [
        makers[name].op_type if name in makers else "constant" if name in constants else "input"
        for name in found.input
        if name
    ]


def reason(plan: Plan, node: str) -> str:
    decision = plan.decisions[node]
    assert not decision.quantized
    return decision.reason.partition(":")[0]


def test_every_rule_says_its_name_reason_and_source() -> None:
    assert all(rule.name and rule.reason and rule.source and rule.op_types for rule in RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert runtime("tensorrt") is RUNTIME


def test_a_layer_reads_int8_and_writes_float(tmp_path: Path) -> None:
    net = Net(channels=16)
    net.conv(net.silu(net.conv("x", "one", (16, 16, 3, 3)), "act"), "two", (16, 16, 1, 1))
    model, plan = planned(net, tmp_path, ["two"])

    proto = written(model, plan)

    assert sources(proto, "one") == ["DequantizeLinear", "DequantizeLinear", "constant"]
    # Nothing between the layer and its activation; the activation's output is quantized for two.
    assert sources(proto, "act.gate") == ["Conv"]
    assert sources(proto, "act") == ["Conv", "Sigmoid"]
    assert sources(proto, "two")[0] == "DequantizeLinear"
    assert sorted(plan.tensors) == ["act", "x"]
    assert plan.integers == ()
    assert reason(plan, "act") == reason(plan, "act.gate") == "activation"


def test_a_tensor_has_one_pair_for_all_its_readers(tmp_path: Path) -> None:
    net = Net(channels=16)
    a = net.silu(net.conv("x", "one", (16, 16, 1, 1)), "act")
    outputs = [net.conv(a, name, (16, 16, 1, 1)) for name in ("two", "three")]
    outputs.append(net.node("Tanh", [a], "float"))
    model, plan = planned(net, tmp_path, outputs)

    proto = written(model, plan)

    pairs = [node for node in proto.graph.node if node.name.startswith("act/")]
    assert [node.op_type for node in pairs] == ["QuantizeLinear", "DequantizeLinear"]
    assert sources(proto, "float") == ["Mul"]  # float readers lose nothing


@pytest.mark.parametrize("silu", [True, False])
def test_residual_quantizes_the_identity_alone(silu: bool, tmp_path: Path) -> None:
    net = Net(channels=16)
    x = net.silu(net.conv("x", "stem", (16, 16, 1, 1)), "stem.act")
    y = net.conv(x, "inner", (16, 16, 3, 3))
    y = net.silu(y, "inner.act") if silu else y
    net.conv(net.node("Add", [y, x], "add"), "last", (16, 16, 1, 1))
    model, plan = planned(net, tmp_path, ["last"])

    proto = written(model, plan)

    assert plan.reads["add"] == ("stem.act",)
    assert sources(proto, "add") == ["Mul" if silu else "Conv", "DequantizeLinear"]
    assert sources(proto, "last")[0] == "DequantizeLinear"


def test_residual_with_a_convolution_in_the_shortcut(tmp_path: Path) -> None:
    net = Net(channels=16)
    shortcut = net.conv("x", "shortcut", (16, 16, 1, 1))
    last = net.conv(
        net.node("Relu", [net.conv("x", "a", (16, 16, 3, 3))], "r"), "b", (16, 16, 3, 3)
    )
    net.conv(
        net.node("Relu", [net.node("Add", [last, shortcut], "add")], "out"), "c", (16, 16, 1, 1)
    )
    _, plan = planned(net, tmp_path, ["c"])

    assert plan.reads["add"] == ("shortcut",)
    assert "b" not in plan.tensors


def test_sum_of_no_block_stays_float(tmp_path: Path) -> None:
    net = Net(channels=16)
    a, b = (net.node(op, ["x"], op) for op in ("Tanh", "Exp"))
    net.conv(net.node("Add", [a, b], "add"), "one", (16, 16, 1, 1))
    _, plan = planned(net, tmp_path, ["one"])

    assert not plan.decisions["add"].quantized
    assert sorted(plan.tensors) == ["add"]


def test_concat_and_what_it_joins_have_one_scale(tmp_path: Path) -> None:
    net = Net(channels=16)
    a = net.silu(net.conv("x", "one", (16, 16, 1, 1)), "a")
    b = net.silu(net.conv(a, "two", (16, 16, 1, 1)), "b")
    c = net.node("MaxPool", [b], "pool", kernel_shape=[1, 1])
    net.conv(net.node("Concat", [a, b, c], "concat", axis=1), "last", (16, 48, 1, 1))
    model, plan = planned(net, tmp_path, ["last"])

    proto = written(model, plan)

    scales = {plan.tensors[name].scale for name in ("a", "b", "pool", "concat")}
    assert len(scales) == 1
    alone = plan_of(model, Quantize(exclude=("concat", "pool")), rules=rules())
    assert scales == {max(alone.tensors[name].scale for name in ("a", "concat"))} | scales
    assert sources(proto, "concat") == ["DequantizeLinear"] * 3
    assert sources(proto, "pool") == ["DequantizeLinear"]
    assert plan.integers == ("concat", "pool")


@pytest.mark.parametrize("op", ["MaxPool", "Resize"])
def test_what_commutes_keeps_its_scale(op: str, tmp_path: Path) -> None:
    net = Net(channels=16)
    a = net.silu(net.conv("x", "one", (16, 16, 1, 1)), "a")
    if op == "MaxPool":
        moved = net.node("MaxPool", [a], "moved", kernel_shape=[2, 2], strides=[2, 2])
    else:
        scales = net.constant("scales", np.array([1, 1, 2, 2], np.float32))
        moved = net.node("Resize", [a, "", scales], "moved", mode="nearest")
    net.conv(moved, "last", (16, 16, 1, 1))
    model, plan = planned(net, tmp_path, ["last"])

    assert plan.tensors["a"] == plan.tensors["moved"]
    assert sources(written(model, plan), "moved")[0] == "DequantizeLinear"


def test_what_nobody_reads_as_int8_stays_float(tmp_path: Path) -> None:
    net = Net(channels=16)
    a = net.silu(net.conv("x", "one", (16, 16, 1, 1)), "a")
    net.node("Tanh", [net.node("MaxPool", [a], "pool", kernel_shape=[1, 1])], "last")
    _, plan = planned(net, tmp_path, ["last"])

    assert plan.decisions["pool"].reason == "nothing behind it computes in int8"
    assert sorted(plan.tensors) == ["x"]


def test_average_pool_has_a_pair_on_both_sides(tmp_path: Path) -> None:
    net = Net(channels=16)
    a = net.silu(net.conv("x", "one", (16, 16, 1, 1)), "a")
    pooled = net.node("AveragePool", [a], "pool", kernel_shape=[2, 2], strides=[2, 2])
    net.conv(pooled, "last", (16, 16, 1, 1))
    model, plan = planned(net, tmp_path, ["last"])

    assert sources(written(model, plan), "pool") == ["DequantizeLinear"]
    assert plan.tensors["a"].scale != plan.tensors["pool"].scale
    assert plan.integers == ("pool",)


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm_has_its_scales_along_the_output_columns(transposed: int, tmp_path: Path) -> None:
    net = Net(channels=16, side=4)
    shape = net.constant("shape", np.array([16, 16], np.int64))
    flat = net.node("Reshape", ["x", shape], "flat")
    size = (24, 16) if transposed else (16, 24)
    weight = net.constant("w", net.rng.standard_normal(size).astype(np.float32))
    net.node("Gemm", [flat, weight], "gemm", transB=transposed)
    _, plan = planned(net, tmp_path, ["gemm"], head="quantize")

    assert plan.weights["gemm"].axis == (0 if transposed else 1)
    assert len(plan.weights["gemm"].scales) == 24


@pytest.mark.parametrize("groups", [1, 2, 16])
def test_grouped_and_depthwise_convolutions_have_a_scale_a_channel(
    groups: int, tmp_path: Path
) -> None:
    net = Net(channels=16)
    net.conv("x", "one", (32, 16 // groups, 3, 3), group=groups)
    _, plan = planned(net, tmp_path, ["one"])

    assert plan.weights["one"].axis == 0
    assert len(plan.weights["one"].scales) == 32


def test_what_int8_does_not_pay_for_stays_float(tmp_path: Path) -> None:
    net = Net(channels=16)
    weight = net.constant("t.w", net.rng.standard_normal((16, 16, 2, 2)).astype(np.float32))
    up = net.node("ConvTranspose", ["x", weight], "up", strides=[2, 2])
    outputs = [up, net.conv("x", "few", (8, 16, 1, 1)), net.node("MatMul", ["x", "x"], "product")]
    _, plan = planned(net, tmp_path, outputs)

    assert reason(plan, "up") == "transposed-convolution"
    assert reason(plan, "few") == "small-channels"
    assert reason(plan, "product") == "attention"
    assert not plan.tensors


def test_bias_stays_float_and_zero_points_are_zero(tmp_path: Path) -> None:
    net = Net(channels=16)
    net.conv(net.node("Relu", [net.conv("x", "one", (16, 16, 3, 3))], "r"), "two", (16, 16, 1, 1))
    model, plan = planned(net, tmp_path, ["two"])

    proto = written(model, plan)

    constants = {t.name: onnx.numpy_helper.to_array(t) for t in proto.graph.initializer}
    zeros = [value for name, value in constants.items() if name.endswith("/zero_point")]
    assert zeros and all(z.dtype == np.int8 and not z.any() for z in zeros)
    assert not any(value.dtype == np.int32 for value in constants.values())
    assert min(scale.scale for scale in plan.tensors.values()) > 0


def test_tail_stays_float(tmp_path: Path) -> None:
    net = Net(channels=16)
    y = net.conv(net.silu(net.conv("x", "one", (16, 16, 3, 3)), "act"), "head", (16, 16, 1, 1))
    shape = net.constant("shape", np.array([1, 16, -1], np.int64))
    flat = net.node("Reshape", [y, shape], "flat")
    net.node("Concat", [net.node("Sigmoid", [flat], "scores"), flat], "out", axis=1)
    model, plan = planned(net, tmp_path, ["out"])

    assert sources(written(model, plan), "flat")[0] == "Conv"
    assert sorted(plan.tensors) == ["act", "x"]


def blocks(net: Net) -> list[str]:
    """A residual, a Concat over two scales of the image, and a tail."""
    a = net.silu(net.conv("x", "stem", (16, 16, 3, 3)), "stem.act")
    b = net.silu(net.conv(a, "inner", (16, 16, 3, 3)), "inner.act")
    b = net.node("Add", [a, b], "add")
    pooled = net.node("MaxPool", [b], "pool", kernel_shape=[2, 2], strides=[2, 2])
    scales = net.constant("scales", np.array([1, 1, 2, 2], np.float32))
    up = net.node("Resize", [pooled, "", scales], "up", mode="nearest")
    joined = net.node("Concat", [b, up], "concat", axis=1)
    head = net.conv(
        net.silu(net.conv(joined, "neck", (32, 32, 1, 1)), "neck.act"), "head", (16, 32, 1, 1)
    )
    shape = net.constant("shape", np.array([1, 16, -1], np.int64))
    return [net.node("Reshape", [head, shape], "flat")]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_form_is_near_the_float_model(version: str, tmp_path: Path) -> None:
    net = Net(channels=16)
    model, plan = planned(net, tmp_path, blocks(net), version)
    [x] = inputs_of(model, 1)

    found = run(RUNTIME.write(model, plan)["model.onnx"], x)["flat"]

    assert plan.form == VERSIONS[version]
    assert found.dtype == np.float32
    reference = run(model.proto.SerializeToString(), x)["flat"]
    assert snr_db(reference, found) > 25


def test_forms_with_float_and_int8_weights_compute_the_same(tmp_path: Path) -> None:
    net = Net(channels=16)
    outputs = blocks(net)
    model, old = planned(net, tmp_path, outputs, "8.5", weights={"calibrator": "entropy"})
    new = plan_of(
        model, Quantize.model_validate({"weights": {"calibrator": "entropy"}}), rules=rules()
    )
    [x] = inputs_of(model, 1)

    first, second = (
        run(RUNTIME.write(model, plan)["model.onnx"], x)["flat"] for plan in (old, new)
    )

    np.testing.assert_array_equal(first, second)
    weights = [
        n for n in written(model, old).graph.node if n.name.endswith("weight/QuantizeLinear")
    ]
    assert len(weights) == old.layers_quantized == 4


def test_float16_is_everywhere_but_in_the_tail(tmp_path: Path) -> None:
    net = Net(channels=16)
    model, plan = planned(net, tmp_path, blocks(net), "11.4")

    proto = onnx.shape_inference.infer_shapes(written(model, plan))

    types = {v.name: v.type.tensor_type.elem_type for v in proto.graph.value_info}
    assert types["stem.act"] == types["add"] == onnx.TensorProto.FLOAT16
    assert {v.type.tensor_type.elem_type for v in (*proto.graph.input, *proto.graph.output)} == {
        onnx.TensorProto.FLOAT
    }
    assert plan.float32 == ("flat",)
    assert proto.opset_import[0].version >= 19
    # One conversion in, one out.
    assert op_types(proto)["Cast"] <= 2


def test_what_overflows_float16_is_found_in_the_statistics(tmp_path: Path) -> None:
    net = Net(channels=16)
    huge = net.constant("huge", np.array(30000, np.float32))
    big = net.node("Mul", [net.conv("x", "one", (16, 16, 1, 1)), huge], "big")
    small = net.node("Tanh", [big], "tanh")
    net.conv(small, "two", (16, 16, 1, 1))
    model, plan = planned(net, tmp_path, ["two"], "11.4")
    [x] = inputs_of(model, 1)

    assert plan.float32 == ("big", "tanh")
    found = run(RUNTIME.write(model, plan)["model.onnx"], x)["two"]
    assert np.isfinite(found).all()
    assert snr_db(run(model.proto.SerializeToString(), x)["two"], found) > 15


def test_what_underflows_float16_stays_float32_up_to_the_division(tmp_path: Path) -> None:
    net = Net(channels=16)
    y = net.conv("x", "one", (16, 16, 1, 1))
    square = net.node("Mul", [y, y], "square")
    epsilon = net.constant("epsilon", np.array(1e-12, np.float32))
    root = net.node("Sqrt", [net.node("Add", [square, epsilon], "add")], "root")
    net.conv(net.node("Div", [y, root], "divide"), "two", (16, 16, 1, 1))
    model, plan = planned(net, tmp_path, ["two"], "11.4")

    assert plan.float32 == ("add", "root", "divide")
    zero = np.zeros((1, 16, 8, 8), np.float32)
    assert np.isfinite(run(RUNTIME.write(model, plan)["model.onnx"], zero)["two"]).all()
    half = RUNTIME.write_float(model, plan)
    assert np.isfinite(run(half, zero)["two"]).all()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("pooled", [True, False])
def test_output_that_is_also_read_inside(pooled: bool, version: str, tmp_path: Path) -> None:
    net = Net(channels=16)
    y = net.silu(net.conv("x", "one", (16, 16, 1, 1)), "act")
    y = net.node("MaxPool", [y], "pool", kernel_shape=[1, 1]) if pooled else y
    net.conv(y, "two", (16, 16, 1, 1))
    model, plan = planned(net, tmp_path, [y, "two"], version)
    [x] = inputs_of(model, 1)

    found = run(RUNTIME.write(model, plan)["model.onnx"], x)

    reference = run(model.proto.SerializeToString(), x)
    assert min(snr_db(reference[name], found[name]) for name in (y, "two")) > 25
    assert accepts(RUNTIME.write(model, plan)["model.onnx"])


@pytest.mark.parametrize("tail", [True, False])
def test_input_and_outputs_are_float16_where_the_recipe_says_so(tail: bool, tmp_path: Path) -> None:
    net = Net(channels=16)
    outputs = [*blocks(net), "neck.act"] if tail else ["neck.act"]
    if not tail:
        blocks(net)
    model, plan = planned(net, tmp_path, outputs, "11.4", io="float16")
    content = RUNTIME.write(model, plan)["model.onnx"]
    [x] = inputs_of(model, 1)

    proto = onnx.load_from_string(content)
    kinds = {v.type.tensor_type.elem_type for v in (*proto.graph.input, *proto.graph.output)}
    assert kinds == {onnx.TensorProto.FLOAT16}
    found = run(content, x.astype(np.float16))
    reference = run(model.proto.SerializeToString(), x)
    assert {value.dtype for value in found.values()} == {np.dtype(np.float16)}
    assert min(snr_db(reference[name], found[name].astype(np.float32)) for name in found) > 25
    assert accepts(content)
    assert accepts(RUNTIME.write_float(model, plan))


def test_float16_at_the_ends_needs_float16_between_them() -> None:
    for version in ("8.5", "10.3"):
        with pytest.raises(InputError, match=r"quantize\.io: tensorrt gets a graph in float32"):
            check(Quantize(io="float16"), rules(version))
    check(Quantize(io="float16"), rules("11.4"))


def test_concat_with_a_constant_stays_float(tmp_path: Path) -> None:
    net = Net(channels=16)
    y = net.silu(net.conv("x", "one", (16, 16, 1, 1)), "act")
    far = net.constant("far", np.full((1, 16, 8, 8), 50, np.float32))
    net.conv(net.node("Concat", [y, far], "concat", axis=1), "two", (16, 32, 1, 1))
    model, plan = planned(net, tmp_path, ["two"])
    [x] = inputs_of(model, 1)

    assert plan.decisions["concat"].reason == "one operand is constant"
    found = run(RUNTIME.write(model, plan)["model.onnx"], x)["two"]
    assert snr_db(run(model.proto.SerializeToString(), x)["two"], found) > 25


@pytest.mark.parametrize("shape", [(1, 8, 32), (1, 1, 8, 32), (8,)])
def test_weight_of_a_product_of_any_rank(shape: tuple[int, ...], tmp_path: Path) -> None:
    net = Net(channels=16)
    weight = net.constant("w", net.rng.standard_normal(shape).astype(np.float32))
    net.node("MatMul", ["x", weight], "product")
    model, plan = planned(net, tmp_path, ["product"], head="quantize")

    content = RUNTIME.write(model, plan)["model.onnx"]

    assert plan.weights["product"].axis == (len(shape) - 1 if len(shape) > 1 else None)
    assert RUNTIME.lint(content) == []
    [x] = inputs_of(model, 1)
    reference = run(model.proto.SerializeToString(), x)["product"]
    assert snr_db(reference, run(content, x)["product"]) > 25


def test_bias_that_is_computed_stays_float(tmp_path: Path) -> None:
    net = Net(channels=16, side=1)
    flat = net.node("Reshape", ["x", net.constant("s", np.array([1, 16], np.int64))], "flat")
    weight = net.constant("w", net.rng.standard_normal((16, 16)).astype(np.float32))
    net.node("Gemm", [flat, weight, net.node("Tanh", [flat], "bias")], "gemm")
    _, plan = planned(net, tmp_path, ["gemm"], head="quantize")

    assert plan.reads["gemm"] == ("flat",)
    assert "bias" not in plan.tensors


@settings(
    max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    ops=st.lists(st.sampled_from(["conv", "silu", "pool", "add", "concat", "up"]), max_size=10),
    version=st.sampled_from(sorted(VERSIONS)),
    seed=st.integers(0, 3),
)
def test_laws_of_placement_hold_for_any_network(
    ops: list[str], version: str, seed: int, tmp_path: Path
) -> None:
    net = Net(channels=16, side=4, seed=seed)
    made, channels = ["x"], {"x": 16}
    for i, op in enumerate([*ops, "conv"]):
        last, name = made[-1], f"{op}{i}"
        wide = channels[last]
        if op == "conv":
            net.conv(last, name, (16, wide, 1, 1))
            wide = 16
        elif op == "silu":
            net.silu(last, name)
        elif op == "pool":
            net.node("MaxPool", [last], name, kernel_shape=[1, 1])
        elif op == "up":
            sizes = net.constant(f"s{i}", np.array([1, 1, 1, 1], np.float32))
            net.node("Resize", [last, "", sizes], name, mode="nearest")
        else:
            other = next(t for t in made if channels[t] == wide)
            net.node(
                "Add" if op == "add" else "Concat",
                [last, other],
                name,
                **({"axis": 1} if op == "concat" else {}),
            )
            wide = 2 * wide if op == "concat" else wide
        made.append(name)
        channels[name] = wide
    model, plan = planned(net, tmp_path, [made[-1]], version)

    proto = written(model, plan)

    quantizers = [n for n in proto.graph.node if n.op_type == "QuantizeLinear"]
    read = [n.input[0] for n in quantizers]
    assert len(read) == len(set(read))  # one Q a tensor
    makers = {name: node.op_type for node in proto.graph.node for name in node.output}
    for node in proto.graph.node:
        if node.op_type == "Conv" and plan.decisions[node.name].quantized:
            assert makers[node.input[0]] == makers[node.input[1]] == "DequantizeLinear"
        if node.op_type in ("Sigmoid", "Mul"):
            assert "DequantizeLinear" not in [makers.get(name) for name in node.input] or any(
                name in plan.integers for name in plan.reads.get(node.name, ())
            )
        if node.op_type in ("Concat", "MaxPool", "Resize") and plan.decisions[node.name].quantized:
            names = [*plan.reads[node.name], node.output[0].removesuffix("/float")]
            assert len({plan.tensors[name].scale for name in names}) == 1
    [x] = inputs_of(model, 1)
    [found] = run(RUNTIME.write(model, plan)["model.onnx"], x).values()
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("version", "form"),
    [("8.6.1", "float-weights"), ("10.16.1.11", "int8-weights"), *VERSIONS.items()],
)
def test_form_follows_the_version_that_was_found(version: str, form: str) -> None:
    probe = probes.probe(packages={"tensorrt": version})
    placement, note = RUNTIME.placement(targets.load("jetson-xavier"), probe)
    assert placement.form == form
    assert version in note


def test_typing_is_a_choice_for_tensorrt_10_alone() -> None:
    def form(version: str, typing: str) -> str:
        target = targets.load("jetson-orin").model_copy(
            update={"engine_version": version, "typing": typing}
        )
        return RUNTIME.placement(target, None)[0].form

    assert (form("10.3", "strong"), form("10.3", "weak")) == ("float16", "int8-weights")
    for version, typing in (("8.5", "strong"), ("11.4", "weak")):
        with pytest.raises(InputError, match=f"has no {typing} typing; leave 'typing' out"):
            form(version, typing)


def test_version_that_nobody_knows_is_an_error() -> None:
    open_target = targets.load("jetson-orin").model_copy(update={"engine_version": None})
    with pytest.raises(InputError, match="version has to be probed; state 'engine_version"):
        RUNTIME.placement(open_target, None)
    with pytest.raises(InputError, match=r"8\.4 is too old; 8\.5 .JetPack 5\.1. is the"):
        RUNTIME.placement(targets.load("jetson-orin"), probes.probe(packages={"tensorrt": "8.4"}))


def test_opset_that_the_old_parser_cannot_read_is_refused(tmp_path: Path) -> None:
    net = Net(channels=16)
    net.conv("x", "one", (16, 16, 1, 1))
    model = net.model(tmp_path, ["one"], opset=18)

    with pytest.raises(InputError, match=r"opset 18; TensorRT 8\.5 reads 17 at most"):
        RUNTIME.check(model, rules("8.5"))
    RUNTIME.check(model, rules("10.3"))


def weights_of(proto: onnx.ModelProto) -> list[NDArray[Any]]:
    return [onnx.numpy_helper.to_array(t) for t in proto.graph.initializer if t.name.endswith("/q")]


def test_weights_are_within_127(tmp_path: Path) -> None:
    net = Net(channels=16)
    net.conv("x", "one", (16, 16, 3, 3))
    model, plan = planned(
        net, tmp_path, ["one"], weights={"calibrator": "percentile", "percentile": 90}
    )
    [weight] = weights_of(written(model, plan))
    assert weight.dtype == np.int8
    assert np.abs(weight.astype(int)).max() == 127
