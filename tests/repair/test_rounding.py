"""AdaRound against brute force over all roundings, and against its definition."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgeq.quantization.neighbours import Neighbours, neighbours_of
from edgeq.repair.rounding import Problem, adaround


def problem(seed: int, k: int, outputs: int = 8, pull: float = 0.0, groups: int = 1) -> Problem:
    """Inputs with much in common, as activations have; few steps, so that rounding matters."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((groups, 200, 1))
    inputs = rng.standard_normal((groups, 200, k)) + 2 * shared + 2
    lacking = pull * rng.standard_normal((groups, outputs, 200))
    weights = rng.uniform(-6.5, 6.5, (groups, outputs, k))
    return Problem(weights, inputs.transpose(0, 2, 1) @ inputs, lacking @ inputs, 7)


def best(posed: Problem) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The least error of each output over all 2^k ways to round."""
    floor = np.floor(posed.weights)
    ways = itertools.product((0, 1), repeat=posed.weights.shape[-1])
    return np.asarray(np.min([posed.error(floor + np.array(way)) for way in ways], axis=0))


@pytest.mark.parametrize("seed", range(4))
def test_adaround_comes_close_to_the_best_of_all_roundings(seed: int) -> None:
    posed = problem(seed, 10)
    least, found = best(posed), posed.error(adaround(posed, 1000))
    nearest = posed.error(posed.nearest)
    assert (found >= least - 1e-9).all()
    assert (found / least).mean() < 1.1  # each within 10% of the optimum, on average
    assert (nearest / least).mean() > 1.5  # which rounding to the nearest is not


@given(st.integers(0, 10_000), st.integers(1, 12), st.floats(0, 3), st.integers(1, 3))
def test_adaround_is_never_worse_than_nearest(seed: int, k: int, pull: float, groups: int) -> None:
    posed = problem(seed, k, 3, pull, groups)
    found = adaround(posed, 50)
    assert (posed.error(found) <= posed.error(posed.nearest)).all()
    up_or_down = (found == np.floor(posed.weights)) | (found == np.ceil(posed.weights))
    assert (up_or_down | (found == posed.nearest)).all()
    assert np.abs(found).max() <= posed.steps


def test_independent_inputs_leave_nothing_to_choose() -> None:
    # Without correlation every weight is on its own, and the nearest integer is best.
    weights = np.random.default_rng(0).uniform(-6.5, 6.5, (1, 4, 20))
    posed = Problem(weights, np.eye(20)[np.newaxis], np.zeros_like(weights), 7)
    assert (adaround(posed, 500) == posed.nearest).all()


def test_weight_at_the_end_of_the_range_stays_there() -> None:
    posed = problem(3, 8)
    posed.weights[0, :, 0] = 7 - 1e-9  # what float32 makes of the weight that the scale is from
    assert (adaround(posed, 300)[0, :, 0] == 7).all()


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_neighbours_never_sum_to_more_than_they_may(seed: int, k: int) -> None:
    posed = problem(seed, k, 3)
    neighbours = neighbours_of(onnx.NodeProto(op_type="MatMul"), (k, 3), 8)
    assert neighbours is not None
    weights = np.where(neighbours.over(posed.nearest), 0.3, posed.weights)
    posed = replace(posed, weights=weights, neighbours=neighbours)
    assume(not neighbours.over(posed.nearest).any())

    found = adaround(posed, 50)

    first, second = found[..., : k // 2 * 2 : 2], found[..., 1::2]
    assert (np.abs(first + second)[first * second > 0] <= 8).all()
    assert (posed.error(found) <= posed.error(posed.nearest)).all()


def test_rounding_both_neighbours_up_is_taken_back() -> None:
    # Both together lack what is missing, so both would go up, to a sum of 10.
    weights, lacking = np.full((1, 1, 2), 4.4), np.full((1, 1, 1), 1.2)
    ones = np.ones((1, 2, 2))
    free = Problem(weights, ones, np.broadcast_to(lacking, (1, 1, 2)), 7)
    assert adaround(free, 500).tolist() == [[[5, 5]]]
    bounded = replace(free, neighbours=Neighbours(np.array([1, 0]), 8))
    assert adaround(bounded, 500).tolist() == [[[4, 4]]]


def test_error_is_the_squared_error_of_the_output() -> None:
    rng = np.random.default_rng(1)
    inputs, weights = rng.standard_normal((50, 6)), rng.uniform(-5, 5, (1, 2, 6))
    lacking = rng.standard_normal((1, 2, 50))
    posed = Problem(weights, (inputs.T @ inputs)[np.newaxis], lacking @ inputs, 7)
    integers = np.rint(weights)
    direct = ((integers - weights) @ inputs.T - lacking) ** 2
    constant = (lacking**2).sum(axis=-1)
    np.testing.assert_allclose(posed.error(integers) + constant, direct.sum(axis=-1))


def test_error_of_what_is_to_be_made_up_for_is_rounded_towards() -> None:
    # One input, always 1: an output that lacks 0.4 is best served by rounding 0.3 up.
    weights = np.full((1, 1, 1), 0.3)
    ones, lacking = np.ones((1, 1, 1)), np.full((1, 1, 1), 0.4)
    assert adaround(Problem(weights, ones, lacking, 7), 500) == 1
    assert adaround(Problem(weights, ones, 0 * lacking, 7), 500) == 0
