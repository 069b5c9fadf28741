"""What ONNX Runtime's optimizer makes of the written graph: it must fuse every pair."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import pytest

from benchmarks.network import yolov8n_seg
from edgeq.graph.model import Model
from edgeq.quantization.arithmetic import IntegerType
from edgeq.quantization.plan import Plan
from edgeq.runtimes.qdq import write_qdq
from edgeq.runtimes.taps import tap_qdq
from edgeq.spec.quantize import Quantize
from edgeq.stages.device_errors import layer_tensors
from tests.nets import loaded

from .builds import op_types, placement, plan_of, session

FUSED = {
    "Conv": "QLinearConv",
    "Sigmoid": "QLinearSigmoid",
    "Mul": "QLinearMul",
    "Add": "QLinearAdd",
    "Concat": "QLinearConcat",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return loaded(yolov8n_seg(64), tmp_path_factory.mktemp("v8"))


def optimized(model: Model, plan: Plan, folder: Path) -> onnx.GraphProto:
    session(write_qdq(model, plan), "all", folder / "optimized.onnx")
    return onnx.load(folder / "optimized.onnx").graph


def planned_ops(model: Model, plan: Plan, quantized: bool) -> Counter[str]:
    return Counter(n.op_type for n in model.nodes if plan.decisions[n.name].quantized == quantized)


@pytest.mark.parametrize(
    ("dtype", "exclude"),
    [
        ("uint8", []),
        ("int8", ["model.4*"]),
        pytest.param("int8", [], marks=pytest.mark.long),
        pytest.param("uint8", ["model.4*"], marks=pytest.mark.long),
    ],
)
def test_everything_that_is_quantized_is_fused(
    dtype: IntegerType, exclude: list[str], model: Model, tmp_path: Path
) -> None:
    recipe = Quantize.model_validate({"exclude": exclude})
    plan = plan_of(model, recipe, rules=placement(dtype))

    found = optimized(model, plan, tmp_path)

    counts = Counter(node.op_type for node in found.node)
    wanted, left = planned_ops(model, plan, True), planned_ops(model, plan, False)
    for op_type, fused in FUSED.items():
        assert counts[fused] == wanted[op_type] > 0, op_type
    # The tail, and SiLUs in front of what stays float. A float Conv and SiLU may fuse to one node.
    assert counts["Conv"] + counts["FusedConv"] == left["Conv"] == 1 + len(exclude) * 6
    assert counts["Relu"] == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_no_pair_stays_between_integers(dtype: IntegerType, model: Model, tmp_path: Path) -> None:
    plan = plan_of(model, rules=placement(dtype))

    found = optimized(model, plan, tmp_path)

    makers = {name: node for node in found.node for name in node.output}
    # What only moves values hands on what came in.
    for node in found.node:
        if node.op_type == "QuantizeLinear":
            source = node.input[0]
            while source in makers and makers[source].op_type in ("Transpose", "Reshape"):
                source = makers[source].input[0]
            assert source not in makers or makers[source].op_type != "DequantizeLinear", node.name
    quantizing = [node.name for node in found.node if node.op_type == "QuantizeLinear"]
    assert quantizing == [
        "images/QuantizeLinear",
        "model.22.proto.upsample/ConvTranspose_output_0/QuantizeLinear",
    ]


def test_head_quantize_fuses_up_to_the_output(model: Model, tmp_path: Path) -> None:
    plan = plan_of(model, Quantize(head="quantize"))

    found = optimized(model, plan, tmp_path)

    counts = Counter(node.op_type for node in found.node)
    assert counts["QLinearConv"] == planned_ops(model, plan, True)["Conv"]
    assert counts["QLinearConcat"] == planned_ops(model, plan, True)["Concat"]


def test_excluding_everything_leaves_nothing_to_fuse(model: Model, tmp_path: Path) -> None:
    plan = plan_of(model, Quantize(exclude=("*",)))

    assert not [
        t for t in op_types(onnx.load_from_string(write_qdq(model, plan))) if "Quantize" in t
    ]


@pytest.mark.parametrize("dtype", ["uint8", pytest.param("int8", marks=pytest.mark.long)])
def test_integers_that_are_handed_out_leave_fused_what_was(
    dtype: IntegerType, model: Model, tmp_path: Path
) -> None:
    plan = plan_of(model, rules=placement(dtype))
    content = write_qdq(model, plan)
    tensors = list(layer_tensors(model, plan).values())

    tapped = tap_qdq(model, content, tensors)

    assert [tap.tensor for tap in tapped.taps] == tensors
    found = []
    for name, one in (("plain", content), ("tapped", tapped.content)):
        session(one, "all", tmp_path / name)
        found.append(Counter(n.op_type for n in onnx.load(tmp_path / name).graph.node))
    plain, changed = found
    assert plain["QLinearConv"] == changed["QLinearConv"] == len(tensors) - 1
    # Integers are moved to be handed out in ONNX's order, which changes none of them.
    moving = {"Transpose", "MaxPool", "NhwcMaxPool"}
    assert {n: plain[n] for n in plain.keys() - moving} == {
        n: changed[n] for n in changed.keys() - moving
    }
    pools = ("MaxPool", "NhwcMaxPool")
    assert sum(plain[n] for n in pools) == sum(changed[n] for n in pools)
