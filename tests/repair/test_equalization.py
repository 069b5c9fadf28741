"""Equalized models compute what they did, with ranges as the closed form says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.graph.model import Model
from edgeq.repair.constants import with_constants
from edgeq.repair.equalization import equalized
from edgeq.repair.pairs import find_pairs

from ..nets import Net
from ..runtimes.builds import inputs_of, run


def ranges(model: Model, name: str, axis: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The largest magnitudes of a convolution's weight by output (0) or input (1) channel."""
    node = next(node for node in model.nodes if node.name == name)
    weight = np.abs(model.constant(node.input[1]).astype(np.float64))
    return np.asarray(weight.max(axis=tuple(i for i in range(4) if i != axis)))


def agree(first: Model, second: Model) -> None:
    """Equal but for float32's rounding, which the sum of all magnitudes bounds."""
    magnitudes = {
        (node.name, index): np.asarray(np.abs(first.constant(node.input[index])), np.float32)
        for node in first.nodes
        if node.op_type in ("Conv", "Gemm")
        for index in range(1, len(node.input))
    }
    bound = with_constants(first, magnitudes, "").proto.SerializeToString()
    for x in inputs_of(first, 2):
        before, after = (run(m.proto.SerializeToString(), x) for m in (first, second))
        assert before.keys() == after.keys()
        for name, most in run(bound, np.abs(x)).items():
            assert (np.abs(after[name] - before[name]) <= 1e-5 * most.max()).all()


def uneven(net: Net, name: str, decades: float = 2.0) -> None:
    """Spread a convolution's output channels, as training with BatchNorm does."""
    [constant] = [c for c in net.constants if c.name == f"{name}.w"]
    values = np.frombuffer(constant.raw_data, np.float32).reshape(constant.dims)
    spread = 10 ** net.rng.uniform(-decades / 2, decades / 2, (len(values), 1, 1, 1))
    constant.raw_data = (values * spread).astype(np.float32).tobytes()


def two(tmp_path: Path, between: str, **attributes: Any) -> Model:
    net = Net()
    first = net.conv("x", "first", (6, 3, 3, 3))
    uneven(net, "first")
    middle = net.node(between, [first], "middle", **attributes)
    return net.model(tmp_path, [net.conv(middle, "second", (4, 6, 3, 3))])


