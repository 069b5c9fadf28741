from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import EdgeqError
from edgeq.evaluation.divergence import WORST_DB, outputs_snr_db, snr_db


@given(snr=st.floats(-60, 120), seed=st.integers(0, 1000))
def test_relative_error_has_its_ratio_in_db(snr: float, seed: int) -> None:
    reference = np.random.default_rng(seed).normal(size=(3, 4))
    other = reference * (1 + 10 ** (-snr / 20))
    assert snr_db(reference, other) == pytest.approx(snr, abs=1e-4)


def test_ratio_is_that_of_the_powers() -> None:
    assert snr_db(np.array([3.0, 4.0]), np.array([3.0, 3.5])) == pytest.approx(20.0)


def test_equal_outputs_have_no_ratio() -> None:
    same = np.array([1.0, np.nan, np.inf], np.float32)
    assert snr_db(same, same.copy()) is None


@pytest.mark.parametrize(
    ("reference", "other"),
    [([0.0, 0.0], [0.0, 1.0]), ([1.0, 2.0], [1.0, np.nan]), ([1.0, 2.0], [np.inf, 2.0])],
)
def test_silence_and_non_finite_values_are_the_worst(
    reference: list[float], other: list[float]
) -> None:
    assert snr_db(np.array(reference), np.array(other)) == WORST_DB


def test_images_count_by_their_power_not_by_their_number() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(2, n)), rng.normal(size=(2, n))) for n in (3, 50, 7)]
    joined = snr_db(
        np.concatenate([reference for reference, _ in pairs], axis=1),
        np.concatenate([other for _, other in pairs], axis=1),
    )
    ratios = outputs_snr_db(({"a": reference}, {"a": other}) for reference, other in pairs)
    assert ratios == {"a": pytest.approx(joined)}


def test_every_output_has_its_own_ratio() -> None:
    one, two = np.ones(4), np.full(4, 2.0)
    ratios = outputs_snr_db([({"a": one, "b": two}, {"a": one, "b": one})])
    assert ratios == {"a": None, "b": pytest.approx(10 * np.log10(4))}


def test_integers_do_not_wrap_around() -> None:
    reference, other = np.array([0, 100], np.uint8), np.array([1, 100], np.uint8)
    assert snr_db(reference, other) == pytest.approx(40.0)


def test_outputs_of_different_models_are_refused() -> None:
    with pytest.raises(EdgeqError, match="compared with"):
        outputs_snr_db([({"a": np.ones(2)}, {"b": np.ones(2)})])
    with pytest.raises(EdgeqError, match=r"output 'a' has shape \(2,\) here and \(3,\) there"):
        outputs_snr_db([({"a": np.ones(2)}, {"a": np.ones(3)})])
