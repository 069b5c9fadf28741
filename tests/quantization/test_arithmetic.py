from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from edgeq.calibrators.base import Range
from edgeq.quantization import arithmetic
from edgeq.quantization.arithmetic import LIMITS, IntegerType, Scale

Floats = NDArray[np.float32]
TYPES: tuple[IntegerType, ...] = ("int8", "uint8")


magnitudes = st.one_of(st.just(0.0), st.floats(1e-44, 3e38), st.floats(1e-3, 1e3))
ranges = st.builds(lambda low, high: Range(-low, high), magnitudes, magnitudes)
usual = st.floats(1e-6, 1e6)
usual_ranges = st.one_of(
    st.builds(lambda low, high: Range(-low, high), usual, usual),
    st.builds(lambda high: Range(0.0, high), usual),
    st.builds(lambda low: Range(-low, 0.0), usual),
)
types = st.sampled_from(TYPES)


@given(ranges, types, st.booleans())
def test_scales_are_normal_float32_and_zero_points_in_range(
    span: Range, dtype: IntegerType, symmetric: bool
) -> None:
    found = arithmetic.activation_scale(span, dtype, symmetric)

    assert np.isfinite(found.scale)
    assert found.scale >= np.finfo(np.float32).tiny
    assert found.scale == float(np.float32(found.scale))
    assert LIMITS[dtype][0] <= found.zero_point <= LIMITS[dtype][1]
    assert not symmetric or found.zero_point == {"int8": 0, "uint8": 128}[dtype]


@given(ranges, types, st.booleans())
def test_zero_is_represented_exactly(span: Range, dtype: IntegerType, symmetric: bool) -> None:
    scale = arithmetic.activation_scale(span, dtype, symmetric)

    found = arithmetic.dequantize(arithmetic.quantize(np.zeros(1, np.float32), scale), scale)

    assert found[0] == 0


@given(usual_ranges, types, st.booleans(), st.floats(0, 1))
def test_a_round_trip_inside_the_range_is_within_half_a_step(
    span: Range, dtype: IntegerType, symmetric: bool, place: float
) -> None:
    scale = arithmetic.activation_scale(span, dtype, symmetric)
    x = np.array([span.low + place * (span.high - span.low)], np.float32)

    found = arithmetic.dequantize(arithmetic.quantize(x, scale), scale)

    # The zero point is rounded too: either end of an affine range may be cut by half a step.
    steps = 0.5 if symmetric else 1.0
    inside = span.low + scale.scale <= x[0] <= span.high - scale.scale
    assert abs(found[0] - x[0]) <= scale.scale * (0.5 if inside else steps) * 1.0001


@given(
    ranges,
    types,
    st.booleans(),
    hnp.arrays(np.float32, 20, elements=st.floats(-1e6, 1e6, width=32)),
)
def test_quantization_is_monotone(
    span: Range, dtype: IntegerType, symmetric: bool, values: Floats
) -> None:
    scale = arithmetic.activation_scale(span, dtype, symmetric)

    found = arithmetic.quantize(np.sort(values), scale).astype(int)

    assert (np.diff(found) >= 0).all()


@given(usual_ranges, types)
def test_a_symmetric_range_ends_at_127_steps_on_both_sides(span: Range, dtype: IntegerType) -> None:
    scale = arithmetic.activation_scale(span, dtype, symmetric=True)
    limit = np.float32(max(-span.low, span.high))

    found = arithmetic.quantize(np.array([-limit, limit], np.float32), scale).astype(int)

    assert (found - scale.zero_point).tolist() == [-127, 127]


def reference_model(dtype: IntegerType) -> onnx.ModelProto:
    kind = TensorProto.INT8 if dtype == "int8" else TensorProto.UINT8
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [None]),
        helper.make_tensor_value_info("scale", TensorProto.FLOAT, []),
        helper.make_tensor_value_info("zero", kind, []),
    ]
    outputs = [
        helper.make_tensor_value_info("q", kind, [None]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [None]),
    ]
    graph = helper.make_graph(nodes, "reference", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


ONNX_RUNTIME = {d: ort.InferenceSession(reference_model(d).SerializeToString()) for d in TYPES}
ONNX = {dtype: ReferenceEvaluator(reference_model(dtype)) for dtype in TYPES}


@pytest.mark.parametrize("reference", ["onnxruntime", "onnx"])
@given(
    dtype=types,
    step=st.floats(2.0**-20, 2.0**20, width=32),
    zero=st.integers(0, 255),
    places=hnp.arrays(np.float32, 17, elements=st.floats(-400, 400, width=32)),
)
def test_quantization_is_onnx_s_bit_for_bit(
    reference: str, dtype: IntegerType, step: float, zero: int, places: Floats
) -> None:
    scale = Scale(step, zero + LIMITS[dtype][0], dtype)
    ties = np.float32(step) * (np.arange(-20, 21, dtype=np.float32) + np.float32(0.5))
    # The onnx package's own evaluator overflows beyond int32.
    far = np.array([1, -1], np.float32) * np.float32(
        3e38 if reference == "onnxruntime" else 1e6 * step
    )
    values = np.concatenate([places * np.float32(step), ties, np.array([0, -0.0], np.float32), far])
    fed = {
        "x": values,
        "scale": np.array(step, np.float32),
        "zero": np.array(scale.zero_point, {"int8": np.int8, "uint8": np.uint8}[dtype]),
    }

    integers = arithmetic.quantize(values, scale)
    reals = arithmetic.dequantize(integers, scale)

    engine = ONNX_RUNTIME[dtype] if reference == "onnxruntime" else ONNX[dtype]
    expected, expected_reals = engine.run(None, fed)
    np.testing.assert_array_equal(integers, expected)
    np.testing.assert_array_equal(reals, expected_reals)


def test_values_far_beyond_a_tiny_scale_saturate() -> None:
    scale = Scale(arithmetic.SMALLEST_SCALE, 3, "int8")

    found = arithmetic.quantize(np.array([3e38, -3e38, 0], np.float32), scale)

    assert found.tolist() == [127, -128, 3]


weights = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3)),
    elements=st.floats(-1000, 1000, width=32),
)


