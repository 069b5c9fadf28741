"""Ranges of activations, learned from where max put them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeq.graph.model import Model
from edgeq.progress import silent
from edgeq.quantization.learnable import Learnable
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Placement
from edgeq.repair.constants import with_constants
from edgeq.repair.refinement import plan_for
from edgeq.runtimes import runtime
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec import target as targets
from edgeq.spec.quantize import Quantize
from edgeq.spec.repair import Reconstruct

from ...nets import Net
from ...runtimes.builds import placement, plan_of, run
from .nets import chain, images, learnables, outlying

torch = pytest.importorskip("torch")

from edgeq.repair.reconstruction import training  # noqa: E402
from edgeq.repair.reconstruction.ranges import TrainedRange, rounded  # noqa: E402
from edgeq.repair.reconstruction.reconstruct import (  # noqa: E402
    Reconstruction,
    Subject,
    reconstruct,
)

QUICK = Reconstruct(iterations=60)
SIDE = 16
Doubles = NDArray[np.float64]


def rules_of(target: str) -> Placement:
    found = targets.load(target)
    return runtime(found.runtime).placement(found, None)[0]


def plan_by_max(model: Model, seen: NDArray[np.float32], rules: Placement) -> Plan:
    """Of activations; the image is seen as it is, whatever of it is an outlier."""
    quantize = Quantize.model_validate({"head": "quantize"})
    plan, usual = (
        plan_of(model, quantize, [x[np.newaxis] for x in shown], rules)
        for shown in (seen, images(4, SIDE))
    )
    image = {"x": usual.tensors["x"]} if "x" in plan.tensors else {}
    return replace(plan, tensors={**plan.tensors, **image})


def learned(
    model: Model,
    plan: Plan,
    ranges: dict[str, Learnable],
    options: Reconstruct = QUICK,
    key: str = "key",
) -> Reconstruction:
    subject = Subject(model, plan, images(16, SIDE), rigid=False, ranges=ranges)
    return reconstruct(subject, options, 0, key, write_qdq, 1, silent)


def error(model: Model, plan: Plan, exact: Model) -> float:
    """Squared error of the output to its variance, on images that were not trained on."""
    missed, values = 0.0, []
    for x in images(8, SIDE, seed=1):
        found = run(write_qdq(model, plan), x[np.newaxis])["last"]
        expected = run(exact.proto.SerializeToString(), x[np.newaxis])["last"]
        missed += float(np.square(found - expected).mean()) / 8
        values.append(expected)
    return missed / float(np.var(values))


@pytest.mark.usefixtures("edgeq_home")
@pytest.mark.parametrize("target", ["onnxruntime", "jetson-orin"])
def test_bad_start_by_max_is_brought_back_by_learned_ranges(target: str, tmp_path: Path) -> None:
    rules = placement(bits=8) if target == "onnxruntime" else rules_of(target)
    model, seen = chain(tmp_path, depth=2, channels=16, side=SIDE), outlying(SIDE)
    plan = plan_by_max(model, seen, rules)
    ranges = learnables(model, plan, seen, rules)
    found = learned(model, plan, ranges)
    made = with_constants(model, found.constants, "")
    after = plan_for(made, plan, found.scales)
    # A calibration that saw no outlier loses a hundredth of it.
    assert error(made, after, model) < 0.3 * error(model, plan, model)
    for name, scale in found.scales.items():
        assert scale.scale < plan.tensors[name].scale
        if rules.scheme == "scale":
            assert scale.zero_point == plan.tensors[name].zero_point


@pytest.mark.usefixtures("edgeq_home")
def test_what_no_range_is_learned_of_is_written_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LEARNING_RATE", 0.0)
    monkeypatch.setattr(training, "RANGE_RATE", 0.0)
    model, rules = chain(tmp_path, side=SIDE), placement(bits=8)
    plan = plan_by_max(model, outlying(SIDE), rules)
    ranges = learnables(model, plan, outlying(SIDE), rules)
    assert {name: one.scale(one.low, one.high) for name, one in ranges.items()}.items() <= (
        plan.tensors.items()
    )
    found = learned(model, plan, ranges, Reconstruct(iterations=5))
    assert not found.scales
    made = with_constants(model, found.constants, "")
    assert write_qdq(made, plan_for(made, plan, found.scales)) == write_qdq(model, plan)


def test_the_same_ranges_are_learned_twice_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, rules = chain(tmp_path, side=SIDE), placement(bits=8)
    plan = plan_by_max(model, outlying(SIDE), rules)
    ranges = learnables(model, plan, outlying(SIDE), rules)
    options = Reconstruct(iterations=5)
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "one"))
    first = learned(model, plan, ranges, options)
    monkeypatch.setattr(training, "RANGE_RATE", 0.0)  # what is kept is not trained again
    kept = learned(model, plan, ranges, options)
    monkeypatch.undo()
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "other"))
    again = learned(model, plan, ranges, options)
    assert first.scales and first.scales == kept.scales == again.scales


def test_ranges_that_are_shared_fixed_or_bounded_are_not_learned(tmp_path: Path) -> None:
    net = Net(3, SIDE)
    x = net.silu(net.conv("x", "first", (16, 3, 3, 3)), "a0")
    pooled = net.node("MaxPool", [x], "pooled", kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    both = net.node("Concat", [pooled, net.conv(x, "second", (16, 16, 3, 3))], "both", axis=1)
    net.conv(both, "last", (4, 32, 1, 1))
    model = net.model(tmp_path, ["last"])
    expected = {
        # The pooled one takes over the scale of what it is of.
        "onnxruntime": {"first", "second", "both", "last"},
        # All that goes into the Concat has its scale.
        "arm-cpu-tflite": {"first", "last"},
    }
    for target, names in expected.items():
        rules = placement(bits=8) if target == "onnxruntime" else rules_of(target)
        plan = plan_by_max(model, images(4, SIDE), rules)
        assert {"x", "a0.gate", "a0", "pooled"} <= plan.tensors.keys()
        assert learnables(model, plan, images(4, SIDE), rules).keys() == names
        assert not learnables(model, plan, images(4, SIDE), rules, calibrator="mse")


ENDS = st.floats(0.05, 8.0)


@given(low=ENDS, high=ENDS, symmetric=st.booleans(), seed=st.integers(0, 99))
@settings(deadline=None)
def test_gradients_of_ends_are_those_of_finite_differences(
    low: float, high: float, symmetric: bool, seed: int
) -> None:
    low = high if symmetric else low
    one = TrainedRange(Learnable(-low, high, symmetric, "int8", "own-pairs"), "cpu")
    one.learn()
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=3.0, size=64)
    # What lies between two integers goes to the one in float32 and to the other in float64.
    scale, zero = _grid(-low, high, np.zeros(2), symmetric)
    assume(abs(zero % 1 - 0.5) > 1e-3)
    x = x[np.abs(x / scale % 1 - 0.5) > 1e-3]
    weights = rng.standard_normal(len(x))
    found = rounded(torch.tensor(x, dtype=torch.float32), *one.tensors(), torch.int8)
    (torch.tensor(weights, dtype=torch.float32) * found).sum().backward()
    assert one.factors is not None
    count, step = (1 if symmetric else 2), 1e-6
    expected = []
    for index in range(count):
        ends = [np.eye(count)[index] * side for side in (-step, step)]
        lower, upper = (weights @ _straight(x, -low, high, end, symmetric) for end in ends)
        expected.append((upper - lower) / (2 * step))
    np.testing.assert_allclose(one.factors.grad.numpy(), expected, rtol=1e-3, atol=1e-3)


def _straight(x: Doubles, low: float, high: float, factors: Doubles, symmetric: bool) -> Doubles:
    """Values on the grid of ends that moved, with what rounding adds held where it was before."""

    scale, zero = _grid(low, high, np.zeros(len(factors)), symmetric)
    added, rest = np.rint(x / scale) - x / scale, np.rint(zero) - zero
    integers = np.rint(x / scale) + np.rint(zero)
    moved, point = _grid(low, high, factors, symmetric)
    clipped = np.where(integers > 127, 127.0, -128.0) - (point + rest)
    inside = (integers >= -128) & (integers <= 127)
    return np.where(inside, x / moved + added, clipped) * moved


def _grid(low: float, high: float, factors: Doubles, symmetric: bool) -> tuple[float, float]:
    """Scale and zero point of a range whose ends are so many times, by their logarithms, as far."""
    ends = np.exp(factors)
    if symmetric:
        return float(high * ends[0] / 127), 0.0
    scale = float(high * ends[1] - low * ends[0]) / 255
    return scale, -128 - low * float(ends[0]) / scale
