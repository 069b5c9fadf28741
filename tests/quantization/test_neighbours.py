"""Which weights are neighbours, and steps with which no two of them sum to too much."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from edgeq.quantization import arithmetic
from edgeq.quantization.neighbours import (
    PAIR_LIMIT,
    Neighbours,
    bounded_scales,
    neighbours_of,
    rows_of,
)

Floats = NDArray[np.float32]


def node(op_type: str, **attributes: Any) -> onnx.NodeProto:
    return onnx.helper.make_node(op_type, ["x", "w"], ["y"], **attributes)


def pairs(layer: onnx.NodeProto, weight: NDArray[Any]) -> list[set[float]]:
    """The neighbours in the first row of a weight, by value."""
    found = neighbours_of(layer, weight.shape, PAIR_LIMIT)
    assert found is not None
    row = rows_of(layer, weight)[0]
    return [{row[i], row[j]} for i, j in enumerate(found.beside) if i < j]


def test_neighbours_of_a_convolution_follow_by_place_and_then_by_channel() -> None:
    # [1, 3, 1, 2]: at both places of the window channels 0, 1, 2.
    weight = np.array([[[[10, 20]], [[11, 21]], [[12, 22]]]], np.float32)
    found = pairs(node("Conv"), weight)
    assert len(found) == 3
    assert all(pair in found for pair in ({10, 11}, {12, 20}, {21, 22}))


def test_last_weight_of_an_odd_row_has_no_neighbour() -> None:
    weight = np.arange(5, dtype=np.float32).reshape(1, 5, 1, 1)
    assert pairs(node("Conv"), weight) == [{0, 1}, {2, 3}]


def test_channels_of_a_group_are_neighbours_and_depthwise_ones_have_none() -> None:
    weight = np.arange(8, dtype=np.float32).reshape(4, 2, 1, 1)
    assert pairs(node("Conv", group=2), weight) == [{0, 1}]
    assert neighbours_of(node("Conv", group=4), (4, 1, 3, 3), PAIR_LIMIT) is None
    # Two outputs a group go the way of other convolutions.
    assert neighbours_of(node("Conv", group=4), (8, 1, 3, 3), PAIR_LIMIT) is not None


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 2), (3,)])
def test_neighbours_of_a_product_follow_along_what_is_summed(shape: tuple[int, ...]) -> None:
    weight = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    expected: dict[tuple[int, ...], list[set[float]]] = {
        (4, 3): [{0, 3}, {6, 9}],
        (2, 3, 2): [{0, 2}, {6, 8}],  # of each matrix apart
        (3,): [{0, 1}],
    }
    assert pairs(node("MatMul"), weight) == expected[shape]
    if len(shape) == 2:
        assert pairs(node("Gemm"), weight) == expected[shape]
        assert pairs(node("Gemm", transB=1), np.ascontiguousarray(weight.T)) == expected[shape]


def worst(rows: Floats, scales: Floats, neighbours: Neighbours) -> NDArray[np.int64]:
    """By channel, the largest sum of two neighbouring integers of one sign; without `over`."""
    integers = arithmetic.quantize_weights(rows, scales, 0 if scales.size > 1 else None, 8)
    found = np.zeros(len(rows), np.int64)
    for channel, row in enumerate(integers.astype(int).tolist()):
        for i, j in enumerate(neighbours.beside.tolist()):
            if i < j and (row[i] > 0) == (row[j] > 0):
                found[channel] = max(found[channel], abs(row[i] + row[j]))
    return found


drawn = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 9)),
    elements=st.floats(-100, 100, width=32) | st.sampled_from([-100.0, 50.0, 100.0, 1e-3]),
)


@given(drawn, st.booleans(), st.floats(0.2, 1))
def test_no_pair_is_too_large_and_no_smaller_step_would_do(
    rows: Floats, by_channel: bool, clipped: float
) -> None:
    neighbours = neighbours_of(node("Gemm", transB=1), rows.shape, PAIR_LIMIT)
    assert neighbours is not None
    limits = np.abs(rows.astype(np.float64)).max(axis=1 if by_channel else None) * clipped
    plain = arithmetic.weight_scales(np.atleast_1d(limits), 8)

    found = bounded_scales(rows, plain, neighbours)

    assert (found >= plain).all()
    assert (worst(rows, found, neighbours) <= PAIR_LIMIT).all()
    if clipped == 1:
        assert (found <= plain * np.float32(2.001)).all()
    smaller = np.where(found > plain, np.nextafter(found, np.float32(0)), found)
    too_large = worst(rows, smaller, neighbours) > PAIR_LIMIT
    if by_channel and found.size > 1:
        assert (too_large == (found > plain)).all()
    else:
        assert too_large.any() == bool((found > plain).any())


@given(drawn)
def test_pairs_that_are_too_large_are_found(rows: Floats) -> None:
    neighbours = neighbours_of(node("Gemm", transB=1), rows.shape, PAIR_LIMIT)
    assert neighbours is not None
    limits = np.abs(rows.astype(np.float64)).max(axis=1)
    scales = arithmetic.weight_scales(limits, 8)
    integers = arithmetic.quantize_weights(rows, scales, 0, 8).astype(np.float64)

    over = neighbours.over(integers)

    assert (over.any(axis=1) == (worst(rows, scales, neighbours) > PAIR_LIMIT)).all()
    assert (over == over[:, neighbours.beside]).all()  # both of a pair or none


def test_equal_neighbours_take_half_of_the_steps() -> None:
    rows = np.full((1, 2), 3.0, np.float32)
    neighbours = Neighbours(np.array([1, 0]), PAIR_LIMIT)
    plain = arithmetic.weight_scales(np.array([3.0]), 8)
    (found,) = bounded_scales(rows, plain, neighbours)
    # 64.5 is rounded to even.
    assert found == pytest.approx(3 / 64.5, rel=1e-6)
