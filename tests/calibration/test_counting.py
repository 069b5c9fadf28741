from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.calibration import counting
from edgeq.calibration.counting import Counter
from edgeq.calibration.silu import silu
from edgeq.calibrators.histogram import BINS, SHIFT, of

from .draws import Floats, arrays, moderate
from .test_histogram import assert_same


@given(arrays)
def test_the_compiled_and_the_numpy_loop_count_alike(values: Floats) -> None:
    if not counting.accelerated():
        pytest.skip("llvmlite is not installed (extra 'fast')")
    compiled, plain = np.zeros(BINS, np.uint32), np.zeros(BINS, np.uint32)
    bits = values.view(np.uint32)

    counting.compiled_count()(bits, compiled, np.uint32(SHIFT))
    counting.numpy_count(bits, plain, np.uint32(SHIFT))

    np.testing.assert_array_equal(compiled, plain)


@given(st.lists(arrays, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_chunks_in_any_order_equal_one_array(chunks: list[Floats], random: object) -> None:
    shuffled = list(chunks)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    counter = Counter()

    for chunk in shuffled:
        assert counter.add(chunk)

    assert_same(counter.histogram(), of(np.concatenate(chunks)))


@given(arrays, st.integers(1, 3))
def test_counts_beyond_32_bits_are_kept(values: Floats, rounds: int) -> None:
    counter = Counter()

    for _ in range(rounds):
        counter.add(values)
        counter.recent_total = 2**32 - 1  # as if that many had been counted

    expected = of(np.concatenate([values] * rounds))
    assert_same(counter.histogram(), expected)


def test_a_full_bin_does_not_wrap_around() -> None:
    counter = Counter()
    values = np.ones(16, np.float32)
    counter.add(values)
    counter.recent[counter.recent > 0] = 2**32 - 1
    counter.recent_total = 2**32 - 1

    counter.add(values)

    assert counter.histogram().total == 2**32 - 1 + 16


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_and_not_counted(bad: float) -> None:
    counter = Counter()
    counter.add(np.ones(4, np.float32))

    assert not counter.add(np.array([1, bad, 2], np.float32))

    assert_same(counter.histogram(), of(np.ones(4, np.float32)))


def test_an_array_of_any_shape_is_counted_whole() -> None:
    values = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    counter = Counter()

    counter.add(values)
    counter.add(values.transpose(0, 2, 3, 1))
    counter.add(np.repeat(values.ravel(), 2)[::2])

    assert_same(counter.histogram(), of(np.stack([values, values, values])))


@given(st.lists(moderate, min_size=1, max_size=4))
def test_the_argument_of_silus_exact_minimum_is_kept(chunks: list[Floats]) -> None:
    counter = Counter(feeds_silu=True)

    for chunk in chunks:
        counter.add(chunk)

    exact = silu(np.concatenate(chunks).astype(np.float64)).min()
    assert float(silu(np.array(counter.lowest))) == pytest.approx(exact, rel=1e-6, abs=1e-37)
