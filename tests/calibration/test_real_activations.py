"""Ranges of a real model's activations against exact ones, over a few calibration images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeq.calibration import collect
from edgeq.calibration.derive import derivations
from edgeq.calibration.inputs import tensors
from edgeq.calibration.statistics import Statistics, wanted_tensors
from edgeq.calibrators.base import calibrate
from edgeq.calibrators.entropy import entropy, kl_threshold
from edgeq.graph.load import load
from edgeq.graph.tail import find_tail
from edgeq.spec.images import images_of
from edgeq.spec.quantize import Activations
from edgeq.spec.recipe import Preprocess

from .reference import entropy_threshold, least_squared_error, squared_error

pytestmark = pytest.mark.real

Counts = NDArray[np.float64]
PREPROCESS = Preprocess(size=(640, 640))
EVERY = 25
"""Which of the tensors are looked at value by value."""


@dataclass(frozen=True)
class Seen:
    """Statistics, and beside them what exact counting gives."""

    statistics: Statistics
    linear: dict[str, Counts]
    limits: dict[str, float]
    raw: dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def seen(real_data: Callable[[str], Path]) -> Seen:
    model = load(real_data("models/yolov5n-seg.onnx"), PREPROCESS.size)
    files = images_of(sorted(real_data("coco-calib").glob("*.jpg"))[:3])
    wanted = wanted_tensors(model, find_tail(model).nodes)
    rules = derivations(model, wanted)

    def inputs() -> Iterator[NDArray[np.float32]]:
        return tensors(files, PREPROCESS)

    named = ((str(i), x) for i, x in enumerate(inputs()))
    counters = collect.count(model, rules.feeds_silu, named, threads=1)
    sources = {name: counter.histogram() for name, counter in counters.items()}
    lowest = {name: c.lowest for name, c in counters.items() if c.feeds_silu}
    ends = collect.extremes(model, wanted, inputs(), threads=1)
    limits = {name: max(-low, high) for name, (low, high) in ends.items()}
    linear = {name: np.zeros(2048) for name in wanted}
    raw: dict[str, list[NDArray[np.float32]]] = {name: [] for name in wanted[::EVERY]}
    tap = collect.Tap(model, wanted, threads=1)
    for x in inputs():
        for name, values in tap.run(x).items():
            linear[name] += np.histogram(np.abs(values), 2048, (0, limits[name]))[0]
            if name in raw:
                raw[name].append(values.ravel().copy())
    return Seen(
        Statistics("", len(files), rules, sources, lowest),
        linear,
        limits,
        {name: np.concatenate(parts) for name, parts in raw.items()},
    )


def test_extremes_of_all_tensors_are_exact(seen: Seen) -> None:
    for name, limit in seen.limits.items():
        histogram = seen.statistics.histogram(name)
        assert max(-histogram.low, histogram.high) == pytest.approx(limit, rel=1e-5), name


def test_entropy_thresholds_are_mostly_those_of_exact_linear_histograms(seen: Seen) -> None:
    off = {}
    for name, counts in seen.linear.items():
        exact = kl_threshold(counts, 128) * seen.limits[name] / 2048
        off[name] = abs(entropy(seen.statistics.histogram(name)) / exact - 1)

    # The divergence has many minima that are nearly as deep; which of them is the least hangs on
    # the last digits of the counts, so that a few tensors end in another one.
    far = [name for name, share in off.items() if share > 0.03]
    assert len(far) <= 0.15 * len(off), far
    assert np.median(list(off.values())) < 0.002


def test_the_fast_search_is_the_published_loop_on_real_histograms(seen: Seen) -> None:
    for name in list(seen.linear)[::105]:
        counts = seen.linear[name]
        assert kl_threshold(counts, 128) == entropy_threshold(counts), name


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99, 99.999])
def test_percentiles_are_the_exact_ones(percentile: float, seen: Seen) -> None:
    quantizer = Activations(calibrator="percentile", percentile=percentile)
    for name, values in seen.raw.items():
        found = calibrate(seen.statistics.histogram(name), quantizer, symmetric=True).high

        # Between neighbouring values any is right.
        ordered = np.sort(np.abs(values))
        at = int(percentile / 100 * (values.size - 1))
        assert ordered[at - 1] * 0.996 <= found <= ordered[min(at + 2, values.size - 1)] * 1.004


@pytest.mark.parametrize("symmetric", [True, False])
def test_mse_ranges_have_the_least_squared_error(symmetric: bool, seen: Seen) -> None:
    small = [name for name, values in seen.raw.items() if values.size <= 400_000]
    assert len(small) >= 3
    for name in small[:4]:
        found = calibrate(seen.statistics.histogram(name), Activations(calibrator="mse"), symmetric)

        values = seen.raw[name].astype(np.float64)
        error = squared_error(values, found.low, found.high, symmetric)
        assert error <= least_squared_error(values, symmetric) * 1.003, name