@pytest.mark.parametrize(
    ("between", "attributes"),
    [
        ("Relu", {}),
        ("LeakyRelu", {"alpha": 0.1}),
        ("MaxPool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("AveragePool", {"kernel_shape": [2, 2]}),
        ("GlobalAveragePool", {}),
    ],
)
def test_pair_gets_the_ranges_of_the_closed_form(
    tmp_path: Path, between: str, attributes: dict[str, Any]
) -> None:
    model = two(tmp_path, between, **attributes)
    repaired = equalized(model)
    agree(model, repaired.model)
    expected = np.sqrt(ranges(model, "first", 0) * ranges(model, "second", 1))
    np.testing.assert_allclose(ranges(repaired.model, "first", 0), expected, rtol=1e-5)
    np.testing.assert_allclose(ranges(repaired.model, "second", 1), expected, rtol=1e-5)
    assert repaired.notes[0].startswith("equalized 1 pairs of layers")
    assert repaired.model.sha256 != model.sha256
    assert repaired.model.shapes == model.shapes
    assert [n.name for n in repaired.model.nodes] == [n.name for n in model.nodes]


def test_chain_with_a_depthwise_layer_converges_to_one_range_a_channel(tmp_path: Path) -> None:
    net = Net()
    x = net.node("Relu", [net.conv("x", "wide", (6, 3, 1, 1))], "r0")
    uneven(net, "wide")
    x = net.node("Relu", [net.conv(x, "deep", (6, 1, 3, 3), group=6)], "r1")
    uneven(net, "deep")
    model = net.model(tmp_path, [net.conv(x, "narrow", (4, 6, 1, 1), bias=False)])
    repaired = equalized(model).model
    agree(model, repaired)
    first, second, third = (
        ranges(repaired, n, a) for n, a in (("wide", 0), ("deep", 0), ("narrow", 1))
    )
    product = ranges(model, "wide", 0) * ranges(model, "deep", 0) * ranges(model, "narrow", 1)
    for found in (first, second, third):
        np.testing.assert_allclose(found, np.cbrt(product), rtol=1e-4)


@given(seed=st.integers(0, 10_000), depth=st.integers(2, 5), bias=st.booleans())
def test_no_net_computes_anything_else(seed: int, depth: int, bias: bool) -> None:
    net = Net(side=4, seed=seed)
    x, channels = "x", 3
    for index in range(depth):
        grouped = index > 0 and net.rng.random() < 0.3
        out = channels if grouped else int(net.rng.integers(1, 6))
        shape = (out, 1 if grouped else channels, 3, 3)
        x = net.conv(x, f"c{index}", shape, bias=bias, group=channels if grouped else 1)
        uneven(net, f"c{index}", 4)
        x, channels = net.node("Relu", [x], f"r{index}"), out
    with tempfile.TemporaryDirectory() as folder:
        model = net.model(Path(folder), [x])
    assert len(find_pairs(model).found) == depth - 1
    agree(model, equalized(model).model)


def test_gemms_are_equalized_whichever_way_they_lie(tmp_path: Path) -> None:
    net = Net(channels=2, side=2)
    x = net.node("Flatten", ["x"], "flat")
    weights = [net.rng.standard_normal(shape) for shape in ((8, 5), (7, 5), (7, 3))]
    biases = [net.rng.standard_normal(n) for n in (5, 7, 3)]
    for index, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        constants = [
            net.constant(f"{index}.{name}", value.astype(np.float32))
            for name, value in (("w", weight), ("b", bias))
        ]
        x = net.node("Gemm", [x, *constants], f"g{index}", transB=int(index == 1))
        x = net.node("Relu", [x], f"r{index}")
    model = net.model(tmp_path, [x])
    assert find_pairs(model).found == (("g0", "g1"), ("g1", "g2"))
    agree(model, equalized(model).model)


def test_silu_is_not_positively_homogeneous(tmp_path: Path) -> None:
    net = Net()
    x = net.silu(net.conv("x", "first", (6, 3, 3, 3)), "silu")
    model = net.model(tmp_path, [net.conv(x, "second", (4, 6, 3, 3))])
    repaired = equalized(model)
    assert repaired.model is model
    assert repaired.notes == (
        "no pairs of layers to equalize: "
        "SiLU (1 times) behind a layer is not positively homogeneous",
    )


def test_clip_and_what_others_read_make_no_pair(tmp_path: Path) -> None:
    net = Net()
    bounds = [net.constant(n, np.array(v, np.float32)) for n, v in (("low", 0), ("high", 6))]
    x = net.node("Clip", [net.conv("x", "first", (3, 3, 3, 3)), *bounds], "relu6")
    y = net.node("Relu", [net.conv(x, "second", (3, 3, 3, 3))], "relu")
    z = net.conv(y, "third", (3, 3, 3, 3))
    model = net.model(tmp_path, [net.node("Add", [z, y], "sum")])
    pairs = find_pairs(model)
    assert (pairs.found, dict(pairs.hindered)) == ((), {"Clip": 1})


def test_weight_that_two_layers_share_makes_no_pair(tmp_path: Path) -> None:
    net = Net()
    x = net.node("Relu", [net.conv("x", "first", (3, 3, 3, 3), bias=False)], "relu")
    model = net.model(tmp_path, [net.node("Conv", [x, "first.w"], "second", pads=[1] * 4)])
    assert find_pairs(model).found == ()


def test_dead_channels_stay(tmp_path: Path) -> None:
    net = Net()
    x = net.node("Relu", [net.conv("x", "first", (6, 3, 3, 3))], "relu")
    made = net.conv(x, "second", (4, 6, 3, 3))
    for constant, index in ((net.constants[0], (2,)), (net.constants[2], (slice(None), 4))):
        values = np.frombuffer(constant.raw_data, np.float32).reshape(constant.dims).copy()
        values[index] = 0
        constant.raw_data = values.tobytes()
    model = net.model(tmp_path, [made])
    agree(model, equalized(model).model)
