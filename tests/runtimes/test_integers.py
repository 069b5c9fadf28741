"""The written graph against convolutions in integers, written in numpy."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import LIMITS, IntegerType
from edgeq.spec.quantize import Quantize
from tests.nets import Net
from tests.sampling import examples

from .builds import LEVELS, Level, Written, inputs_of, placement, plan_of, run

Integers = NDArray[np.int64]


def integer_convolution(
    x: Integers, weight: Integers, strides: int, pad: int, dilation: int, groups: int, zero: int
) -> Integers:
    """Sums of products of integers [1,C,H,W] with [O,C/groups,K,K]; padded with the zero point."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=zero) - zero
    out, per_group, kernel = weight.shape[0], weight.shape[1], weight.shape[2]
    reach = dilation * (kernel - 1) + 1
    side = (x.shape[2] - reach) // strides + 1
    result = np.zeros((1, out, side, side), np.int64)
    for o in range(out):
        first = o // (out // groups) * per_group
        for row in range(side):
            for column in range(side):
                top, left = row * strides, column * strides
                window = x[
                    0,
                    first : first + per_group,
                    top : top + reach : dilation,
                    left : left + reach : dilation,
                ]
                result[0, o, row, column] = (window * weight[o]).sum()
    return result


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@given(
    kernel=st.integers(1, 3),
    strides=st.integers(1, 2),
    dilation=st.integers(1, 2),
    pad=st.integers(0, 2),
    form=st.sampled_from([(4, 6, 1), (4, 4, 2), (4, 4, 4), (3, 5, 1)]),
    bias=st.booleans(),
    per_channel=st.booleans(),
    symmetric=st.booleans(),
    seed=st.integers(0, 1000),
)
@examples(12)
def test_a_convolution_is_that_of_integers(
    level: Level,
    dtype: IntegerType,
    kernel: int,
    strides: int,
    dilation: int,
    pad: int,
    form: tuple[int, int, int],
    bias: bool,
    per_channel: bool,
    symmetric: bool,
    seed: int,
) -> None:
    channels, out, groups = form
    net = Net(channels, side=7, seed=seed)
    shape = (out, channels // groups, kernel, kernel)
    net.conv(
        "x",
        "c",
        shape,
        bias,
        strides=[strides] * 2,
        dilations=[dilation] * 2,
        pads=[pad] * 4,
        group=groups,
    )
    with tempfile.TemporaryDirectory() as folder:
        model = net.model(Path(folder), ["c"])
    recipe = {
        "weights": {"granularity": "per-channel" if per_channel else "per-tensor"},
        "activations": {"scheme": "scale" if symmetric else "affine"},
    }
    inputs = inputs_of(model, seed=seed)
    plan = plan_of(model, quantize(recipe), inputs, placement(dtype))
    written = Written(model, plan)

    found = run(written.content, inputs[0], level)["c"]

    x, y = plan.tensors["x"], plan.tensors["c"]
    weight, scales, _ = written.dequantized("c", 1)
    sums = integer_convolution(
        arithmetic.quantize(inputs[0], x).astype(np.int64),
        weight.astype(np.int64),
        strides,
        pad,
        dilation,
        groups,
        x.zero_point,
    )
    column = np.broadcast_to(scales.reshape(-1), out).astype(np.float64)[None, :, None, None]
    if bias:
        values = model.constant(model.producers["c"].input[2]).astype(np.float64)
        sums = sums + np.rint(values[None, :, None, None] / (x.scale * column)).astype(np.int64)
    assert np.abs(sums).max() < 2**31
    expected = np.rint(sums * (x.scale * column / y.scale)) + y.zero_point
    expected = np.clip(expected, *LIMITS[dtype])
    steps = np.rint(found / np.float32(y.scale)) + y.zero_point
    assert np.abs(steps - expected).max() <= 1
    assert (steps != expected).mean() <= 0.02


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("per_channel", [True, False])
def test_a_gemm_is_that_of_integers(
    level: Level, transposed: int, per_channel: bool, tmp_path: Path
) -> None:
    net = Net(channels=12, side=1)
    flat = net.node("Flatten", ["x"], "flat")
    weight = net.rng.standard_normal((5, 12) if transposed else (12, 5)).astype(np.float32)
    bias = net.rng.standard_normal(5).astype(np.float32)
    inputs = [flat, net.constant("w", weight), net.constant("b", bias)]
    net.node("Gemm", inputs, "gemm", transB=transposed)
    model = net.model(tmp_path, ["gemm"])
    granularity = "per-channel" if per_channel else "per-tensor"
    fed = inputs_of(model)
    plan = plan_of(
        model, quantize({"head": "quantize", "weights": {"granularity": granularity}}), fed
    )
    written = Written(model, plan)

    found = run(written.content, fed[0], level)["gemm"]

    x, y = plan.tensors["x"], plan.tensors["gemm"]
    integers, scales, axis = written.dequantized("gemm", 1)
    assert axis == ((0 if transposed else 1) if per_channel else -1)
    columns = integers.T if transposed else integers
    step = x.scale * np.broadcast_to(scales.reshape(-1), 5).astype(np.float64)
    sums = (
        arithmetic.quantize(fed[0], x).reshape(1, 12).astype(int) - x.zero_point
    ) @ columns.astype(int)
    expected = np.rint((sums + np.rint(bias / step)) * step / y.scale) + y.zero_point
    steps = np.rint(found / np.float32(y.scale)) + y.zero_point
    assert np.abs(steps - np.clip(expected, 0, 255)).max() <= 1


def quantize(recipe: Mapping[str, object]) -> Quantize:
    return Quantize.model_validate(recipe)
