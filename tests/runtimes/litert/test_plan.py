"""What the plan makes of a graph by LiteRT's rules, and what its Q/DQ simulation computes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq.graph.bounds import bounds
from edgeq.graph.model import Model
from edgeq.graph.tail import find_tail
from edgeq.quantization.arithmetic import Scale
from edgeq.quantization.decide import decide, resolve_choices
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Placement
from edgeq.runtimes.litert import RUNTIME
from edgeq.runtimes.litert.rules import RULES
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec import target as targets
from edgeq.spec.quantize import Quantize
from tests.nets import Net

from .. import builds
from ..builds import inputs_of, run, snr_db

GATE = Scale(1 / 256, -128, "int8")
TANH = Scale(1 / 128, 0, "int8")
CARRIERS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "reshape": ("Reshape", {"shape": np.array([1, 4, 4, 16])}, {}),
    "transpose": ("Transpose", {}, {"perm": [0, 1, 3, 2]}),
    "maximum": ("MaxPool", {}, {"kernel_shape": [2, 2]}),
    "average": ("AveragePool", {}, {"kernel_shape": [2, 2]}),
    "slice": ("Slice", {"from": np.array([1]), "to": np.array([3]), "axes": np.array([2])}, {}),
    "gather": ("Gather", {"indices": np.array([0, 2])}, {"axis": 3}),
    "pad": ("Pad", {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, {"mode": "constant"}),
    "mirror": ("Pad", {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, {"mode": "reflect"}),
    "expand": ("Expand", {"to": np.array([2, 1, 1, 1])}, {}),
    "tile": ("Tile", {"times": np.array([1, 1, 2, 1])}, {}),
    "resize": ("Resize", {"": 0, "scales": np.array([1, 1, 2, 2], np.float32)}, {"mode": "linear"}),
    "largest": ("ReduceMax", {}, {"axes": [2, 3]}),
    "widest": ("GlobalMaxPool", {}, {}),
    "smallest": ("ReduceMin", {}, {"axes": [2, 3]}),
    "deeper": ("SpaceToDepth", {}, {"blocksize": 2}),
    "wider": ("DepthToSpace", {}, {"blocksize": 2}),
    "clip": ("Clip", {"low": np.float32(-0.3), "high": np.float32(0.7)}, {}),
}


def placement() -> Placement:
    return Placement(
        "litert",
        RULES,
        "int8",
        8,
        "affine",
        ("scale", "affine"),
        quantized_bias=True,
        fuses=False,
    )


def plan_of(model: Model, **recipe: Any) -> Plan:
    return builds.plan_of(model, Quantize.model_validate(recipe), rules=placement())


def added(net: Net, carrier: str, x: str) -> str:
    """One of the carriers behind a tensor, called as the key says."""
    op, constants, attributes = CARRIERS[carrier]
    inputs = [net.constant(f"{carrier}.{k}", v) if k else "" for k, v in constants.items()]
    return net.node(op, [x, *inputs], carrier, **attributes)


def simulated(model: Model, plan: Plan) -> float:
    """The smallest SNR in dB of the plan's simulation over the model's outputs."""
    x = inputs_of(model)[0]
    wanted = run(model.proto.SerializeToString(), x)
    found = run(write_qdq(model, plan), x)
    return min(snr_db(wanted[name], found[name]) for name in wanted)


def floats(plan: Plan) -> dict[str, str]:
    return {name: d.reason for name, d in plan.decisions.items() if not d.quantized}


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("gated", [False, True])
def test_what_only_moves_values_keeps_its_sources_scale(
    carrier: str, gated: bool, tmp_path: Path
) -> None:
    net = Net(channels=4)
    source = net.conv("x", "one", (4, 4, 3, 3))
    source = net.node("Sigmoid", [source], "gate") if gated else source
    moved = added(net, carrier, source)
    two = net.node("Transpose", [moved], "two", perm=[0, 1, 3, 2])
    net.node("Add", [two, two], "last")
    net.node("GlobalAveragePool", ["last"], "mean")
    model = net.model(tmp_path, ["mean"])

    plan = plan_of(model, head="quantize")

    assert floats(plan) == {}
    scales = {plan.tensors[name] for name in (source, moved, "two")}
    assert len(scales) == 1
    assert scales == {GATE} or not gated
    assert plan.tensors["last"] not in scales
    assert simulated(model, plan) > (20 if carrier != "smallest" else 12)


@pytest.mark.parametrize("scheme", ["scale", "affine"])
@pytest.mark.parametrize("calibrator", ["max", "mse", "entropy"])
def test_gates_have_the_scale_that_the_kernels_demand(
    scheme: str, calibrator: str, tmp_path: Path
) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    net.node("Softmax", [net.node("Sigmoid", [a], "gate")], "soft", axis=-1)
    net.conv(net.node("Tanh", ["soft"], "tanh"), "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    plan = plan_of(model, activations={"scheme": scheme, "calibrator": calibrator})

    assert plan.tensors["gate"] == plan.tensors["soft"] == GATE
    assert plan.tensors["tanh"] == TANH
    assert (plan.tensors["one"].zero_point == 0) == (scheme == "scale")


def test_a_gate_that_stays_float_is_scaled_by_what_was_seen(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.node("Sigmoid", [net.conv("x", "one", (4, 4, 3, 3))], "gate")
    net.conv(a, "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    plan = plan_of(model, exclude=["gate"])

    assert plan.reads["two"] == ("gate",)
    assert plan.tensors["gate"] != GATE
    assert "gate" not in plan.integers


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("values", [0.5, [[[0.25]], [[-2.0]], [[3.0]], [[1.0]]]])
def test_a_constant_operand_has_a_scale_of_its_values(
    op: str, first: bool, values: Any, tmp_path: Path
) -> None:
    net = Net(channels=4)
    # Behind a convolution itself the simplifier would fold the constant into its weights.
    a = net.node("LeakyRelu", [net.conv("x", "one", (4, 4, 3, 3))], "act")
    constant = net.constant("c", np.array(values, np.float32))
    net.node(op, [constant, a] if first else [a, constant], "two")
    net.conv("two", "three", (4, 4, 1, 1))
    model = net.model(tmp_path, ["three"])

    plan = plan_of(model)

    assert floats(plan) == {}
    assert set(plan.reads["two"]) == {"act", "c"}
    low, high = min(0.0, np.min(values)), max(0.0, np.max(values))
    found = plan.tensors["c"]
    assert found.scale == pytest.approx((high - low) / 255)
    assert (-128 - found.zero_point) * found.scale == pytest.approx(low, abs=found.scale)
    assert "c" not in plan.integers
    assert simulated(model, plan) > 30


def test_a_constant_operand_that_is_not_finite_keeps_its_node_float(tmp_path: Path) -> None:
    net = Net(channels=4)
    mask = net.constant("mask", np.array([0, -np.inf] * 4, np.float32))
    a = net.node("Add", [net.conv("x", "one", (4, 4, 3, 3)), mask], "masked")
    net.conv(net.node("Softmax", [a], "soft"), "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    found = decide(model, find_tail(model), resolve_choices(model, Quantize()), placement())

    assert found["masked"].reason == "one operand is constant and not finite, or all but infinite"


def test_other_engines_still_refuse_constants(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    net.conv(
        net.node("Mul", [a, net.constant("c", np.array(2, np.float32))], "two"),
        "three",
        (4, 4, 1, 1),
    )
    model = net.model(tmp_path, ["three"])

    plan = builds.plan_of(model)

    assert plan.decisions["two"].reason == "one operand is constant"
    assert "c" not in plan.tensors


def test_a_slope_for_each_channel_is_a_constant_operand(tmp_path: Path) -> None:
    net = Net(channels=4)
    slope = net.constant("slope", np.array([0.1, 0.2, -0.3, 0.9], np.float32).reshape(4, 1, 1))
    a = net.node("PRelu", [net.conv("x", "one", (4, 4, 3, 3)), slope], "act")
    net.conv(a, "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    plan = plan_of(model)

    assert plan.reads["act"] == ("one", "slope")
    assert plan.tensors["slope"].scale == pytest.approx(1.2 / 255)
    assert simulated(model, plan) > 30


CLIPS = {
    "Relu": None,
    "Relu6": (0, 6),
    "from zero": (0, None),
    "one": (-1, 1),
    "largest float": (0, float(np.finfo(np.float32).max)),
}


def clipped(net: Net, x: str, limits: tuple[float | None, float | None] | None) -> str:
    if limits is None:
        return net.node("Relu", [x], "act")
    names = [
        "" if value is None else net.constant(f"act.{i}", np.array(value, np.float32))
        for i, value in enumerate(limits)
    ]
    return net.node("Clip", [x, *names], "act")


@pytest.mark.parametrize("limits", CLIPS)
@pytest.mark.parametrize("maker", ["conv", "transposed", "product", "Add", "Sub", "Mul"])
def test_a_fused_activation_hides_what_is_before_it(
    limits: str, maker: str, tmp_path: Path
) -> None:
    model = activated(maker, tmp_path, limits=CLIPS[limits])

    plan = plan_of(model)

    assert floats(plan) == {}
    assert "made" not in plan.tensors
    assert "made" not in plan.integers
    assert "act" not in plan.reads
    assert "act" in plan.tensors
    assert simulated(model, plan) > 25


@pytest.mark.parametrize(
    ("maker", "change"),
    [
        ("MaxPool", {}),
        ("Sigmoid", {}),
        ("attention", {}),
        ("conv", {"shared": True}),
        ("conv", {"outputs": ["last", "made"]}),
    ],
)
def test_an_activation_that_nothing_takes_in_has_a_kernel(
    maker: str, change: dict[str, Any], tmp_path: Path
) -> None:
    model = activated(maker, tmp_path, **change)

    plan = plan_of(model)

    assert plan.decisions["act"].quantized
    assert plan.decisions["act"].reason.startswith("RELU, RELU6 or RELU_N1_TO_1")
    assert plan.reads["act"] == ("made",)
    assert {"made", "act"} <= set(plan.integers)


def activated(
    maker: str,
    folder: Path,
    limits: tuple[float | None, float | None] | None = None,
    shared: bool = False,
    outputs: list[str] | None = None,
) -> Model:
    """Something called 'made' with an activation 'act' behind it."""
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    weight = net.rng.standard_normal((4, 4, 2, 2)).astype(np.float32) / 4
    if maker == "conv":
        net.conv(a, "made", (4, 4, 3, 3))
    elif maker == "transposed":
        net.node("ConvTranspose", [a, net.constant("w", weight)], "made")
    elif maker == "product":
        net.node("MatMul", [a, net.constant("w", weight.reshape(8, 8))], "made")
    elif maker == "attention":
        net.node("MatMul", [a, a], "made")
    elif maker in ("Add", "Sub", "Mul"):
        net.node(maker, [a, net.conv("x", "other", (4, 4, 1, 1))], "made")
    else:
        attributes: dict[str, Any] = {"kernel_shape": [2, 2]} if maker == "MaxPool" else {}
        net.node(maker, [a], "made", **attributes)
    b = clipped(net, "made", limits)
    if shared:
        b = net.node("Add", ["made", b], "sum")
    net.conv(b, "last", (4, 4, 1, 1))
    return net.model(folder, outputs or ["last"])


def test_without_a_zero_point_nothing_is_hidden(tmp_path: Path) -> None:
    model = activated("conv", tmp_path)

    plan = plan_of(model, activations={"scheme": "scale"})

    assert plan.reads["act"] == ("made",)
    assert plan.tensors["made"].zero_point == plan.tensors["act"].zero_point == 0


def test_values_of_a_constant_table_have_no_scale_to_keep(tmp_path: Path) -> None:
    net = Net(channels=4)
    table = net.constant("table", net.rng.standard_normal((4, 3)).astype(np.float32))
    best = net.node("ArgMax", [net.conv("x", "one", (4, 4, 3, 3))], "best", axis=1)
    net.node("Gather", [table, best], "looked")
    model = net.model(tmp_path, ["looked"])

    plan = plan_of(model, head="quantize")

    assert "not one computed input" in floats(plan)["looked"]


def test_a_clip_with_computed_bounds_stays_float(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    top = net.node("ReduceMax", [a], "top", keepdims=0)
    net.conv(net.node("Clip", [a, "", top], "act"), "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    plan = plan_of(model)

    assert bounds(model, model.producers["act"]) is None
    assert "act" in floats(plan)


def test_bounds_are_read_in_every_form_in_which_exporters_write_them(tmp_path: Path) -> None:
    net = Net(channels=4)
    names = []
    for i, limits in enumerate(CLIPS.values()):
        names.append(clipped(net, "x", limits))
        net.nodes[-1].name = net.nodes[-1].output[0] = names[-1] = f"act{i}"
        for constant in net.constants:
            constant.name = constant.name.replace("act.", f"bound{i}.")
        net.nodes[-1].input[:] = [n.replace("act.", f"bound{i}.") for n in net.nodes[-1].input]
    model = net.model(tmp_path, names)

    found = [bounds(model, model.producers[name]) for name in names]

    assert found == [(0, math.inf), (0, 6), (0, math.inf), (-1, 1), (0, math.inf)]


def test_inputs_that_only_a_concat_reads_take_over_its_scale(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.node("Mul", [net.conv("x", "wide", (4, 4, 3, 3)), ten(net)], "one")
    b = net.conv("x", "two", (4, 4, 3, 3))
    moved = added(net, "transpose", net.node("MaxPool", [b], "pool", kernel_shape=[1, 1]))
    inner = net.node("Concat", [moved, net.conv("x", "three", (4, 4, 1, 1))], "inner", axis=1)
    outer = net.node("Concat", [a, inner], "outer", axis=1)
    net.conv(outer, "last", (4, 12, 1, 1))
    model = net.model(tmp_path, ["last"])

    plan = plan_of(model)

    names = ("one", "two", "pool", "transpose", "three", "inner", "outer")
    assert len({plan.tensors[name] for name in names}) == 1
    seen = builds.statistics_of(model, inputs_of(model)).histogram("outer")
    assert plan.tensors["outer"].scale * 255 == pytest.approx(seen.high - seen.low, rel=1e-3)
    assert simulated(model, plan) > 30


def ten(net: Net) -> str:
    return net.constant("ten", np.array(10, np.float32))


def concatenated(kind: str, folder: Path) -> Model:
    """A Concat 'both' whose first input 'first' has something against taking over a scale."""
    net = Net(channels=4)
    outputs = ["last"]
    wide = net.conv("x", "wide", (4, 4, 3, 3))
    wide = net.node("Mul", [wide, ten(net)], "wider")
    a = net.conv("x", "one", (4, 4, 3, 3))
    if kind == "fixed":
        first = net.node(
            "Transpose", [net.node("Sigmoid", [a], "gate")], "first", perm=[0, 1, 3, 2]
        )
    else:
        first = net.node("MaxPool", [a], "first", kernel_shape=[1, 1])
    both = net.node("Concat", [first, wide], "both", axis=1)
    last = net.conv(both, "last", (4, 8, 1, 1))
    if kind == "read elsewhere":
        outputs = [net.node("Add", [last, a], "end")]
    elif kind == "read twice":
        outputs = [
            net.conv(net.node("Concat", [first, last], "again", axis=1), "end", (4, 8, 1, 1))
        ]
    elif kind == "output":
        outputs = ["last", "one"]
    return net.model(folder, outputs)


@pytest.mark.parametrize("kind", ["fixed", "read elsewhere", "read twice", "output"])
def test_an_input_that_others_need_keeps_its_own_scale(kind: str, tmp_path: Path) -> None:
    model = concatenated(kind, tmp_path)

    plan = plan_of(model)

    assert plan.decisions["both"].quantized
    assert plan.tensors["first"] != plan.tensors["both"]
    assert plan.tensors["first"] == plan.tensors["gate" if kind == "fixed" else "one"]
    assert plan.tensors["wider"] == plan.tensors["both"]
    assert simulated(model, plan) > 25


def test_the_same_input_takes_over_where_nothing_speaks_against_it(tmp_path: Path) -> None:
    model = concatenated("nothing", tmp_path)

    plan = plan_of(model)

    assert plan.tensors["one"] == plan.tensors["first"] == plan.tensors["both"]


def test_the_models_input_keeps_its_own_scale(tmp_path: Path) -> None:
    net = Net(channels=4)
    wide = net.node("Mul", [net.conv("x", "wide", (4, 4, 3, 3)), ten(net)], "one")
    net.conv(net.node("Concat", ["x", wide], "both", axis=1), "last", (4, 8, 1, 1))
    model = net.model(tmp_path, ["last"])

    plan = plan_of(model)

    assert plan.reads["both"] == ("x", "one")
    assert plan.tensors["x"] != plan.tensors["both"]
    assert plan.tensors["one"] == plan.tensors["both"]


def test_the_models_input_keeps_its_own_scale_even_where_only_a_concat_reads_it(
    tmp_path: Path,
) -> None:
    net = Net(channels=4)
    grid = net.constant("grid", np.linspace(-9, 9, 64, dtype=np.float32).reshape(1, 1, 8, 8))
    net.conv(net.node("Concat", ["x", grid], "both", axis=1), "last", (4, 5, 1, 1))
    model = net.model(tmp_path, ["last"])

    plan = plan_of(model, head="quantize")

    assert plan.reads["both"] == ("x", "grid")
    assert plan.tensors["x"] != plan.tensors["both"] == plan.tensors["grid"]


def test_a_constant_part_of_a_concat_takes_over_its_scale(tmp_path: Path) -> None:
    net = Net(channels=4)
    grid = net.constant("grid", np.linspace(-9, 9, 64, dtype=np.float32).reshape(1, 1, 8, 8))
    a = net.node("Concat", [net.conv("x", "one", (4, 4, 3, 3)), grid], "both", axis=1)
    net.conv(a, "last", (4, 5, 1, 1))
    model = net.model(tmp_path, ["last"])

    plan = plan_of(model)

    assert plan.reads["both"] == ("one", "grid")
    assert plan.tensors["grid"] == plan.tensors["one"] == plan.tensors["both"]
    assert simulated(model, plan) > 30


@pytest.mark.parametrize("scheme", ["scale", "affine"])
def test_every_group_and_every_gate_of_a_larger_net_keeps_the_rules(
    scheme: str, tmp_path: Path
) -> None:
    net = Net(channels=4, side=16)
    a = net.silu(net.conv("x", "stem", (8, 4, 3, 3)), "stem.act")
    pools = [a]
    for i in range(3):
        kernel: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        pools.append(net.node("MaxPool", [pools[-1]], f"pool{i}", **kernel))
    b = net.silu(net.conv(net.node("Concat", pools, "spp", axis=1), "b", (8, 32, 1, 1)), "b.act")
    net.node("Split", [b], "split", 2, axis=1)
    c = net.conv("split.1", "c", (4, 4, 3, 3))
    c = net.node("Concat", ["split.0", "split.1", c], "c2f", axis=1)
    net.conv(net.node("Clip", [c], "nothing"), "last", (4, 12, 1, 1))
    model = net.model(tmp_path, ["last"])

    plan = plan_of(model, activations={"scheme": scheme})

    for node in model.nodes:
        rule = placement().rule(model, node)
        if rule is None or not plan.decisions[node.name].quantized:
            continue
        if rule.role == "carries":
            names = (*model.activations(node), *node.output)
            assert len({plan.tensors[name] for name in names}) == 1
        if rule.fixed is not None:
            assert plan.tensors[node.output[0]] == Scale(*rule.fixed, "int8")
    assert len({plan.tensors[name] for name in (*pools, "spp")}) == 1
    assert plan.tensors["split.0"] == plan.tensors["b.act"] != plan.tensors["c2f"]
    assert plan.tensors["c"] == plan.tensors["c2f"]
    assert simulated(model, plan) > 20


@pytest.mark.parametrize(
    ("op", "constant", "attributes"),
    [
        ("Div", np.float32(2), {}),
        ("Pow", np.float32(2), {}),
        ("Erf", None, {}),
        ("HardSigmoid", None, {}),
        ("Softplus", None, {}),
    ],
)
def test_an_op_without_an_int8_kernel_is_a_float_island(
    op: str, constant: Any, attributes: dict[str, Any], tmp_path: Path
) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    inputs = [a] if constant is None else [a, net.constant("c", constant)]
    net.conv(net.node(op, inputs, "act", **attributes), "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    plan = plan_of(model)

    assert floats(plan) == {"act": f"litert has no int8 kernel for {op}"}
    assert plan.reads["act"] == ("one",)
    assert plan.reads["two"] == ("act",)
    assert plan.integers == ("one", "two")
    assert simulated(model, plan) > 30


@pytest.mark.parametrize(
    ("op", "attributes", "why"),
    [
        ("ConvTranspose", {"group": 2}, "ConvTranspose with group 2 has no int8 kernel"),
        ("Resize", {"mode": "cubic"}, "Resize with mode cubic has no int8 kernel"),
        ("Pad", {"mode": "edge"}, "Pad with mode edge has no int8 kernel"),
        ("Max", {}, "extremes: "),
    ],
)
def test_a_form_that_the_kernel_lacks_stays_float(
    op: str, attributes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    operands = {
        "ConvTranspose": [net.constant("w", np.ones((4, 2, 1, 1), np.float32))],
        "Resize": ["", net.constant("s", np.array([1, 1, 2, 2], np.float32))],
        "Pad": [net.constant("p", np.array([0, 0, 1, 1, 0, 0, 1, 1]))],
        "Max": [net.conv("x", "other", (4, 4, 1, 1))],
    }
    net.conv(net.node(op, [a, *operands[op]], "act", **attributes), "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"])

    assert plan_of(model).decisions["act"].reason.startswith(why)


@pytest.mark.parametrize("granularity", ["per-channel", "per-tensor"])
@pytest.mark.parametrize(
    ("op", "shape", "attributes", "axis"),
    [
        ("Conv", (6, 4, 3, 3), {}, 0),
        ("Conv", (4, 1, 3, 3), {"group": 4}, 0),
        ("Conv", (6, 2, 3, 3), {"group": 2}, 0),
        ("ConvTranspose", (4, 6, 2, 2), {"strides": [2, 2]}, 1),
        ("MatMul", (8, 6), {}, 1),
    ],
)
def test_weights_have_a_scale_for_each_output_channel(
    granularity: str,
    op: str,
    shape: tuple[int, ...],
    attributes: dict[str, Any],
    axis: int,
    tmp_path: Path,
) -> None:
    net = Net(channels=4)
    values = (net.rng.standard_normal(shape) / 4).astype(np.float32)
    inputs = ["x", net.constant("w", values)]
    if op != "MatMul":
        channels = shape[axis]
        inputs.append(net.constant("b", net.rng.standard_normal(channels).astype(np.float32)))
    net.node(op, inputs, "one", **attributes)
    model = net.model(tmp_path, ["one"])

    plan = plan_of(model, weights={"granularity": granularity})

    planned = plan.weights["one"]
    others = tuple(i for i in range(len(shape)) if i != axis)
    limits = np.abs(values).max(others) if granularity == "per-channel" else [np.abs(values).max()]
    assert planned.axis == (axis if granularity == "per-channel" else None)
    np.testing.assert_allclose(planned.scales, np.asarray(limits) / 127, rtol=1e-6)
    assert simulated(model, plan) > 35


def test_both_operands_of_attentions_products_are_int8(tmp_path: Path) -> None:
    net = Net(channels=4)
    q, k, v = (net.conv("x", name, (4, 4, 1, 1)) for name in "qkv")
    turned = net.node("Transpose", [k], "turned", perm=[0, 1, 3, 2])
    logits = net.node("MatMul", [q, turned], "logits")
    soft = net.node("Softmax", [logits], "soft", axis=-1)
    net.conv(net.node("MatMul", [soft, v], "mixed"), "last", (4, 4, 1, 1))
    model = net.model(tmp_path, ["last"])

    plan = plan_of(model)

    assert floats(plan) == {}
    assert plan.reads["logits"] == ("q", "turned")
    assert plan.reads["mixed"] == ("soft", "v")
    assert set(plan.weights) == {"q", "k", "v", "last"}
    assert simulated(model, plan) > 25


def test_attention_is_float_where_xnnpack_computes_it_alone(tmp_path: Path) -> None:
    net = Net(channels=4)
    q, k, v = (net.conv("x", name, (4, 4, 1, 1)) for name in "qkv")
    turned = net.node("Transpose", [k], "turned", perm=[0, 1, 3, 2])
    logits = net.node("MatMul", [q, turned], "logits")
    soft = net.node("Softmax", [logits], "soft", axis=-1)
    net.conv(net.node("MatMul", [soft, v], "mixed"), "last", (4, 4, 1, 1))
    model = net.model(tmp_path, ["last"])
    kind = targets.load("arm-cpu-tflite")

    def outside(xnnpack: bool) -> dict[str, str]:
        rules, _ = RUNTIME.placement(kind.model_copy(update={"xnnpack": xnnpack}), None)
        return floats(builds.plan_of(model, Quantize(), rules=rules))

    assert outside(xnnpack=False) == {}
    with_it = outside(xnnpack=True)
    assert {"logits", "soft", "mixed"} <= set(with_it)
    assert with_it["logits"].startswith("attention: XNNPACK computes BATCH_MATMUL and SOFTMAX in ")
    assert not {"q", "k", "v", "last"} & set(with_it)


def test_a_product_with_a_vector_stays_float(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    vector = net.node("ReduceMean", [a], "vector", axes=[0, 1, 2], keepdims=0)
    net.node("MatMul", [a, vector], "two")
    model = net.model(tmp_path, ["two"])

    plan = plan_of(model, head="quantize")

    assert floats(plan)["two"].startswith("other-product: ")


def test_a_product_by_a_stack_of_matrices_is_no_layer(tmp_path: Path) -> None:
    net = Net(channels=4)
    stack = net.rng.standard_normal((4, 8, 8)).astype(np.float32)
    net.node("MatMul", [net.conv("x", "one", (4, 4, 3, 3)), net.constant("w", stack)], "two")
    net.conv("two", "three", (4, 4, 1, 1))
    model = net.model(tmp_path, ["three"])

    plan = plan_of(model)

    assert plan.reads["two"] == ("one", "w")
    assert "two" not in plan.weights
    assert simulated(model, plan) > 30


def test_both_halves_of_a_hard_swish_are_int8_and_a_hard_sigmoid_alone_is_float(
    tmp_path: Path,
) -> None:
    net = Net(channels=4)
    a = net.node("HardSwish", [net.conv("x", "one", (4, 4, 3, 3))], "swish")
    b = net.node("HardSigmoid", [net.conv(a, "two", (4, 4, 1, 1))], "gate", alpha=1 / 6)
    net.conv(net.node("Mul", [a, b], "other"), "three", (4, 4, 1, 1))
    model = net.model(tmp_path, ["three"])

    plan = plan_of(model)

    # Loading takes HardSwish apart.
    assert [node.op_type for node in model.nodes].count("HardSigmoid") == 2
    assert floats(plan) == {"gate": "litert has no int8 kernel for HardSigmoid"}
    assert simulated(model, plan) > 25


@pytest.mark.parametrize(
    ("op", "attributes", "opset"),
    [
        ("LeakyRelu", {"alpha": 0.2}, 17),
        ("Elu", {}, 17),
        ("Abs", {}, 17),
        ("Gelu", {}, 20),
        ("Exp", {}, 17),
        ("GlobalAveragePool", {}, 17),
        ("ReduceMean", {"axes": [2, 3]}, 17),
        ("ReduceSum", {}, 17),
        ("ReduceMean", {}, 18),
    ],
)
def test_what_computes_has_an_output_scale_of_its_own(
    op: str, attributes: dict[str, Any], opset: int, tmp_path: Path
) -> None:
    net = Net(channels=4)
    a = net.conv("x", "one", (4, 4, 3, 3))
    axes = op == "ReduceSum" or (op == "ReduceMean" and not attributes)
    inputs = [a, net.constant("axes", np.array([2, 3]))] if axes else [a]
    net.conv(net.node(op, inputs, "act", **attributes), "two", (4, 4, 1, 1))
    model = net.model(tmp_path, ["two"], opset)

    plan = plan_of(model)

    assert floats(plan) == {}
    assert plan.reads["act"] == ("one",)
    seen = builds.statistics_of(model, inputs_of(model)).histogram("act")
    span = max(seen.high, 0) - min(seen.low, 0)
    assert plan.tensors["act"].scale == pytest.approx(span / 255, rel=1e-3)
    assert simulated(model, plan) > 20


def test_an_excluded_node_is_float_and_its_reader_quantizes(tmp_path: Path) -> None:
    model = activated("conv", tmp_path)

    plan = plan_of(model, exclude=["made"])

    assert "exclude" in floats(plan)["made"]
    assert floats(plan)["act"] == "its inputs are float"
    assert plan.reads["last"] == ("act",)
    assert simulated(model, plan) > 30
