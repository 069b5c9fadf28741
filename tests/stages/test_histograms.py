"""Histograms that a page shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.calibrators.histogram import of
from edgeq.quantization.arithmetic import Scale
from edgeq.records.evidence import TensorHistogram
from edgeq.stages.build import build
from edgeq.stages.check import check
from edgeq.stages.histograms import equal_bins, layers_seen, worst_histograms
from edgeq.stages.plan import known_statistics


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_equal_bins_count_as_numpy_does(seed: int, is_silu: bool) -> None:
    values = np.random.default_rng(seed).standard_normal(50_000).astype(np.float32)
    if is_silu:
        values = (values / (1 + np.exp(-values))).astype(np.float32)
    low, high = float(values.min()), float(values.max())

    found = equal_bins(of(values), 40)

    wanted, _ = np.histogram(values, 40, (low, high))
    assert np.isclose(sum(found), len(values))
    # A value may lie on the other side of an edge, as its bin is as wide as a 512th of it.
    assert np.abs(np.array(found) - wanted).sum() < 0.02 * len(values)


@pytest.mark.usefixtures("before")
def test_range_that_no_calibrator_gave_is_drawn_as_planned(small_demo: Path) -> None:
    checked = check(small_demo / "recipe.yaml", "local")
    prepared = checked.prepared
    with checked.device:
        plan = build(prepared).plan
    statistics = known_statistics(prepared)
    layers = layers_seen(prepared, plan, statistics, {}, {})
    [asked, *_] = worst_histograms(prepared, plan, statistics, layers)
    scale = plan.tensors[asked.tensor]

    def worst(changed: Scale) -> TensorHistogram:
        other = replace(plan, tensors={**plan.tensors, asked.tensor: changed})
        found = worst_histograms(prepared, other, statistics, layers)
        return next(one for one in found if one.tensor == asked.tensor)

    assert [end.calibrator for end in asked.ends if end.chosen] == ["percentile 99.99"]
    assert worst(replace(scale, scale=scale.scale * (1 + 1e-3))) == asked
    *others, planned = worst(replace(scale, scale=scale.scale / 2)).ends
    assert [end.chosen for end in others] == [False] * len(asked.ends)
    assert (planned.calibrator, planned.chosen) == ("planned", True)
    assert planned.high - planned.low == pytest.approx(255 * scale.scale / 2)
    assert planned.low == pytest.approx(-scale.zero_point * scale.scale / 2)
