from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq.calibration.statistics import wanted_tensors
from edgeq.calibrators.histogram import of
from edgeq.errors import InputError, InputErrors
from edgeq.graph.model import Model
from edgeq.graph.tail import find_tail
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import check, make_plan
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.quantize import Quantize
from tests.nets import Net

from .builds import LEVELS, inputs_of, placement, plan_of, run, statistics_of

CALIBRATORS: dict[str, dict[str, Any]] = {
    "max": {"calibrator": "max"},
    "percentile": {"calibrator": "percentile", "percentile": 99.99},
    "mse": {"calibrator": "mse"},
    "entropy": {"calibrator": "entropy"},
}
DEGENERATE = {
    "all zero": np.zeros(100),
    "constant": np.full(100, 3.7),
    "negative constant": np.full(100, -3.7),
    "all negative": -np.linspace(1, 2, 100),
    "denormal": np.full(100, 1e-42),
    "huge": np.linspace(-3e38, 3e38, 100),
    "one value": np.eye(1, 10_000_000, 5)[0],
}


@pytest.fixture
def model(tmp_path: Path) -> Model:
    net = Net(side=8)
    a = net.silu(net.conv("x", "one", (4, 3, 3, 3)), "one.act")
    b = net.node("Relu", [net.conv(a, "two", (4, 4, 3, 3))], "two.act")
    net.conv(net.node("Concat", [a, b], "both", axis=1), "three", (4, 8, 1, 1))
    shape = net.constant("shape", np.array([1, 4, -1], np.int64))
    net.node("Reshape", ["three", shape], "flat")
    return net.model(tmp_path, ["flat"])


@pytest.mark.parametrize("values", DEGENERATE)
@pytest.mark.parametrize("calibrator", CALIBRATORS)
@pytest.mark.parametrize("scheme", ["scale", "affine"])
def test_scales_are_finite_and_positive_whatever_was_seen(
    values: str, calibrator: str, scheme: str, model: Model
) -> None:
    seen = of(DEGENERATE[values].astype(np.float32))
    usual = statistics_of(model, inputs_of(model))
    statistics = replace(usual, sources=dict.fromkeys(wanted_tensors(model), seen), _derived={})
    for head in ("float-tail", "float-head", "quantize"):
        recipe = {"head": head, "activations": {**CALIBRATORS[calibrator], "scheme": scheme}}
        choices = resolve_choices(model, Quantize.model_validate(recipe))

        plan = make_plan(model, statistics, find_tail(model), choices, placement())

        scales = [scale.scale for scale in plan.tensors.values()]
        scales += [scale for weight in plan.weights.values() for scale in weight.scales]
        assert np.isfinite(scales).all()
        assert min(scales) >= np.finfo(np.float32).tiny
        found = run(write_qdq(model, plan), inputs_of(model)[0])["flat"]
        assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("recipe", "wanted"),
    [
        ({"activations": {"granularity": "per-channel"}}, "quantize.activations.granularity"),
        ({"weights": {"scheme": "affine"}}, "quantize.weights.scheme"),
        (
            {"overrides": {"one": {"activations": {"granularity": "per-channel"}}}},
            "quantize.overrides.one.activations.granularity",
        ),
        (
            {"overrides": {"one": {"weights": {"scheme": "affine"}}}},
            "quantize.overrides.one.weights.scheme",
        ),
    ],
)
def test_what_the_engine_cannot_do_is_a_recipe_error(
    recipe: dict[str, object], wanted: str
) -> None:
    with pytest.raises(InputError, match=wanted):
        check(Quantize.model_validate(recipe), placement())


def test_an_engine_without_zero_points_refuses_affine_activations() -> None:
    rules = replace(placement(), runtime="tensorrt", scheme="scale", schemes=("scale",))

    with pytest.raises(InputError, match="tensorrt cannot do affine activations; write 'scheme: "):
        check(Quantize.model_validate({"activations": {"scheme": "affine"}}), rules)


