"""What a tensor loses by being integers, told from its histogram, beside doing it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.calibrators.histogram import of
from edgeq.quantization.arithmetic import LIMITS, Scale
from edgeq.quantization.loss import snr_db


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["normal", "silu", "outlier"]),
    st.floats(0.2, 1.5),
)
def test_it_is_what_quantizing_the_values_loses(seed: int, kind: str, reach: float) -> None:
    values = np.random.default_rng(seed).standard_normal(20_000).astype(np.float32)
    if kind == "silu":
        values = (values / (1 + np.exp(-values))).astype(np.float32)
    if kind == "outlier":
        values[0] = 12.0
    low, high = min(float(values.min()), 0.0) * reach, float(values.max()) * reach
    step = (high - low) / 255
    scale = Scale(step, round(-low / step), "uint8")

    integers = np.clip(np.rint(values / step) + scale.zero_point, *LIMITS["uint8"])
    error = (integers - scale.zero_point) * step - values.astype(np.float64)
    wanted = 10 * math.log10(float((values.astype(np.float64) ** 2).sum() / (error**2).sum()))

    assert snr_db(of(values), scale) == pytest.approx(wanted, abs=0.3)


def test_what_integers_hold_loses_nothing_to_tell() -> None:
    # A bin is a 512th of its value wide, which is all that is left.
    values = np.arange(-8, 8, dtype=np.float32)

    found = snr_db(of(values), Scale(1.0, 0, "int8"))

    assert found is None or found > 50
