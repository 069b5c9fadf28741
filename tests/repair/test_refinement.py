"""Bias correction and rounding of small nets, against what the quantized net then computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeq.graph.model import Model
from edgeq.quantization.arithmetic import quantize_weights
from edgeq.quantization.neighbours import PAIR_LIMIT, neighbours_of, rows_of
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import with_constants
from edgeq.repair.refinement import Refinement, constants_of, plan_for, refine
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.quantize import Quantize, Weights
from edgeq.spec.repair import AdaRound, Repair

from ..nets import Net
from ..runtimes.builds import Floats, inputs_of, placement, plan_of, run

BIASES = Repair(bias_correction=True)
ROUNDING = Repair(adaround=AdaRound(iterations=300))


def deep(tmp_path: Path) -> Model:
    """Layers with and without a bias, grouped and transposed, with SiLU and ReLU between them."""
    net = Net(channels=3, side=12)
    x = net.silu(net.conv("x", "first", (8, 3, 3, 3)), "silu")
    x = net.node("Relu", [net.conv(x, "deep", (8, 1, 3, 3), bias=False, group=8)], "relu")
    weight = net.constant("up.w", net.rng.standard_normal((8, 6, 2, 2)).astype(np.float32))
    x = net.node("ConvTranspose", [x, weight], "up", strides=[2, 2])
    return net.model(tmp_path, [net.conv(x, "last", (5, 6, 1, 1), bias=False)])


def weights_only(plan: Plan) -> Plan:
    return replace(plan, tensors={}, reads={}, integers=(), quantized_bias=False)


def refined(
    model: Model, plan: Plan, repair: Repair, images: list[Floats]
) -> tuple[Model, Refinement]:
    found = refine(model, plan, repair, images, write_qdq, 1)
    return with_constants(model, constants_of(model, found), "test"), found


def outputs(content: bytes, names: list[str], images: list[Floats]) -> dict[str, Floats]:
    """Tensors inside of a graph, over all images."""
    proto = onnx.load_from_string(content)
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    runs = [run(proto.SerializeToString(), x) for x in images]
    return {name: np.concatenate([found[name] for found in runs]) for name in names}


def means(values: Floats) -> Floats:
    return np.asarray(values.mean(axis=(0, 2, 3), dtype=np.float64), np.float32)


def test_corrected_layers_have_the_mean_of_the_float_ones(tmp_path: Path) -> None:
    model = deep(tmp_path)
    images = inputs_of(model, 4)
    plan = plan_of(model, inputs=images)
    layers = list(plan.weights)
    assert layers == ["first", "deep", "last"]
    repaired, _ = refined(model, plan, BIASES, images)
    reference = outputs(model.proto.SerializeToString(), layers, images)
    quantized = outputs(write_qdq(repaired, weights_only(plan)), layers, images)
    before = outputs(write_qdq(model, weights_only(plan)), layers, images)
    for name in layers:
        np.testing.assert_allclose(means(quantized[name]), means(reference[name]), atol=2e-6)
        assert np.abs(means(before[name]) - means(reference[name])).max() > 1e-4


def test_correction_of_one_layer_is_its_weights_error_times_the_mean_input(tmp_path: Path) -> None:
    # Nagel et al. 2019, eq. 16: E[y] - E[y~] = -epsilon E[x].
    net = Net(channels=4)
    model = net.model(tmp_path, [net.conv("x", "conv", (6, 4, 1, 1))])
    images = [x + 1 for x in inputs_of(model, 3)]
    plan = plan_of(model, inputs=images)
    [planned] = plan.weights.values()
    weight = np.asarray(model.constant("conv.w"), np.float32)
    scales = np.array(planned.scales, np.float32)
    integers = quantize_weights(weight, scales, 0, planned.bits)
    error = (integers * scales.reshape(-1, 1, 1, 1) - weight)[:, :, 0, 0]
    found = refine(model, plan, BIASES, images, write_qdq, 1)
    mean = np.concatenate(images).mean(axis=(0, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(found.shifts["conv"], -error @ mean, atol=1e-6)


def test_layer_without_a_bias_gets_one_and_nothing_else_changes(tmp_path: Path) -> None:
    model = deep(tmp_path)
    images = inputs_of(model, 2)
    repaired, _ = refined(model, plan_of(model, inputs=images), BIASES, images)
    assert [node.name for node in repaired.nodes] == [node.name for node in model.nodes]
    assert [list(n.output) for n in repaired.nodes] == [list(n.output) for n in model.nodes]
    assert repaired.names == model.names and repaired.sha256 != model.sha256
    biased = {n.name for n in repaired.nodes if n.op_type == "Conv" and len(n.input) == 3}
    assert biased == {"first", "deep", "last"}
    assert repaired.initializers["last.w"] == model.initializers["last.w"]


def test_computed_bias_and_matrix_product_are_left_alone(tmp_path: Path) -> None:
    net = Net(channels=4, side=4)
    x = net.node("Relu", [net.conv("x", "conv", (4, 4, 3, 3))], "relu")
    weight = net.constant("w", net.rng.standard_normal((4, 6)).astype(np.float32))
    model = net.model(tmp_path, [net.node("MatMul", [x, weight], "product")])
    images = inputs_of(model, 2)
    plan = plan_of(model, Quantize(head="quantize"), images)
    assert set(plan.weights) == {"conv", "product"}
    found = refine(model, plan, BIASES, images, write_qdq, 1)
    assert set(found.shifts) == {"conv"}


@pytest.mark.parametrize("granularity", ["per-channel", "per-tensor"])
@pytest.mark.parametrize("both", [False, True])
def test_planner_and_writer_find_the_integers_that_were_chosen(
    tmp_path: Path, granularity: str, both: bool
) -> None:
    model = deep(tmp_path)
    images = inputs_of(model, 4)
    quantize = Quantize(weights=Weights.model_validate({"granularity": granularity}))
    plan = plan_of(model, quantize, images)
    repaired, found = refined(
        model, plan, ROUNDING.model_copy(update={"bias_correction": both}), images
    )
    assert 0 < found.moved < 0.6 * found.rounded
    anew = plan_of(repaired, quantize, images)
    reused = plan_for(repaired, plan)
    moved = 0
    for name, planned in reused.weights.items():
        assert planned.scales == plan.weights[name].scales == anew.weights[name].scales
        scales = np.array(planned.scales, np.float32)
        before, after = (
            quantize_weights(
                np.asarray(m.constant(planned.tensor), np.float32), scales, planned.axis, 7
            )
            for m in (model, repaired)
        )
        moved += int((before != after).sum())
        assert np.abs(before.astype(int) - after).max() <= 1
    assert moved == found.moved


def test_rounding_brings_the_output_closer_to_float(tmp_path: Path) -> None:
    model = deep(tmp_path)
    images = inputs_of(model, 6)
    plan = plan_of(model, inputs=images)
    repaired, found = refined(model, plan, ROUNDING, images)
    reference = outputs(model.proto.SerializeToString(), ["last"], images)["last"]
    before, after = (
        np.square(outputs(write_qdq(m, weights_only(plan)), ["last"], images)["last"] - reference)
        for m in (model, repaired)
    )
    assert after.mean() < 0.9 * before.mean()
    assert all(0 < gain <= 1 for gain in found.gains)


def test_seed_decides_where_rounding_looks(tmp_path: Path) -> None:
    net = Net(channels=3, side=128)
    x = net.node("Relu", [net.conv("x", "first", (4, 3, 3, 3))], "relu")
    model = net.model(tmp_path, [net.conv(x, "second", (4, 4, 3, 3))])
    images = inputs_of(model, 1)
    plan = plan_of(model, inputs=images)
    quick = Repair(adaround=AdaRound(iterations=20))
    first, again, other = (
        refined(model, plan, quick.model_copy(update={"seed": seed}), images)[0].proto
        for seed in (0, 0, 1)
    )
    assert first == again
    assert other.graph.initializer != first.graph.initializer


def test_bias_that_does_not_fit_widens_its_scale(tmp_path: Path) -> None:
    net = Net()
    model = net.model(tmp_path, [net.conv("x", "conv", (2, 3, 1, 1))])
    images = inputs_of(model, 1)
    plan = plan_of(model, inputs=images, rules=placement())
    large = with_constants(model, {("conv", 2): np.array([1e9, 0], np.float32)}, "large")
    widened = plan_for(large, plan).weights["conv"].scales
    assert widened[0] > plan.weights["conv"].scales[0]
    assert widened[1] == plan.weights["conv"].scales[1]
    assert plan_for(model, plan) == plan


def test_weight_that_two_layers_share_is_rounded_for_each(tmp_path: Path) -> None:
    net = Net(channels=4, side=8)
    x = net.node("Relu", [net.conv("x", "first", (4, 4, 3, 3), bias=False)], "relu")
    made = net.node("Conv", [x, "first.w"], "second", pads=[1] * 4)
    model = net.model(tmp_path, [made])
    images = inputs_of(model, 4)
    plan = plan_of(model, inputs=images)
    repaired, found = refined(model, plan, ROUNDING, images)
    reused = plan_for(repaired, plan)
    graph = onnx.load_from_string(write_qdq(repaired, reused)).graph
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for name, weight in found.weights.items():
        scales = np.array(plan.weights[name].scales, np.float32)
        expected = quantize_weights(weight, scales, 0, plan.weights[name].bits)
        assert (stored[f"{name}/weight/q"] == expected).all()
    assert (stored["first/weight/q"] != stored["second/weight/q"]).any()


def test_refined_weights_keep_their_pairs_bounded(tmp_path: Path) -> None:
    model = deep(tmp_path)
    images = inputs_of(model, 3)
    rules = replace(placement(bits=8), pair_limit=PAIR_LIMIT)
    plan = plan_of(model, Quantize(head="quantize"), images, rules)
    both = Repair(bias_correction=True, adaround=AdaRound(iterations=300))

    repaired, found = refined(model, plan, both, images)

    assert found.moved
    made = plan_for(repaired, plan)
    layers = [node for node in repaired.nodes if node.name in made.weights]
    assert {node.name for node in layers} >= {"first", "last"}
    for node in layers:
        planned = made.weights[node.name]
        assert planned.pair_limit == PAIR_LIMIT
        weight = np.asarray(repaired.constant(planned.tensor), np.float32)
        neighbours = neighbours_of(node, weight.shape, PAIR_LIMIT)
        if neighbours is not None:  # "deep" is depthwise
            scales = np.array(planned.scales, np.float32)
            integers = quantize_weights(weight, scales, 0, 8).astype(np.float32)
            assert not neighbours.over(rows_of(node, integers)).any()