def test_all_that_an_engine_cannot_do_is_reported_together() -> None:
    recipe = {"weights": {"scheme": "affine"}, "activations": {"granularity": "per-channel"}}

    with pytest.raises(InputErrors) as raised:
        check(Quantize.model_validate(recipe), placement())

    assert len(raised.value.problems) == 2


@pytest.mark.parametrize("scheme", ["target", "scale", "affine"])
def test_what_the_engine_can_do_is_no_error(scheme: str) -> None:
    check(Quantize.model_validate({"activations": {"scheme": scheme}}), placement())


def test_a_plan_survives_its_json(model: Model) -> None:
    plan = plan_of(model)

    assert Plan.from_json(plan.to_json()) == plan


def test_every_node_has_a_decision_and_a_reason(model: Model) -> None:
    plan = plan_of(model)

    assert list(plan.decisions) == [node.name for node in model.nodes]
    assert all(decision.reason for decision in plan.decisions.values())
    assert plan.layers_quantized == 3


def test_an_int8_island_between_float_neighbours_stays_float(tmp_path: Path) -> None:
    net = Net(channels=4)
    a = net.node("MaxPool", [net.node("Add", ["x", "x"], "sum")], "pool", kernel_shape=[1, 1])
    net.node("Softmax", [net.node("Sigmoid", [net.conv(a, "one", (4, 4, 1, 1))], "gate")], "soft")
    model = net.model(tmp_path, ["soft"])

    plan = plan_of(model)

    reasons = {name: d.reason for name, d in plan.decisions.items() if not d.quantized}
    assert reasons["sum"] == reasons["pool"] == "its inputs are float"
    assert reasons["gate"] == "nothing behind it computes in int8"
    assert [name for name, d in plan.decisions.items() if d.quantized] == ["one"]


def test_a_bias_that_outgrows_its_scale_widens_the_weights_scale(tmp_path: Path) -> None:
    net = Net(channels=4)
    weight = np.full((2, 4, 1, 1), 1e-12, np.float32)
    weight[1] = 0.5
    bias = np.array([100, 0.1], np.float32)
    net.node("Conv", ["x", net.constant("w", weight), net.constant("b", bias)], "one")
    model = net.model(tmp_path, ["one"])
    x = inputs_of(model)[0]

    plan = plan_of(model)

    scales = plan.weights["one"].scales
    assert scales[0] == pytest.approx(100 / (plan.tensors["x"].scale * 2**29))
    assert scales[1] == pytest.approx(0.5 / 63)
    for level in LEVELS:
        found = run(write_qdq(model, plan), x, level)["one"]
        assert found[0, 0] == pytest.approx(100, rel=0.01)


def test_override_changes_what_it_names_and_keeps_the_rest(model: Model) -> None:
    quantize = Quantize.model_validate(
        {
            "activations": {"calibrator": "percentile", "percentile": 99.9},
            "overrides": {"t*": {"activations": {"scheme": "scale"}}, "three": "float"},
        }
    )

    choices = resolve_choices(model, quantize)

    assert choices.activations("two").calibrator == "percentile"
    assert choices.activations("two").percentile == 99.9
    assert choices.activations("two").scheme == "scale"
    assert choices.activations("one").scheme == "target"


def test_last_pattern_that_names_a_node_wins(model: Model) -> None:
    first = {"three": "float", "t*": {"weights": {"granularity": "per-tensor"}}}
    last = dict(reversed(first.items()))

    def excluded(overrides: dict[str, Any]) -> set[str]:
        quantize = Quantize.model_validate({"overrides": overrides})
        return set(resolve_choices(model, quantize).excluded)

    assert "three" not in excluded(first)
    assert "three" in excluded(last)


def test_other_calibrator_comes_without_the_percentile(model: Model) -> None:
    quantize = Quantize.model_validate(
        {
            "activations": {"calibrator": "percentile", "percentile": 99.9},
            "overrides": {"two": {"activations": {"calibrator": "mse"}}},
        }
    )

    assert resolve_choices(model, quantize).activations("two").percentile is None
