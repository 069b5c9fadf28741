from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from edgeq.calibration import collect
from edgeq.calibration.derive import derivations
from edgeq.calibration.statistics import wanted_tensors
from edgeq.calibrators.histogram import Histogram, of
from edgeq.graph.model import Model
from tests.nets import Net

Floats = NDArray[np.float32]
INPUTS = 3


def seen_directly(model: Model, inputs: list[Floats]) -> dict[str, Floats]:
    """Every wanted tensor's values over all inputs, from a session without optimizations."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    names = [name for name in wanted_tensors(model) if name not in model.inputs]
    collect.save_with(model, names, model.path.with_suffix(".all.onnx"))
    session = ort.InferenceSession(str(model.path.with_suffix(".all.onnx")), options)
    runs = [session.run(names, {"x": x}) for x in inputs]
    found = {
        name: np.concatenate([np.ravel(run[i]) for run in runs]) for i, name in enumerate(names)
    }
    return {**found, "x": np.concatenate([x.ravel() for x in inputs])}


def derived(model: Model, inputs: list[Floats]) -> dict[str, Histogram]:
    rules = derivations(model, wanted_tensors(model))
    named = [(str(i), x) for i, x in enumerate(inputs)]
    counters = collect.count(model, rules.feeds_silu, named, threads=1)
    lowest = {name: c.lowest for name, c in counters.items() if c.feeds_silu}
    counted = {name: c.histogram() for name, c in counters.items()}
    return {name: rules.histogram(name, counted, lowest) for name in wanted_tensors(model)}


def everything(net: Net) -> list[str]:
    """SiLU, Concat, Resize, MaxPool, Split, Add, Relu, LeakyRelu, Clip, Reshape, Transpose,
    ConvTranspose, AveragePool, Tanh, Flatten, and SiLU behind a Concat."""
    a = net.silu(net.conv("x", "c1", (8, 3, 3, 3)), "s1")
    sizes = net.constant("sizes", np.array([3, 5], np.int64))
    split = net.node("Split", [a, sizes], "split", 2, axis=1)
    other = split.replace(".0", ".1")
    pooled = net.node("MaxPool", [other], "pool", kernel_shape=[3, 3], pads=[1] * 4)
    joined = net.node("Concat", [split, pooled, "x"], "joined", axis=1)
    b = net.silu(joined, "s2")
    scales = net.constant("scales", np.array([1, 1, 2, 2], np.float32))
    nearest: dict[str, Any] = {"mode": "nearest", "nearest_mode": "floor"}
    up = net.node(
        "Resize", [b, "", scales], "up", coordinate_transformation_mode="asymmetric", **nearest
    )
    relu = net.node("Relu", [net.conv(up, "c2", (8, 11, 1, 1))], "relu")
    leaky = net.node("LeakyRelu", [net.conv(up, "c3", (8, 11, 1, 1))], "leaky", alpha=0.1)
    total = net.node("Add", [relu, leaky], "total")
    low, high = (net.constant(n, np.array(v, np.float32)) for n, v in (("lo", 0.0), ("hi", 6.0)))
    clip = net.node("Clip", [net.conv(total, "c4", (4, 8, 3, 3)), low, high], "clip")
    weight = net.rng.standard_normal((4, 2, 2, 2)).astype(np.float32)
    wide = net.node(
        "ConvTranspose",
        [clip, net.constant("wide.w", weight)],
        "wide",
        strides=[2, 2],
        kernel_shape=[2, 2],
    )
    mean = net.node("AveragePool", [net.node("Tanh", [wide], "tanh")], "mean", kernel_shape=[2, 2])
    shape = net.constant("shape", np.array([1, 2, -1], np.int64))
    flat = net.node("Reshape", [mean, shape], "flat")
    turned = net.node("Transpose", [flat], "turned", perm=[0, 2, 1])
    net.node("Sigmoid", [turned], "score")
    linear = net.node("Resize", [total, "", scales], "linear", mode="linear")
    net.node("Flatten", [linear], "flattened")
    return ["score", "flattened", "s1"]


def chain(net: Net) -> list[str]:
    a = net.conv("x", "c1", (6, 3, 3, 3))
    shape = net.constant("shape", np.array([1, 2, 3, 64], np.int64))
    b = net.node("Reshape", [a, shape], "folded")
    net.silu(net.node("Transpose", [b], "turned", perm=[0, 2, 1, 3]), "s")
    return ["s"]


def one_sided(net: Net) -> list[str]:
    """SiLU of what is never below zero, and of a function of another tensor."""
    a = net.node("Relu", [net.conv("x", "c1", (6, 3, 3, 3))], "relu")
    net.silu(a, "s1")
    net.silu(net.node("LeakyRelu", [net.conv("x", "c2", (6, 3, 3, 3))], "leaky", alpha=0.5), "s2")
    net.node("Clip", ["s2", net.constant("lo", np.array(-0.1, np.float32))], "floor")
    return ["s1", "floor"]


def odd(net: Net) -> list[str]:
    """What must not be derived: Resize by other factors, products that are no SiLU."""
    sizes = net.constant("sizes", np.array([1, 3, 11, 13], np.int64))
    up = net.node("Resize", ["x", "", "", sizes], "up", mode="nearest")
    a = net.conv(up, "c1", (4, 3, 3, 3))
    gate = net.node("Sigmoid", [net.conv(up, "c2", (4, 3, 3, 3))], "gate")
    net.node("Mul", [a, gate], "product")
    net.node("LeakyRelu", ["product"], "folding", alpha=-0.5)
    return ["folding"]


@pytest.mark.parametrize("draw", [everything, chain, one_sided, odd])
@pytest.mark.parametrize("seed", [0, 1])
def test_derived_statistics_are_those_of_counting_every_tensor(
    draw: object, seed: int, tmp_path: Path
) -> None:
    assert callable(draw)
    net = Net(side=8, seed=seed)
    model = net.model(tmp_path, draw(net))
    rng = np.random.default_rng(seed)
    inputs = [rng.standard_normal((1, 3, 8, 8)).astype(np.float32) * 2 for _ in range(INPUTS)]

    found = derived(model, inputs)

    direct = seen_directly(model, inputs)
    assert set(found) == set(direct)
    for name, values in direct.items():
        histogram, exact = found[name], of(values)
        spread = max(abs(exact.low), abs(exact.high))
        assert histogram.low == pytest.approx(exact.low, rel=2e-6, abs=2e-6 * spread), name
        assert histogram.high == pytest.approx(exact.high, rel=2e-6, abs=2e-6 * spread), name
        assert histogram.total == pytest.approx(values.size), name
        ordered = np.sort(values)
        for fraction in (0.01, 0.1, 0.5, 0.9, 0.99):
            at = fraction * (values.size - 1)
            below, above = ordered[max(int(at) - 1, 0)], ordered[min(int(at) + 2, values.size - 1)]
            slack = 0.004 * max(abs(below), abs(above)) + 1e-4 * spread
            assert below - slack <= histogram.quantile(fraction) <= above + slack, name


def test_only_what_cannot_be_derived_is_fetched(tmp_path: Path) -> None:
    net = Net()
    model = net.model(tmp_path, everything(net))

    rules = derivations(model, wanted_tensors(model))

    fetched = {"x", "c1", "split.0", "split.1", "pool", "c2", "c3", "total", "c4", "wide", "mean"}
    assert set(rules.sources) == fetched | {"linear"}


def test_silus_arguments_are_watched_through_what_only_moves_them(tmp_path: Path) -> None:
    net = Net()
    model = net.model(tmp_path, chain(net))

    rules = derivations(model, wanted_tensors(model))

    assert rules.feeds_silu == {"c1": True, "x": False}


def test_silus_minimum_behind_a_concat_is_that_of_its_parts(tmp_path: Path) -> None:
    net = Net(channels=3, side=1)
    net.silu(net.node("Concat", ["x", net.conv("x", "c", (3, 3, 1, 1))], "both", axis=1), "s")
    model = net.model(tmp_path, ["s"])
    inputs = [np.array([-5, -2.5, 4], np.float32).reshape(1, 3, 1, 1)]

    found = derived(model, inputs)["s"]

    assert found.low == pytest.approx(float(seen_directly(model, inputs)["s"].min()), rel=1e-6)
