"""What is said of entropy on networks with SiLU."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from edgeq.calibration.statistics import Statistics, wanted_tensors
from edgeq.calibrators.base import calibrate
from edgeq.graph.model import Model
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.overclipping import overclipping
from edgeq.spec.quantize import Activations, Quantize
from tests.nets import Net
from tests.runtimes.builds import inputs_of, placement, statistics_of

ENTROPY: dict[str, object] = {"activations": {"calibrator": "entropy"}}


def net(folder: Path, activation: str = "silu", spread: float = 1) -> Model:
    """Many values about zero; with a spread, a few channels that are much larger."""
    made = Net(channels=3, side=32)
    y = made.conv("x", "c", (64, 3, 3, 3))
    scales = np.ones((1, 64, 1, 1), np.float32)
    scales[:, 0] = spread
    y = made.node("Mul", [y, made.constant("s", scales)], "scaled")
    y = made.silu(y, "silu") if activation == "silu" else made.node("Relu", [y], "relu")
    return made.model(folder, [made.conv(y, "last", (4, 64, 1, 1))])


def said(model: Model, recipe: dict[str, object], seen: Statistics | None) -> str | None:
    choices = resolve_choices(model, Quantize.model_validate(recipe))
    return overclipping(model, wanted_tensors(model), choices, placement(), seen)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return net(tmp_path, spread=12)


def test_entropy_on_silu_is_named_without_statistics(model: Model) -> None:
    found = said(model, ENTROPY, None)
    assert found is not None and "(1 output here)" in found


def test_worst_tensor_is_named_with_where_it_ends_by_each_calibrator(model: Model) -> None:
    seen = statistics_of(model, inputs_of(model, 4))

    found = said(model, ENTROPY, seen)

    assert found is not None
    ends = [float(end) for end in re.findall(r"at ([\d.]+) by it, at", found)]
    ends += [float(end) for end in re.findall(r"([\d.]+) by (?:99|mse|max)", found)]
    names = ("entropy", "percentile", "mse", "max")
    expected = [
        calibrate(
            seen.histogram("silu"),
            Activations(calibrator=name, percentile=99.99 if name == "percentile" else None),
            symmetric=False,
        ).high
        for name in names
    ]
    assert ends == pytest.approx(expected, rel=0.01)
    assert ends[0] < min(ends[1:])


@pytest.mark.parametrize(
    "recipe",
    [
        {"activations": {"calibrator": "mse"}},
        {**ENTROPY, "exclude": ["silu"]},
        {**ENTROPY, "overrides": {"silu": {"activations": {"calibrator": "max"}}}},
    ],
)
def test_nothing_is_said_where_entropy_meets_no_silu(
    recipe: dict[str, object], model: Model
) -> None:
    assert said(model, recipe, None) is None


def test_an_override_that_asks_for_it_is_enough(model: Model) -> None:
    assert said(model, {"overrides": {"silu": ENTROPY}}, None) is not None


def test_nothing_is_said_of_relu(tmp_path: Path) -> None:
    assert said(net(tmp_path, "relu"), ENTROPY, None) is None


def test_nothing_is_said_where_it_clips_no_earlier(tmp_path: Path) -> None:
    made = Net(channels=3)
    model = made.model(tmp_path, [made.conv(made.silu("x", "silu"), "last", (4, 3, 1, 1))])
    # One value: whatever is chosen ends there.
    seen = statistics_of(model, [np.full((1, 3, 8, 8), 2, np.float32)])
    assert said(model, ENTROPY, None) is not None
    assert said(model, ENTROPY, seen) is None