@given(weights, st.sampled_from([0, 1, None]), st.sampled_from([7, 8]))
def test_weights_are_symmetric_and_within_half_a_step(
    values: Floats, axis: int | None, bits: int
) -> None:
    others = tuple(i for i in range(3) if i != axis)
    limits = np.abs(values.astype(np.float64)).max(axis=None if axis is None else others)
    scales = arithmetic.weight_scales(np.atleast_1d(limits), bits)

    found = arithmetic.quantize_weights(values, scales, axis, bits)

    most = {8: 127, 7: 63}[bits]
    assert scales.shape == ((1,) if axis is None else (values.shape[axis],))
    assert np.abs(found.astype(int)).max() <= most
    shape = [1, 1, 1]
    if axis is not None:
        shape[axis] = -1
    step = scales.astype(np.float64).reshape(shape)
    assert (np.abs(found * step - values) <= step * 0.5001).all()
    assert ((values != 0) | (found == 0)).all()


@pytest.mark.parametrize("axis", [0, 1, None])
def test_all_zero_channels_stay_zero_under_a_harmless_scale(axis: int | None) -> None:
    values = np.zeros((3, 3), np.float32)

    scales = arithmetic.weight_scales(np.zeros(1 if axis is None else 3), 8)

    assert set(scales.tolist()) == {1.0}
    assert not arithmetic.quantize_weights(values, scales, axis, 8).any()


@pytest.mark.parametrize("limit", [1e-44, 1e-38, 1e-30, 1e30, 3.4e38])
def test_tiny_and_huge_weights_have_normal_scales(limit: float) -> None:
    (scale,) = arithmetic.weight_scales(np.array([limit]), 8)

    assert np.finfo(np.float32).tiny <= scale <= 3.4e38


@given(
    hnp.arrays(np.float32, 5, elements=st.floats(-1e4, 1e4, width=32)),
    st.floats(1e-30, 1e3),
    hnp.arrays(np.float32, 5, elements=st.floats(2.0**-126, 10, width=32)),
)
def test_a_bias_fits_into_int32_and_is_within_half_a_step(
    bias: Floats, input_scale: float, scales: Floats
) -> None:
    widened = arithmetic.widened_for_bias(scales, bias, input_scale)

    integers, product = arithmetic.bias_integers(bias, input_scale, widened)

    assert (widened >= scales).all()
    assert (np.abs(integers.astype(np.int64)) <= 2**29 + 64).all()
    real = integers.astype(np.float64) * product.astype(np.float64)
    assert (np.abs(real - bias) <= 0.5001 * np.float64(product) + 1e-44).all()


@given(hnp.arrays(np.float32, 5, elements=st.floats(-1e4, 1e4, width=32)), st.floats(1e-6, 1e3))
def test_weights_are_widened_only_where_the_bias_needs_it(bias: Floats, scale: float) -> None:
    roomy = np.full(5, 1.0, np.float32)
    assume((np.abs(bias) < scale * 2**28).all())

    assert arithmetic.widened_for_bias(roomy, bias, scale).tolist() == [1.0] * 5


def test_one_scale_for_all_is_widened_for_the_largest_bias() -> None:
    bias = np.array([0, 1e6, -1], np.float32)

    (found,) = arithmetic.widened_for_bias(np.array([1e-12], np.float32), bias, 1e-3)

    assert found == pytest.approx(1e6 / (1e-3 * 2**29))


def test_a_bias_of_zero_is_zero_even_where_the_scales_product_vanishes() -> None:
    tiny = np.full(2, arithmetic.SMALLEST_SCALE, np.float32)

    integers, product = arithmetic.bias_integers(np.zeros(2, np.float32), 1e-30, tiny)

    assert integers.tolist() == [0, 0]
    assert np.isfinite(product).all()
